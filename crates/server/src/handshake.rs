//! The client's side of the WebSocket opening handshake (RFC 6455, section 4.2.1).

use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};

use crate::error::{ApiError, Result};

/// Length of a key: 16 bytes in base64, padding included.
const KEY_LENGTH: usize = 24;

/// Whether the client asks for a WebSocket at all.
pub(crate) fn is_asked_for(headers: &HeaderMap) -> bool {
    has_token(headers, &header::UPGRADE, "websocket")
}

/// The client's key, from a handshake that is whole.
pub(crate) fn key<'a>(
    method: &Method,
    version: Version,
    headers: &'a HeaderMap,
) -> Result<&'a str> {
    if method != Method::GET || version != Version::HTTP_11 {
        return Err(ApiError::bad_request(
            "a WebSocket is opened by GET over HTTP/1.1",
        ));
    }
    if !has_token(headers, &header::CONNECTION, "upgrade") {
        return Err(ApiError::bad_request(
            "Connection: Upgrade is missing from the handshake",
        ));
    }
    if headers
        .get(header::SEC_WEBSOCKET_VERSION)
        .is_none_or(|version| version != "13")
    {
        let error = ApiError::bad_request("Sec-WebSocket-Version: only 13 is spoken here");
        let spoken = HeaderValue::from_static("13");
        return Err(error.header(header::SEC_WEBSOCKET_VERSION, spoken));
    }
    let key = headers
        .get(header::SEC_WEBSOCKET_KEY)
        .and_then(|key| key.to_str().ok());
    key.filter(|key| is_key(key.as_bytes())).ok_or_else(|| {
        ApiError::bad_request("Sec-WebSocket-Key: the handshake needs 16 bytes in base64")
    })
}

/// The answer to a handshake, with what its key asks for.
pub(crate) fn switching(accept: HeaderValue) -> Response {
    let headers = [
        (header::CONNECTION, HeaderValue::from_static("Upgrade")),
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::SEC_WEBSOCKET_ACCEPT, accept),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

fn is_key(key: &[u8]) -> bool {
    let Some(digits) = key.strip_suffix(b"==") else {
        return false;
    };
    key.len() == KEY_LENGTH
        && digits
            .iter()
            .all(|digit| digit.is_ascii_alphanumeric() || b"+/".contains(digit))
}

/// Whether a comma-separated header has the token, in any case.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|given| given.trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: [(&str, &str); 4] = [
        ("upgrade", "websocket"),
        ("connection", "keep-alive, Upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    /// The whole handshake with one header changed; an empty value leaves it out.
    fn with(name: &str, value: &str) -> HeaderMap {
        WHOLE
            .iter()
            .map(|&(known, whole)| (known, if known == name { value } else { whole }))
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
            .collect()
    }

    fn refused(headers: &HeaderMap) -> bool {
        key(&Method::GET, Version::HTTP_11, headers).is_err()
    }

    #[test]
    fn a_whole_handshake_gives_its_key() {
        let headers = with("", "");
        assert!(is_asked_for(&headers));
        let key = key(&Method::GET, Version::HTTP_11, &headers).unwrap();
        assert_eq!(key, WHOLE[3].1);
    }

    #[test]
    fn each_malformed_part_is_refused() {
        for (name, value) in [
            ("connection", ""),
            ("connection", "close"),
            ("sec-websocket-version", ""),
            ("sec-websocket-version", "8"),
            ("sec-websocket-key", ""),
            ("sec-websocket-key", "short=="),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=A"),
            ("sec-websocket-key", "dGhl!HNhbXBsZSBub25jZQ=="),
        ] {
            assert!(refused(&with(name, value)), "{name}: {value}");
        }
        let whole = with("", "");
        assert!(key(&Method::POST, Version::HTTP_11, &whole).is_err());
        assert!(key(&Method::GET, Version::HTTP_10, &whole).is_err());
    }

    #[test]
    fn another_protocol_is_not_a_websocket() {
        assert!(!is_asked_for(&with("upgrade", "h2c")));
        assert!(!is_asked_for(&with("upgrade", "")));
        assert!(is_asked_for(&with("upgrade", "h2c, WebSocket")));
    }
}
