//! How failures of supervisord are answered.

use browserd_api::Code;
use browserd_supervisor::Error;
use http::StatusCode;

use super::ApiError;

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::NotFound(_) => Self::not_found(message),
            Error::Unsendable(_) => Self::bad_request(message),
            Error::AlreadyStarted(_) | Error::NotRunning(_) => Self::conflict(message),
            Error::NotStarted { .. } => Self::internal("the program does not start", error),
            Error::Unreachable { .. }
            | Error::Broken(_)
            | Error::Silent(_)
            | Error::ShuttingDown => {
                Self::unavailable("supervisord does not answer now").cause(error)
            }
            Error::TooLarge(_) | Error::Status(_) | Error::Malformed(_) | Error::Fault { .. } => {
                let message = "supervisord's answer cannot be used";
                Self::new(StatusCode::BAD_GATEWAY, Code::UpstreamUnavailable, message).cause(error)
            }
        }
    }
}
