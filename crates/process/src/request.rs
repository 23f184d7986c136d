//! What a command is asked to be.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;

use crate::{Error, Identity};

/// A command to run.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// A path, or a name that is looked up on the PATH of the resulting environment.
    pub command: String,
    /// The arguments behind the command.
    pub args: Vec<String>,
    /// An absolute path; the daemon's own directory without it.
    pub cwd: Option<PathBuf>,
    /// Laid over the daemon's environment.
    pub env: BTreeMap<String, String>,
    /// Whom the command runs as.
    pub identity: Identity,
    /// After this time the whole process group is terminated.
    pub timeout: Option<Duration>,
    /// What is written to stdin first.
    pub stdin: Option<Bytes>,
    /// Keep at most this many bytes of each stream; the configured limit still holds.
    pub max_output_bytes: Option<u64>,
}

/// The size of a terminal, in characters; neither side is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Height.
    pub rows: u16,
    /// Width.
    pub cols: u16,
}

impl Default for Size {
    fn default() -> Self {
        Self { rows: 24, cols: 80 }
    }
}

impl Size {
    /// A size of which no side is 0.
    pub fn new(rows: u16, cols: u16) -> Result<Self, Error> {
        let size = Self { rows, cols };
        size.check()?;
        Ok(size)
    }

    pub(crate) fn check(self) -> Result<(), Error> {
        for (field, value) in [("rows", self.rows), ("cols", self.cols)] {
            if value == 0 {
                return Err(Error::invalid(field, "must be between 1 and 65535"));
            }
        }
        Ok(())
    }
}

impl Request {
    /// A command without arguments.
    #[must_use]
    pub fn new(command: impl Into<String>) -> Self {
        Self {
            command: command.into(),
            ..Self::default()
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Checks what can be checked without the system.
    pub(crate) fn check(&self) -> Result<(), Error> {
        const NUL: &str = "contains a NUL byte";
        let has_nul = |text: &str| text.contains('\0');
        if self.command.is_empty() {
            return Err(Error::invalid("command", "must not be empty"));
        }
        if has_nul(&self.command) {
            return Err(Error::invalid("command", NUL));
        }
        if let Some(index) = self.args.iter().position(|arg| has_nul(arg)) {
            return Err(Error::invalid(format!("args[{index}]"), NUL));
        }
        for (name, value) in &self.env {
            if name.is_empty() || name.contains(['=', '\0']) {
                let reason = format!("{name:?} is no name of a variable");
                return Err(Error::invalid("env", reason));
            }
            if has_nul(value) {
                return Err(Error::invalid(format!("env.{name}"), NUL));
            }
        }
        if let Some(cwd) = &self.cwd {
            if !cwd.is_absolute() {
                return Err(Error::invalid("cwd", "must be an absolute path"));
            }
            if cwd.as_os_str().as_encoded_bytes().contains(&0) {
                return Err(Error::invalid("cwd", NUL));
            }
        }
        if self.timeout == Some(Duration::ZERO) {
            return Err(Error::invalid("timeout_sec", "must be above 0"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(request: &Request, expected: &str) {
        match request.check() {
            Err(Error::Invalid { field, .. }) => assert_eq!(field, expected),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn names_the_field_that_cannot_be_used() {
        let base = Request::new("true");
        assert!(base.check().is_ok());
        refused(&Request::new(""), "command");
        refused(&Request::new("a\0b"), "command");
        refused(&base.clone().args(["a", "b\0"]), "args[1]");
        refused(
            &Request {
                cwd: Some("tmp".into()),
                ..base.clone()
            },
            "cwd",
        );
        refused(
            &Request {
                cwd: Some("/a\0".into()),
                ..base.clone()
            },
            "cwd",
        );
        refused(
            &Request {
                timeout: Some(Duration::ZERO),
                ..base.clone()
            },
            "timeout_sec",
        );
        let env = |name: &str, value: &str| Request {
            env: BTreeMap::from([(name.to_owned(), value.to_owned())]),
            ..base.clone()
        };
        refused(&env("", "x"), "env");
        refused(&env("A=B", "x"), "env");
        refused(&env("A", "x\0"), "env.A");
    }
}
