//! How failures of the DevTools proxy are answered.

use browserd_api::Code;
use browserd_devtools::{client, reach, upstream::Unavailable};
use http::StatusCode;

use super::ApiError;

impl From<reach::Error> for ApiError {
    fn from(error: reach::Error) -> Self {
        match error {
            reach::Error::Unavailable(waiting) => waiting.into(),
            reach::Error::Client(error) => error.into(),
        }
    }
}

impl From<Unavailable> for ApiError {
    fn from(waiting: Unavailable) -> Self {
        Self::unavailable(format!(
            "Chromium is not available: {}",
            waiting.waiting_for
        ))
    }
}

impl From<client::Error> for ApiError {
    fn from(error: client::Error) -> Self {
        let answer = match &error {
            client::Error::Connect { .. } | client::Error::Exchange { .. } => {
                Self::unavailable("Chromium is not available: it went away during the request")
            }
            client::Error::Timeout { .. } => {
                let message = "Chromium did not answer in time";
                Self::new(StatusCode::GATEWAY_TIMEOUT, Code::Timeout, message)
            }
            client::Error::Body { .. }
            | client::Error::TooLarge { .. }
            | client::Error::Handshake { .. } => {
                let message = "Chromium's answer cannot be used";
                Self::new(StatusCode::BAD_GATEWAY, Code::UpstreamUnavailable, message)
            }
            client::Error::Path { path, .. } => {
                Self::bad_request(format!("the path {path} cannot be asked for"))
            }
            client::Error::Key => Self::bad_request("Sec-WebSocket-Key: not a header value"),
        };
        answer.cause(error)
    }
}
