//! How failures of the process routes are answered.

use std::io;

use browserd_process::Error;

use super::ApiError;

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::Invalid { .. }
            | Error::NotFound { .. }
            | Error::NotExecutable { .. }
            | Error::TooLarge
            | Error::Cwd { .. }
            | Error::UnknownUser { .. }
            | Error::NotATerminal { .. } => Self::bad_request(message),
            Error::Ahead { .. } => Self::bad_request(format!("last_event_id: {message}")),
            Error::SwitchUser { .. } => Self::forbidden(message),
            Error::TooMany { .. } | Error::TooManyStreams { .. } | Error::StdinBusy { .. } => {
                Self::too_many(message)
            }
            Error::Unknown { .. } => Self::not_found(message),
            Error::Attached { .. } | Error::Exited { .. } | Error::StdinClosed { .. } => {
                Self::conflict(message)
            }
            Error::Signal { id, source } => match source.kind() {
                io::ErrorKind::PermissionDenied => Self::permission_denied(format!(
                    "{message}: this daemon may not signal that process"
                )),
                _ => Self::internal(message, Error::Signal { id, source }),
            },
            Error::Stopping => Self::unavailable(message),
            Error::Exhausted { .. } => Self::unavailable(message).cause(error),
            Error::System { attempt, source } => match source.kind() {
                io::ErrorKind::StorageFull => Self::insufficient_storage(message),
                _ => Self::internal(message, Error::System { attempt, source }),
            },
        }
    }
}
