//! What is set for all functions together, and of the server before them.

use std::net::IpAddr;
use std::path::PathBuf;

use super::findings::Setting;
use super::reader::{Reader, Set};

/// The account that the functions belong to, and the server that they are behind. What is not set has the default of
/// whoever uses it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountConfiguration {
    /// The region.
    pub region: Option<String>,
    /// The account's number.
    pub account_id: Option<String>,
    /// How many invocations there may be at once of all functions together.
    pub concurrent_executions: Option<u32>,
    /// The address that is listened on.
    pub address: Option<IpAddr>,
    /// The port that is listened on.
    pub port: Option<u16>,
    /// The folder where queued events survive a restart.
    pub data_folder: Option<PathBuf>,
    /// What is set, and where.
    pub settings: Vec<Setting>,
}

/// The same, while it is gathered.
#[derive(Clone, Debug, Default)]
pub(super) struct AccountDraft {
    region: Option<Set<String>>,
    account_id: Option<Set<String>>,
    concurrent_executions: Option<Set<u32>>,
    address: Option<Set<IpAddr>>,
    port: Option<Set<u16>>,
    data_folder: Option<Set<PathBuf>>,
}

impl AccountDraft {
    /// The keys that are read from.
    pub(super) const KEYS: [&'static str; 6] = [
        "region",
        "account_id",
        "concurrent_executions",
        "address",
        "port",
        "data_folder",
    ];

    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let source = reader.source;
        let checked = |set: Option<Set<String>>, is_right: fn(&str) -> bool, wrong: &str| {
            set.filter(|set| {
                let is_right = is_right(&set.value);
                if !is_right {
                    let message = format!("{wrong}, not `{}`", set.value);
                    source.findings.borrow_mut().problem(set.at.clone(), message);
                }
                is_right
            })
        };
        let is_region = |text: &str| {
            text.split('-').count() >= 3
                && text
                    .bytes()
                    .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        };
        let is_account = |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
        let region = reader.text("region");
        // A number in a file is fine, as long as nobody minds leading zeros.
        let account_id = reader.parsed("account_id");
        Self {
            region: checked(region, is_region, "a region is written like `us-east-1`"),
            account_id: checked(account_id, is_account, "an account's number has twelve digits"),
            concurrent_executions: whole(reader, "concurrent_executions", 1, u32::MAX),
            address: reader.parsed("address"),
            port: whole(reader, "port", 0, u32::from(u16::MAX))
                .map(|set| set.map(|port| u16::try_from(port).unwrap_or(u16::MAX))),
            data_folder: reader.path("data_folder"),
        }
    }

    /// These settings, and where they say nothing those of the other.
    #[must_use]
    pub(super) fn over(self, other: Self) -> Self {
        Self {
            region: self.region.or(other.region),
            account_id: self.account_id.or(other.account_id),
            concurrent_executions: self.concurrent_executions.or(other.concurrent_executions),
            address: self.address.or(other.address),
            port: self.port.or(other.port),
            data_folder: self.data_folder.or(other.data_folder),
        }
    }

    pub(super) fn region(&self) -> &str {
        self.region.as_ref().map_or("us-east-1", |region| &region.value)
    }

    pub(super) fn account_id(&self) -> &str {
        self.account_id
            .as_ref()
            .map_or("123456789012", |account| &account.value)
    }

    pub(super) fn end(self) -> AccountConfiguration {
        let mut settings = Settings::default();
        let folder = |folder: &PathBuf| folder.display().to_string();
        AccountConfiguration {
            region: settings.take("region", self.region, String::clone),
            account_id: settings.take("account id", self.account_id, String::clone),
            concurrent_executions: settings.take("concurrent executions", self.concurrent_executions, u32::to_string),
            address: settings.take("address", self.address, IpAddr::to_string),
            port: settings.take("port", self.port, u16::to_string),
            data_folder: settings.take("data folder", self.data_folder, folder),
            settings: settings.0,
        }
    }
}

/// What is set, while it is taken apart.
#[derive(Debug, Default)]
pub(super) struct Settings(pub(super) Vec<Setting>);

impl Settings {
    /// The value, of which is noted where it was set.
    pub(super) fn take<T>(
        &mut self,
        name: &'static str,
        set: Option<Set<T>>,
        shown: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        let set = set?;
        self.note(name, &set, shown);
        Some(set.value)
    }

    pub(super) fn note<T>(&mut self, name: &'static str, set: &Set<T>, shown: impl FnOnce(&T) -> String) {
        self.0.push(Setting {
            location: set.at.clone(),
            name,
            value: shown(&set.value),
        });
    }
}

/// A whole number within bounds.
pub(super) fn whole(reader: &mut Reader<'_>, name: &str, min: u32, max: u32) -> Option<Set<u32>> {
    let number: Set<String> = reader.parsed(name)?;
    match number.value.parse() {
        Ok(value) if (min..=max).contains(&value) => Some(number.map(|_| value)),
        Ok(_) | Err(_) => {
            let name = reader.source.spelling.of(name);
            let bounds = if max == u32::MAX {
                format!("of at least {min}")
            } else {
                format!("from {min} to {max}")
            };
            let message = format!("`{name}` is a whole number {bounds}, not `{}`", number.value);
            reader.source.findings.borrow_mut().problem(number.at, message);
            None
        }
    }
}
