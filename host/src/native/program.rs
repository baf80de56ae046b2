//! What is to be run as a native program.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// A native program that an execution environment runs as a process of its own: path, arguments, variables.
///
/// ```no_run
/// # fn example(simulator: &lambox::Simulator) -> Result<(), lambox::ConfigurationError> {
/// use lambox::NativeProgram;
///
/// let function = simulator
///     .function("native")
///     .runtime_process(NativeProgram::new("target/debug/bootstrap").env("RUST_LOG", "debug"))
///     .extension_process("telemetry", NativeProgram::new("target/debug/telemetry"))
///     .build()?;
/// # Ok(())
/// # }
/// ```
///
/// # What it gets
///
/// The variables of a runtime or of an extension on the service, with `AWS_LAMBDA_RUNTIME_API` naming a port on
/// 127.0.0.1 that is this process's alone, and over them those of [`env`](Self::env). Nothing is inherited from the
/// host but the working folder (unless [`folder`](Self::folder) names another), the user and its limits, and open files
/// that other code of the host has made inheritable on purpose. Its stdin is empty; the lines of its stdout and stderr
/// are lines of the environment's log, within the same bounds as a guest's.
///
/// A path without a slash is looked for in the `PATH` that the program gets, which is the service's unless a variable
/// says otherwise.
///
/// # How it is run
///
/// In a process group of its own, by the same rules as a guest: it is started when its turn comes in an
/// initialisation, asked to end by SIGTERM where the rules say so, and ended by SIGKILL. Between invocations its group
/// is stopped (SIGSTOP) and its calls go nowhere. Its exit is noticed at once, whatever else is under way, and ends
/// what is left of its group. With the environment goes all that it started, also where the environment is dropped and
/// where the tokio runtime is.
///
/// # What is not promised
///
/// - Memory: it has all of the machine's, the environment's memory size is only told to it, and `Max Memory Used`
///   leaves it out.
/// - CPU, disk and network: the machine's. It can reach whatever its user can.
/// - Time: it has the machine's clock, which goes on while it is stopped. It stops a moment after it was told to:
///   signals take effect on another processor within microseconds, not at an instruction.
/// - What leaves its process group (`setsid`) is neither stopped nor ended.
/// - If the host itself is killed, the kernel ends the groups that are stopped; one that runs goes on until it finds
///   that nobody answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NativeProgram {
    path: PathBuf,
    arg0: Option<OsString>,
    arguments: Vec<OsString>,
    variables: BTreeMap<OsString, OsString>,
    folder: Option<PathBuf>,
}

impl NativeProgram {
    /// The program at this path, without arguments and without variables of its own, in the host's working folder.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            arg0: None,
            arguments: Vec::new(),
            variables: BTreeMap::new(),
            folder: None,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets argument zero, which is the path unless it is set.
    ///
    /// The official extension client registers by the file name in it, which has to be the extension's name.
    #[must_use]
    pub fn arg0(mut self, argument: impl Into<OsString>) -> Self {
        self.arg0 = Some(argument.into());
        self
    }

    /// Sets an environment variable of this program's alone. It goes over one of the platform's, but for
    /// `AWS_LAMBDA_RUNTIME_API`, and does not count as one of the function's own.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// Sets the working folder.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// The program's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What no system could run.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if cfg!(not(unix)) {
            return Err(
                "on this platform no process can be frozen or asked to end; start it yourself and let it attach \
                 (`native_runtime`, `native_extension`)",
            );
        }
        let has_nul = |text: &OsStr| text.as_encoded_bytes().contains(&0);
        if self.path.as_os_str().is_empty() || has_nul(self.path.as_os_str()) {
            return Err("its path is empty, or contains a NUL");
        }
        if self
            .arguments
            .iter()
            .chain(&self.arg0)
            .any(|argument| has_nul(argument))
        {
            return Err("an argument contains a NUL");
        }
        if self.folder.as_ref().is_some_and(|folder| has_nul(folder.as_os_str())) {
            return Err("its folder contains a NUL");
        }
        let malformed = |name: &OsStr| name.is_empty() || has_nul(name) || name.as_encoded_bytes().contains(&b'=');
        if self
            .variables
            .iter()
            .any(|(name, value)| malformed(name) || has_nul(value))
        {
            return Err("a variable's name is empty or contains `=`, or a NUL is in one");
        }
        Ok(())
    }

    /// The command that runs it with these variables of the platform's.
    #[cfg(unix)]
    pub(super) fn command(&self, platform: &[(String, String)], api: std::net::SocketAddr) -> std::process::Command {
        use std::os::unix::process::CommandExt as _;

        let mut command = std::process::Command::new(&self.path);
        if let Some(arg0) = &self.arg0 {
            command.arg0(arg0);
        }
        command
            .args(&self.arguments)
            .env_clear()
            .envs(platform.iter().map(|(name, value)| (name, value)))
            .envs(&self.variables)
            .env("AWS_LAMBDA_RUNTIME_API", api.to_string());
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_no_system_could_run_is_refused() {
        let program = || NativeProgram::new("/bin/true");
        for (wrong, program) in [
            ("path", NativeProgram::new("")),
            ("path", NativeProgram::new("a\0b")),
            ("argument", program().arg("a\0b")),
            ("argument", program().arg0("a\0b")),
            ("folder", program().folder("a\0b")),
            ("variable", program().env("", "1")),
            ("variable", program().env("A=B", "1")),
            ("variable", program().env("A", "a\0b")),
        ] {
            let reason = program.check().expect_err(wrong);
            assert!(reason.contains(wrong), "{reason}");
        }
        assert_eq!(program().args(["-x", ""]).env("A", "").check(), Ok(()));
    }

    #[test]
    fn its_own_variables_go_over_the_platforms_but_for_the_address() {
        let platform = [("A", "1"), ("B", "1"), ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let program = NativeProgram::new("/bin/true")
            .env("B", "2")
            .env("AWS_LAMBDA_RUNTIME_API", "example.com");
        let command = program.command(&platform, "127.0.0.1:7".parse().expect("an address"));
        let variables: Vec<_> = command
            .get_envs()
            .map(|(name, value)| {
                let value = value.expect("it is set");
                format!("{}={}", name.display(), value.display())
            })
            .collect();
        assert_eq!(variables, ["A=1", "AWS_LAMBDA_RUNTIME_API=127.0.0.1:7", "B=2"]);
    }
}
