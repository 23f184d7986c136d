//! Files: reading, writing, archives, directories and watches.

mod body;
mod conditions;
pub(crate) mod content;
pub(crate) mod directories;
pub(crate) mod download;
mod form;
pub(crate) mod unpack;
pub(crate) mod upload;
pub(crate) mod watch;

use browserd_files::{FsPath, Mode};

use crate::error::{ApiError, Result};

/// Reads the path in a field, which a refusal names.
pub(crate) fn path_in(field: &str, path: &str) -> Result<FsPath> {
    FsPath::parse(path).map_err(|error| ApiError::bad_request(format!("{field}: {error}")))
}

/// Reads the permissions in the field `mode`.
fn mode_in(mode: &str) -> Result<Mode> {
    Mode::parse(mode).map_err(|error| ApiError::bad_request(format!("mode: {error}")))
}
