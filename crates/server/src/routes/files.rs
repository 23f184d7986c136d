//! Files: reading, writing, archives, directories and watches.

mod body;
mod conditions;
pub(crate) mod content;
pub(crate) mod directories;
mod disposition;
pub(crate) mod download;
mod form;
pub(crate) mod unpack;
pub(crate) mod upload;
pub(crate) mod watch;

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
};

use browserd_api::names;
use browserd_files::{FsPath, Mode};

use crate::error::{ApiError, Result};

/// Reads the path in a field, which a refusal names.
pub(crate) fn path_in(field: &str, path: &str) -> Result<FsPath> {
    let name = OsString::from_vec(names::from_text(path));
    FsPath::parse(name).map_err(|error| ApiError::bad_request(format!("{field}: {error}")))
}

/// Reads the permissions in the field `mode`.
fn mode_in(mode: &str) -> Result<Mode> {
    Mode::parse(mode).map_err(|error| ApiError::bad_request(format!("mode: {error}")))
}

/// A name or a path as it is told.
fn shown(name: impl AsRef<OsStr>) -> String {
    names::to_text(name.as_ref().as_bytes())
}
