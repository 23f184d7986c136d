//! The only place where an error becomes a response.
//!
//! A handler returns [`ApiError`]. It travels as a response extension up to
//! [`render`], which knows the request id: there the body is written, and the
//! private cause of a 5xx is logged, once.

use std::{error::Error as StdError, sync::Arc};

use axum::{
    Json,
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use browserd_api::{Code, Error};
use browserd_devtools::{client, reach};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};

use crate::middleware::request_id::RequestId;

/// A refusal or failure on its way to the client.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: Code,
    message: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    cause: Option<Arc<dyn StdError + Send + Sync>>,
}

/// The handlers' result.
pub(crate) type Result<T> = std::result::Result<T, ApiError>;

impl ApiError {
    /// An answer with this status and code; `message` is for the client.
    pub(crate) fn new(status: StatusCode, code: Code, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            headers: Vec::new(),
            cause: None,
        }
    }

    /// 400, `bad_request`.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Code::BadRequest, message)
    }

    /// 403, `forbidden`: the caller may not call.
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, Code::Forbidden, message)
    }

    /// 404, `not_found`: the path leads nowhere.
    pub(crate) fn no_such_route(path: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            Code::NotFound,
            format!("there is no route {path}"),
        )
    }

    /// 405, `method_not_allowed`.
    pub(crate) fn wrong_method(path: &str, method: &Method) -> Self {
        let message = format!("{path} does not take {method}");
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            Code::MethodNotAllowed,
            message,
        )
    }

    /// 503, `upstream_unavailable`, to be tried again after a second.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            Code::UpstreamUnavailable,
            message,
        )
        .header(header::RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// Adds a response header.
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Adds what is logged and never shown.
    pub(crate) fn cause(mut self, cause: impl StdError + Send + Sync + 'static) -> Self {
        self.cause = Some(Arc::new(cause));
        self
    }

    fn log(&self) {
        if !self.status.is_server_error() {
            return;
        }
        let cause = self.cause.as_deref().map(chain);
        tracing::warn!(http.status = self.status.as_u16(), error = %self.message, cause, "request failed");
    }
}

/// An error with all its sources, in one line.
fn chain(error: &(dyn StdError + Send + Sync)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.headers_mut().extend(self.headers.iter().cloned());
        response.extensions_mut().insert(self);
        response
    }
}

impl From<reach::Error> for ApiError {
    fn from(error: reach::Error) -> Self {
        match error {
            reach::Error::Unavailable(waiting) => Self::unavailable(format!(
                "Chromium is not available: {}",
                waiting.waiting_for
            )),
            reach::Error::Client(error) => error.into(),
        }
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

/// Writes the bodies of refusals, which need the request's id.
pub(crate) async fn render(request: Request, next: Next) -> Response {
    let id = request
        .extensions()
        .get::<RequestId>()
        .cloned()
        .unwrap_or_default();
    let mut response = next.run(request).await;
    let Some(error) = response.extensions_mut().remove::<ApiError>() else {
        return response;
    };
    error.log();
    let body = Error {
        message: error.message,
        code: error.code,
        details: Vec::new(),
        request_id: id.to_string(),
    };
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    let (fresh, body) = Json(body).into_response().into_parts();
    parts.headers.extend(fresh.headers);
    Response::from_parts(parts, body)
}
