//! The directory that an archive is unpacked into, where it has to be made.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{Result, write::target::make_parents};

/// The directories that were made for the destination; gone again if nothing came into them.
#[derive(Debug)]
pub(super) struct Made(Vec<PathBuf>);

impl Made {
    pub(super) fn make(dest: &Path) -> Result<Self> {
        let missing = dest
            .ancestors()
            .take_while(|dir| fs::symlink_metadata(dir).is_err())
            .map(Path::to_owned)
            .collect();
        let made = Self(missing);
        make_parents(dest)?;
        Ok(made)
    }

    pub(super) fn keep(&mut self) {
        self.0.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for dir in &self.0 {
            // One that is not empty is somebody else's by now.
            let _ = fs::remove_dir(dir);
        }
    }
}
