//! How failures of the log routes are answered.

use std::io;

use browserd_follow::Error;

use super::ApiError;

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        match &error {
            Error::Open { path, source } | Error::Read { path, source } => {
                let message = |what| format!("cannot read the log {}: {what}", path.display());
                match source.kind() {
                    io::ErrorKind::NotFound => Self::not_found(message("no such file")),
                    io::ErrorKind::PermissionDenied => {
                        Self::permission_denied(message("permission denied"))
                    }
                    io::ErrorKind::IsADirectory => Self::bad_request(message("it is a directory")),
                    io::ErrorKind::NotADirectory => {
                        Self::bad_request(message("a part of its path is not a directory"))
                    }
                    // `/proc/kmsg` and its like are regular files by their mode alone.
                    io::ErrorKind::InvalidInput
                    | io::ErrorKind::NotSeekable
                    | io::ErrorKind::WouldBlock => {
                        Self::bad_request(message("it is not a regular file"))
                    }
                    io::ErrorKind::InvalidFilename => {
                        Self::bad_request(message("the name is too long"))
                    }
                    _ => Self::internal(message("the operating system failed"), error),
                }
            }
            Error::Watch { path, .. } => Self::too_many(format!(
                "cannot follow {}: the kernel's limit of inotify instances is reached",
                path.display()
            )),
            Error::NoAnswer { source, .. } => Self::unavailable(source.to_string()),
        }
    }
}
