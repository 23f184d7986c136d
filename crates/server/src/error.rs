//! The only place where an error becomes a response.
//!
//! A handler returns [`ApiError`]. It travels as a response extension up to
//! [`render`], which knows the request id: there the body is written, and the
//! private cause of a 5xx is logged, once.

mod devtools;
mod display;
mod files;
mod logs;
mod process;
mod supervisor;

use std::{borrow::Cow, error::Error, sync::Arc};

use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use browserd_api::Code;
use browserd_budget::Share;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{held::Held, middleware::request_id::RequestId};

/// Half of the longest message, in bytes. A path and what is wrong with it fit.
const HALF: usize = 5000;

/// A refusal or failure on its way to the client.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: Code,
    message: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    result: Option<Box<RawValue>>,
    cause: Option<Arc<dyn Error + Send + Sync>>,
    held: Arc<Vec<Share>>,
}

/// The body: the shape of [`browserd_api::Error`], and what was achieved before the failure.
#[derive(Serialize)]
struct Body<'a> {
    message: &'a str,
    code: Code,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a RawValue>,
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
            result: None,
            cause: None,
            held: Arc::default(),
        }
    }

    /// 400, `bad_request`.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Code::BadRequest, message)
    }

    /// 400, `permission_denied`: the operating system refused.
    pub(crate) fn permission_denied(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Code::PermissionDenied, message)
    }

    /// 403, `forbidden`: the caller may not call.
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, Code::Forbidden, message)
    }

    /// 404, `not_found`.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, Code::NotFound, message)
    }

    /// 404, `not_found`: the path leads nowhere.
    pub(crate) fn no_such_route(path: &str) -> Self {
        Self::not_found(format!("there is no route {path}"))
    }

    /// 405, `method_not_allowed`; `taken` are the methods that would do, as far as they are known.
    pub(crate) fn wrong_method(path: &str, method: &Method, taken: &[&str]) -> Self {
        let mut message = format!("{path} does not take {method}");
        if !taken.is_empty() {
            message.push_str("; it takes ");
            message.push_str(&taken.join(", "));
        }
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            Code::MethodNotAllowed,
            message,
        )
    }

    /// 408, `timeout`.
    pub(crate) fn timeout(message: impl Into<String>) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, Code::Timeout, message)
    }

    /// 409, `conflict`: the present state does not allow it.
    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, Code::Conflict, message)
    }

    /// 413, `payload_too_large`.
    pub(crate) fn payload_too_large(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            Code::PayloadTooLarge,
            message,
        )
    }

    /// 415, `unsupported_media_type`.
    pub(crate) fn unsupported_media_type(wanted: &str) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Code::UnsupportedMediaType,
            format!("Content-Type: this route takes only {wanted}"),
        )
    }

    /// 429, `too_many_requests`.
    pub(crate) fn too_many(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            Code::TooManyRequests,
            message,
        )
    }

    /// 500, `internal_error`. The cause is logged, and never shown.
    pub(crate) fn internal(
        message: impl Into<String>,
        cause: impl Error + Send + Sync + 'static,
    ) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            Code::InternalError,
            message,
        )
        .cause(cause)
    }

    /// 501, `not_implemented`: this machine lacks a part.
    pub(crate) fn not_implemented(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, Code::NotImplemented, message)
    }

    /// 503, `upstream_unavailable`: a part does not answer now.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            Code::UpstreamUnavailable,
            message,
        )
    }

    /// 507, `insufficient_storage`: the disk is full.
    pub(crate) fn insufficient_storage(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::INSUFFICIENT_STORAGE,
            Code::InsufficientStorage,
            message,
        )
    }

    /// Adds a response header.
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Says it in other words.
    pub(crate) fn saying(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// Adds what was achieved before the failure, as `result` in the body.
    pub(crate) fn result(mut self, result: &impl Serialize) -> Self {
        let json = serde_json::value::to_raw_value(result);
        self.result = Some(json.expect("wire types have a JSON form"));
        self
    }

    /// Gives a share of the memory of all requests back only when the answer has gone.
    pub(crate) fn holding(mut self, held: Vec<Share>) -> Self {
        self.held = Arc::new(held);
        self
    }

    /// Adds what is logged and never shown.
    pub(crate) fn cause(mut self, cause: impl Error + Send + Sync + 'static) -> Self {
        self.cause = Some(Arc::new(cause));
        self
    }

    #[cfg(test)]
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
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
fn chain(error: &(dyn Error + Send + Sync)) -> String {
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
    let body = Body {
        message: &shortened(&error.message),
        code: error.code,
        request_id: &id.to_string(),
        result: error.result.as_deref(),
    };
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    let answer = Held {
        answer: body,
        held: error.held.clone(),
    };
    let (fresh, body) = answer.into_response().into_parts();
    parts.headers.extend(fresh.headers);
    if is_passing(parts.status) {
        let soon = HeaderValue::from_static("1");
        parts.headers.entry(header::RETRY_AFTER).or_insert(soon);
    }
    Response::from_parts(parts, body)
}

/// The message without its middle, if it names something huge: a field may be of many MiB.
fn shortened(message: &str) -> Cow<'_, str> {
    if message.len() <= 2 * HALF {
        return message.into();
    }
    let mut head = HALF;
    while !message.is_char_boundary(head) {
        head -= 1;
    }
    let mut tail = message.len() - HALF;
    while !message.is_char_boundary(tail) {
        tail += 1;
    }
    format!("{}…{}", &message[..head], &message[tail..]).into()
}

/// Whether the same call may succeed in a moment.
fn is_passing(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_huge_message_loses_its_middle() {
        let usual = "x".repeat(2 * HALF);
        assert_eq!(shortened(&usual), usual);
        for huge in ["x", "ä", "字"] {
            let text = huge.repeat(1 << 20);
            let message = format!("command: a{text}b was not found");
            let shortened = shortened(&message);
            assert!(shortened.len() <= 2 * HALF + "…".len());
            assert!(shortened.len() > 2 * HALF - 2 * "字".len());
            assert!(shortened.starts_with(&format!("command: a{huge}")));
            assert!(shortened.ends_with(&format!("{huge}b was not found")));
        }
    }
}
