//! The address by which a client reached the daemon, maybe through proxies.

use std::net::Ipv6Addr;

use http::header::HOST;
use http::{HeaderMap, HeaderName};

const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

/// Where the client would connect to, to come here again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    secure: bool,
    authority: String,
    /// Empty, or begins with a slash and does not end with one.
    prefix: String,
}

impl Address {
    /// The address from `X-Forwarded-Host`, `-Proto` and `-Prefix` (the first value of a list:
    /// the proxy nearest to the client), else from `Host`, else `fallback`, a `host:port`.
    ///
    /// These headers are anyone's: a value that is not plainly a host, a scheme or a path is as
    /// if it were not there.
    #[must_use]
    pub fn of(headers: &HeaderMap, fallback: &str) -> Self {
        let authority = first(headers, &FORWARDED_HOST)
            .filter(|host| is_authority(host))
            .or_else(|| first(headers, &HOST).filter(|host| is_authority(host)))
            .unwrap_or(fallback)
            .to_owned();
        let secure = first(headers, &FORWARDED_PROTO).is_some_and(|proto| {
            proto.eq_ignore_ascii_case("https") || proto.eq_ignore_ascii_case("wss")
        });
        let prefix = first(headers, &FORWARDED_PREFIX).filter(|prefix| is_prefix(prefix));
        let prefix = prefix.unwrap_or_default().trim_end_matches('/').to_owned();
        Self {
            secure,
            authority,
            prefix,
        }
    }

    /// `ws`, or `wss` behind https.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.secure { "wss" } else { "ws" }
    }

    /// The address of `path` (which begins with a slash), without its scheme.
    #[must_use]
    pub fn without_scheme(&self, path: &str, query: Option<&str>) -> String {
        let Self {
            authority, prefix, ..
        } = self;
        match query {
            Some(query) => format!("{authority}{prefix}{path}?{query}"),
            None => format!("{authority}{prefix}{path}"),
        }
    }

    /// The WebSocket URL of `path`.
    #[must_use]
    pub fn websocket_url(&self, path: &str, query: Option<&str>) -> String {
        format!("{}://{}", self.scheme(), self.without_scheme(path, query))
    }
}

/// The first value of a header that may be a list.
fn first<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let value = headers.get(name)?.to_str().ok()?;
    value
        .split(',')
        .next()
        .map(str::trim)
        .filter(|value| !value.is_empty())
}

/// A host, maybe with a port; nothing that could end it and begin something else.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) if host.parse::<Ipv6Addr>().is_ok() => ("v6", port),
        Some(_) => return false,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let is_host = (1..=253).contains(&host.len())
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    is_host
        && (port.is_empty()
            || port
                .strip_prefix(':')
                .is_some_and(|port| is_port(port) && port.parse::<u16>().is_ok()))
}

/// A path of plain segments.
fn is_prefix(text: &str) -> bool {
    text.len() <= 1024
        && text.starts_with('/')
        && !text.contains("//")
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"/-._~%".contains(&byte))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn url(headers: &[(&'static str, &str)]) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            map.append(*name, value);
        }
        Address::of(&map, "127.0.0.1:9222").websocket_url("/x", None)
    }

    #[test]
    fn the_host_is_kept_as_it_came() {
        assert_eq!(url(&[]), "ws://127.0.0.1:9222/x");
        for host in [
            "localhost:9222",
            "[::1]:9222",
            "10.0.0.7",
            "chrome_1.internal:80",
        ] {
            assert_eq!(url(&[("host", host)]), format!("ws://{host}/x"));
        }
    }

    #[test]
    fn a_proxy_in_front_is_what_the_client_knows() {
        assert_eq!(
            url(&[
                ("host", "10.0.0.7:9222"),
                ("x-forwarded-host", "browsers.example.com, inner"),
                ("x-forwarded-proto", "https,http"),
                ("x-forwarded-prefix", "/b/7/"),
            ]),
            "wss://browsers.example.com/b/7/x"
        );
    }

    #[test]
    fn malformed_headers_change_nothing() {
        for evil in [
            "a b", "a/b", "a\"b", "a\\b", "a@b", "a?b", "a#b", "a<b", "a%41", "a:b", "a:", ":80",
            "a:99999", "[::1", "a\tb", "ä", "\u{1}",
        ] {
            // Control characters are not even header values.
            if HeaderValue::from_str(evil).is_err() {
                continue;
            }
            let headers = [("host", "h:1"), ("x-forwarded-host", evil)];
            assert_eq!(url(&headers), "ws://h:1/x", "{evil}");
            assert_eq!(url(&[("host", evil)]), "ws://127.0.0.1:9222/x", "{evil}");
        }
        for evil in [
            "b",
            "//evil",
            "/a b",
            "/a?b",
            "/a#b",
            "/a\"",
            "/a<",
            "http://e/",
        ] {
            let headers = [("host", "h:1"), ("x-forwarded-prefix", evil)];
            assert_eq!(url(&headers), "ws://h:1/x", "{evil}");
        }
        for evil in ["httpsx", "javascript", "https://", "ht tps"] {
            let headers = [("host", "h:1"), ("x-forwarded-proto", evil)];
            assert_eq!(url(&headers), "ws://h:1/x", "{evil}");
        }
    }
}
