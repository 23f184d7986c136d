//! What a command is asked to be.

use std::time::Duration;

use bytes::Bytes;

use crate::{Error, Program};

/// A command to run.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// What is run, and as what.
    pub program: Program,
    /// After this time the whole process group is terminated.
    pub timeout: Option<Duration>,
    /// What is written to stdin first.
    pub stdin: Option<Bytes>,
    /// Keep at most this many bytes of each stream; the configured limit still holds.
    pub max_output_bytes: Option<u64>,
}

impl From<Program> for Request {
    fn from(program: Program) -> Self {
        Self {
            program,
            ..Self::default()
        }
    }
}

impl Request {
    /// Checks what can be checked without the system.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.program.check()?;
        if self.timeout == Some(Duration::ZERO) {
            return Err(Error::invalid("timeout_sec", "must be above 0"));
        }
        Ok(())
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_time_is_refused() {
        let request = |timeout| Request {
            timeout,
            ..Program::new("true").into()
        };
        assert!(request(None).check().is_ok());
        assert!(request(Some(Duration::from_secs(1))).check().is_ok());
        let refused = request(Some(Duration::ZERO)).check();
        assert!(matches!(refused, Err(Error::Invalid { field, .. }) if field == "timeout_sec"));
    }
}
