//! Native runtimes that somebody starts: where they attach themselves, and what they are started with.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use lambox::{FrontDoor, RuntimeListener};

use super::Error;
use super::source::Wanted;

/// Where native runtimes attach themselves.
pub(super) struct Runtimes {
    /// Of each function.
    own: BTreeMap<String, RuntimeListener>,
    /// Of all together, where they are several.
    _all: Option<RuntimeListener>,
}

impl Runtimes {
    pub(super) async fn listen(door: &FrontDoor, wanted: &Wanted, address: SocketAddr) -> Result<Self, Error> {
        let external = wanted.functions.iter().filter(|function| function.is_external());
        let names: Vec<_> = external.map(|function| function.name.as_str()).collect();
        let failed = |address| move |error| Error::ListenForRuntimes(address, error);
        let all = match names.len() {
            0 | 1 => None,
            _ => Some(door.listen_for_runtimes(address).await.map_err(failed(address))?),
        };
        let mut next = address;
        let mut own = BTreeMap::new();
        for name in names {
            if all.is_some() && next.port() != 0 {
                // Behind the last port there are free ones only.
                next.set_port(next.port().wrapping_add(1));
            }
            let listener = door.listen_for_runtime_of(name, next).await.map_err(failed(next))?;
            own.insert(name.to_owned(), listener);
        }
        Ok(Self { own, _all: all })
    }

    /// That of a function, where it has one.
    pub(super) fn of(&self, function_name: &str) -> Option<&RuntimeListener> {
        self.own.get(function_name)
    }

    /// Writes what each is to be started with into a folder.
    pub(super) async fn write_variables(&self, door: &FrontDoor, folder: &Path) -> Result<(), Error> {
        for (name, listener) in &self.own {
            let variables = door.runtime_variables(name, listener.local_addr()).await;
            let file = folder.join(format!("{name}.env"));
            let written =
                fs::create_dir_all(folder).and_then(|()| fs::write(&file, env_file(&variables.unwrap_or_default())));
            written.map_err(|error| Error::EnvFile(file, error))?;
        }
        Ok(())
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
