//! How failures of the screen, the mouse, the keyboard and the clipboard are answered.

use browserd_api::Code;
use browserd_display::Error;
use http::StatusCode;

use super::ApiError;

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::OutOfRange { .. }
            | Error::Scale { .. }
            | Error::RegionOutside { .. }
            | Error::NothingToChange
            | Error::Invalid { .. }
            | Error::Untypable { .. }
            | Error::NoSpareKey => Self::bad_request(message),
            // What the one action failed of counts; the message says which one it was.
            Error::Action { source, .. } => Self::from(*source).saying(message),
            Error::ClipboardTaken | Error::Held | Error::Disturbed => Self::conflict(message),
            Error::ClipboardTooLong => Self::payload_too_large(message),
            Error::ClipboardSilent => {
                Self::new(StatusCode::GATEWAY_TIMEOUT, Code::Timeout, message)
            }
            Error::NoDisplay
            | Error::NoCursor
            | Error::NoExtension { .. }
            | Error::NoXfixes
            | Error::NoRandr
            | Error::NoOutput
            | Error::Depth { .. } => Self::not_implemented(message),
            Error::Unreachable { .. }
            | Error::Silent { .. }
            | Error::Refused { .. }
            | Error::Lost { .. }
            | Error::Resizing { .. }
            | Error::Unresponsive
            | Error::Interrupted => Self::unavailable(message).cause(error),
            Error::Xdotool { .. } => Self::internal("xdotool failed", error),
            Error::NotTaken { .. }
            | Error::Request { .. }
            | Error::Memory { .. }
            | Error::Encode { .. }
            | Error::Wake { .. } => Self::internal(message, error),
        }
    }
}
