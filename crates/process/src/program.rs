//! What a program is started as.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::{Error, Identity};

/// A program to start, with all that it inherits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Program {
    /// A path, or a name that is looked up on the PATH of the resulting environment.
    pub command: String,
    /// The arguments behind the command.
    pub args: Vec<String>,
    /// An absolute path; the daemon's own directory without it.
    pub cwd: Option<PathBuf>,
    /// Laid over the daemon's environment.
    pub env: BTreeMap<String, String>,
    /// Whom the program runs as.
    pub identity: Identity,
}

impl Program {
    /// A program without arguments.
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

    /// Starts it there; an absolute path.
    #[must_use]
    pub fn cwd(mut self, cwd: impl Into<PathBuf>) -> Self {
        self.cwd = Some(cwd.into());
        self
    }

    /// Lays variables over the daemon's environment.
    #[must_use]
    pub fn env(mut self, env: impl IntoIterator<Item = (String, String)>) -> Self {
        self.env.extend(env);
        self
    }

    /// Starts it as this user.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = identity;
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
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(program: &Program, expected: &str) {
        match program.check() {
            Err(Error::Invalid { field, .. }) => assert_eq!(field, expected),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn names_the_field_that_cannot_be_used() {
        let base = || Program::new("true");
        assert!(base().check().is_ok());
        refused(&Program::new(""), "command");
        refused(&Program::new("a\0b"), "command");
        refused(&base().args(["a", "b\0"]), "args[1]");
        refused(&base().cwd("tmp"), "cwd");
        refused(&base().cwd("/a\0"), "cwd");
        let env = |name: &str, value: &str| base().env([(name.to_owned(), value.to_owned())]);
        refused(&env("", "x"), "env");
        refused(&env("A=B", "x"), "env");
        refused(&env("A", "x\0"), "env.A");
    }
}
