//! How failures of the file routes are answered.

use browserd_api::Code;
use browserd_files::{Error, OsKind};
use http::StatusCode;

use super::ApiError;

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::InvalidPath { .. }
            | Error::InvalidMode { .. }
            | Error::UnknownOwner { .. }
            | Error::UnknownGroup { .. }
            | Error::InvalidCursor
            | Error::BadArchive { .. }
            | Error::BrokenOff
            | Error::Unwatchable { .. } => Self::bad_request(message),
            Error::Os { kind, .. } => os(kind, message, error),
            Error::Precondition { .. } => {
                Self::new(StatusCode::PRECONDITION_FAILED, Code::Conflict, message)
            }
            Error::Changed { .. } => Self::conflict(message),
            Error::ArchiveTooLarge { .. } => Self::payload_too_large(message),
            Error::TooManyArchives { .. }
            | Error::TooManyWatches { .. }
            | Error::TooManyReaders { .. }
            | Error::WatchLimit { .. } => Self::too_many(message),
            Error::UnknownWatch { .. } => Self::not_found(message),
            Error::WatchBroke { .. } => Self::internal("the watch broke", error),
            Error::NoAnswer(_) | Error::Interrupted { .. } => Self::unavailable(message),
        }
    }
}

/// What the operating system said. Its own words stay in the log where the fault is not the
/// caller's.
fn os(kind: OsKind, message: String, error: Error) -> ApiError {
    match kind {
        OsKind::NotFound => ApiError::not_found(message),
        OsKind::Exists | OsKind::NotEmpty | OsKind::Busy => ApiError::conflict(message),
        OsKind::IsDirectory
        | OsKind::NotDirectory
        | OsKind::NotFile
        | OsKind::SymlinkLoop
        | OsKind::NameTooLong
        | OsKind::Invalid => ApiError::bad_request(message),
        OsKind::PermissionDenied => ApiError::permission_denied(message),
        OsKind::NoSpace => ApiError::insufficient_storage(message).cause(error),
        OsKind::FileTooLarge => ApiError::payload_too_large(message),
        OsKind::Exhausted => ApiError::unavailable(message).cause(error),
        OsKind::Other => ApiError::internal(message, error),
    }
}
