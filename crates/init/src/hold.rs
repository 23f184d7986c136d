//! Keeps a platform that suspends idle machines from suspending this one while it comes up.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// A hold on the machine. Released once, at the latest when dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    file: Option<PathBuf>,
}

impl Hold {
    /// Takes a hold, where the platform has such a thing.
    pub(crate) fn take(file: &Path) -> Self {
        let held = match write(file, b"+") {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => {
                tracing::warn!(file = %file.display(), %error, "cannot hold the machine awake");
                false
            }
        };
        Self {
            file: held.then(|| file.to_owned()),
        }
    }

    pub(crate) fn release(&mut self) {
        let Some(file) = self.file.take() else { return };
        if let Err(error) = write(&file, b"-") {
            tracing::warn!(file = %file.display(), %error, "cannot release the hold");
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.release();
    }
}

/// Writes to what is there, and makes nothing.
fn write(file: &Path, what: &[u8]) -> io::Result<()> {
    OpenOptions::new().write(true).open(file)?.write_all(what)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn holds_and_releases_once() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("disable");
        fs::write(&file, "").unwrap();
        let mut hold = Hold::take(&file);
        assert_eq!(fs::read_to_string(&file).unwrap(), "+");
        hold.release();
        assert_eq!(fs::read_to_string(&file).unwrap(), "-");
        fs::write(&file, "").unwrap();
        drop(hold);
        assert_eq!(fs::read_to_string(&file).unwrap(), "");
    }

    #[test]
    fn does_nothing_where_there_is_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("disable");
        Hold::take(&file).release();
        assert!(!file.exists());
    }
}
