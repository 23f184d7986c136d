//! The overlay file: flags that the API laid over the configured ones, as
//! `{"flags": ["--name=value", …]}`.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// Far above any command line that Linux would start (128 KiB an argument).
const MAX_SIZE: u64 = 1024 * 1024;

/// The content of the overlay file.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overlay {
    /// The flags, each with its leading `--`.
    pub flags: Vec<String>,
}

/// Why the overlay file cannot be used.
///
/// A file that is there and cannot be understood is an error, not an empty overlay: a browser
/// that silently starts without its `--proxy-server` shows its own address to the world.
#[derive(Debug, thiserror::Error)]
pub enum OverlayError {
    /// The file exists and cannot be read.
    #[error("cannot read the flags file {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file is too large to be one.
    #[error("the flags file {0} is larger than 1 MiB")]
    TooLarge(PathBuf),
    /// The file is not what it should be.
    #[error("the flags file {path} is not {{\"flags\": [\"--name=value\", …]}}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: serde_json::Error,
    },
    /// An entry is no flag.
    #[error("the flags file {path} has {entry:?}, which does not start with \"--\"")]
    NoFlag {
        /// The file.
        path: PathBuf,
        /// The entry.
        entry: String,
    },
}

impl Overlay {
    /// Reads the file. A missing or empty one is an overlay without flags.
    pub fn read(path: &Path) -> Result<Self, OverlayError> {
        let failed = |source| OverlayError::Read {
            path: path.to_owned(),
            source,
        };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(failed(error)),
        };
        let mut text = Vec::new();
        file.take(MAX_SIZE + 1)
            .read_to_end(&mut text)
            .map_err(failed)?;
        if text.len() as u64 > MAX_SIZE {
            return Err(OverlayError::TooLarge(path.to_owned()));
        }
        if text.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        let overlay: Self =
            serde_json::from_slice(&text).map_err(|source| OverlayError::Malformed {
                path: path.to_owned(),
                source,
            })?;
        match overlay.flags.iter().find(|flag| !flag.starts_with("--")) {
            Some(entry) => Err(OverlayError::NoFlag {
                path: path.to_owned(),
                entry: entry.clone(),
            }),
            None => Ok(overlay),
        }
    }
}
