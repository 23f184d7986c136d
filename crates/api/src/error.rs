//! The one error shape, and the closed list of its codes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The body of every answer with a status of 400 or above.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Error {
    /// What was wrong, naming the field or the path.
    pub message: String,
    /// The stable code to branch on.
    pub code: Code,
    /// Several findings, where one message cannot hold them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub details: Vec<Detail>,
    /// The id of the request, as in the `X-Request-Id` header and in the log.
    pub request_id: String,
}

/// One finding of several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Detail {
    /// The stable code of this finding.
    pub code: Code,
    /// What was wrong, naming the field or the path.
    pub message: String,
}

/// What went wrong, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// 400: a field, a parameter or the request itself is wrong.
    BadRequest,
    /// 400: the operating system refused, by permission, what was asked for.
    PermissionDenied,
    /// 401: no credentials, or expired ones.
    Unauthorized,
    /// 403: the caller may not do this.
    Forbidden,
    /// 404: there is no such route, process, file or target.
    NotFound,
    /// 405: the route has other methods.
    MethodNotAllowed,
    /// 408 or 504: it took too long.
    Timeout,
    /// 409: the present state does not allow it.
    Conflict,
    /// 413: the body is larger than the limit.
    PayloadTooLarge,
    /// 415: the content type is not the one that the route takes.
    UnsupportedMediaType,
    /// 416: the range is outside the file.
    RangeNotSatisfiable,
    /// 422: well-formed, yet it cannot be processed.
    Unprocessable,
    /// 429: a limit on how many at once is reached.
    TooManyRequests,
    /// 500: a fault of the daemon; the log has the cause under the request id.
    InternalError,
    /// 501: a part that the route needs is missing on this machine.
    NotImplemented,
    /// 502 or 503: a part that the route needs does not answer now.
    UpstreamUnavailable,
    /// 507: the disk is full.
    InsufficientStorage,
}
