//! Native runtimes that somebody starts: where they attach themselves, and what they are started with.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use lambox::{FrontDoor, RuntimeListener};

use super::Error;
use super::source::Wanted;

/// Where native runtimes attach themselves.
pub(super) struct Runtimes {
    door: FrontDoor,
    /// Where what each is to be started with is written, if it is.
    env_files: Option<PathBuf>,
    /// Where those find a free port that come later.
    address: IpAddr,
    /// Of each function.
    own: BTreeMap<String, RuntimeListener>,
    /// Of all together, where they are several.
    all: Option<RuntimeListener>,
}

impl Runtimes {
    pub(super) async fn listen(
        door: &FrontDoor,
        wanted: &Wanted,
        address: SocketAddr,
        env_files: Option<PathBuf>,
    ) -> Result<Self, Error> {
        let external = wanted.functions.iter().filter(|function| function.is_external());
        let names: Vec<_> = external.map(|function| function.name.as_str()).collect();
        let all = match names.len() {
            0 | 1 => None,
            _ => {
                let all = door.listen_for_runtimes(address).await;
                Some(all.map_err(|error| Error::ListenForRuntimes(address, error))?)
            }
        };
        let mut runtimes = Self {
            door: door.clone(),
            env_files,
            address: address.ip(),
            own: BTreeMap::new(),
            all,
        };
        let mut next = address;
        for name in names {
            if runtimes.all.is_some() && next.port() != 0 {
                // Behind the last port there are free ones only.
                next.set_port(next.port().wrapping_add(1));
            }
            runtimes.open(name, next).await?;
            runtimes.write_variables(name).await?;
        }
        Ok(runtimes)
    }

    /// Where the runtime of a function attaches itself that came to be later. Nothing where that has been said before.
    pub(super) async fn add(&mut self, function_name: &str) -> Result<Option<SocketAddr>, Error> {
        if self.own.contains_key(function_name) {
            return Ok(None);
        }
        let address = self.open(function_name, SocketAddr::new(self.address, 0)).await?;
        Ok(Some(address))
    }

    /// Where each attaches itself.
    pub(super) fn addresses(&self) -> BTreeMap<String, SocketAddr> {
        let addresses = self.own.iter().map(|(name, own)| (name.clone(), own.local_addr()));
        addresses.collect()
    }

    /// Opens a function's own port.
    async fn open(&mut self, name: &str, address: SocketAddr) -> Result<SocketAddr, Error> {
        let listener = self.door.listen_for_runtime_of(name, address).await;
        let listener = listener.map_err(|error| Error::ListenForRuntimes(address, error))?;
        let address = listener.local_addr();
        self.own.insert(name.to_owned(), listener);
        Ok(address)
    }

    /// Writes what a function's runtime is to be started with, where that is asked for.
    pub(super) async fn write_variables(&self, name: &str) -> Result<(), Error> {
        let (Some(folder), Some(listener)) = (&self.env_files, self.own.get(name)) else {
            return Ok(());
        };
        let Some(variables) = self.door.runtime_variables(name, listener.local_addr()).await else {
            // There is no environment for it now.
            return Ok(());
        };
        let file = folder.join(format!("{name}.env"));
        let written = fs::create_dir_all(folder).and_then(|()| fs::write(&file, env_file(&variables)));
        written.map_err(|error| Error::EnvFile(file, error))
    }
}

/// Variables as a file that shells and debuggers read: a line each, its value in quotes where it is no plain word.
fn env_file(variables: &[(String, String)]) -> String {
    let mut text = String::new();
    for (name, value) in variables {
        let is_plain = value
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.,:/@%+=".contains(c));
        // Writing to a string does not fail.
        let _ = if is_plain {
            writeln!(text, "{name}={value}")
        } else {
            let quoted = value.chars().fold(String::new(), |mut quoted, c| {
                if "\"\\$`".contains(c) {
                    quoted.push('\\');
                }
                quoted.push(c);
                quoted
            });
            writeln!(text, "{name}=\"{quoted}\"")
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_written_for_a_shell() {
        let variables = [("TZ", ":UTC"), ("A", "two words"), ("B", "a\"$`\\\u{e4}"), ("C", "")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(
            env_file(&variables),
            "TZ=:UTC\nA=\"two words\"\nB=\"a\\\"\\$\\`\\\\\u{e4}\"\nC=\n"
        );
    }
}
