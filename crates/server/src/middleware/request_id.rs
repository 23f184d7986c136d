//! Gives every request an id: the client's own when well-formed, else a new one.

use std::{fmt, sync::Arc};

use axum::{extract::Request, middleware::Next, response::Response};
use http::{HeaderName, HeaderValue};
use uuid::Uuid;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id that is taken from a client, in bytes.
const LONGEST: usize = 128;

/// The id of a request; an extension of the request and a header of the response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RequestId(Arc<str>);

impl RequestId {
    fn take_or_make(given: Option<&HeaderValue>) -> Self {
        let well_formed = given
            .and_then(|value| value.to_str().ok())
            .filter(|id| (1..=LONGEST).contains(&id.len()))
            .filter(|id| id.bytes().all(|byte| byte.is_ascii_graphic()));
        Self(well_formed.map_or_else(|| Uuid::new_v4().to_string().into(), Into::into))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Puts the id on the request before, and on the response after.
pub(crate) async fn layer(mut request: Request, next: Next) -> Response {
    let id = RequestId::take_or_make(request.headers().get(X_REQUEST_ID));
    request.extensions_mut().insert(id.clone());
    let mut response = next.run(request).await;
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(text: &'static str) -> String {
        RequestId::take_or_make(Some(&HeaderValue::from_static(text))).to_string()
    }

    #[test]
    fn a_well_formed_id_is_kept() {
        assert_eq!(take("abc-123_~"), "abc-123_~");
    }

    #[test]
    fn an_ill_formed_id_is_replaced() {
        for bad in ["", "two words", "tab\tinside"] {
            assert!(Uuid::parse_str(&take(bad)).is_ok(), "{bad:?} was kept");
        }
        let long = HeaderValue::from_str(&"x".repeat(LONGEST + 1)).unwrap();
        assert!(Uuid::parse_str(&RequestId::take_or_make(Some(&long)).0).is_ok());
        let bytes = HeaderValue::from_bytes(b"caf\xe9").unwrap();
        assert!(Uuid::parse_str(&RequestId::take_or_make(Some(&bytes)).0).is_ok());
    }
}
