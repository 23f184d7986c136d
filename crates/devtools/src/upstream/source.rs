//! Where the browser's address comes from.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::Peer;

/// Where the browser's address comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The file that has Chromium's standard error.
    Log(PathBuf),
    /// One address.
    Fixed(Fixed),
}

/// A fixed upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fixed {
    /// `ws://host:port/path`: used as it is. It need not be a browser; it counts as up when it
    /// takes a connection, and its loss shows by the next one that fails.
    Given {
        /// Where to connect.
        peer: Peer,
        /// What to ask for.
        path: String,
    },
    /// `http://host:port` or `ws://host:port`: `/json/version` there says the rest.
    Proven(Peer),
}

/// What is not allowed as a fixed upstream, and what is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{problem}; allowed is ws://host:port/devtools/browser/<id>, ws://host:port or http://host:port"
)]
pub struct ParseFixedError {
    problem: &'static str,
}

impl FromStr for Fixed {
    type Err = ParseFixedError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map_err(|problem| ParseFixedError { problem })
    }
}

impl fmt::Display for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given { peer, path } => write!(f, "ws://{peer}{path}"),
            Self::Proven(peer) => write!(f, "http://{peer}"),
        }
    }
}

fn parse(text: &str) -> Result<Fixed, &'static str> {
    let (scheme, rest) = text.split_once("://").ok_or("it is no URL")?;
    let is_http = match scheme.to_ascii_lowercase().as_str() {
        "ws" => false,
        "http" => true,
        "wss" | "https" => return Err("TLS to the browser is not supported"),
        _ => return Err("its scheme is unknown"),
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let peer = parse_peer(authority)?;
    match path {
        "" | "/" => Ok(Fixed::Proven(peer)),
        _ if is_http => Err("an http URL takes no path"),
        _ if !path.starts_with('/') || path.parse::<http::uri::PathAndQuery>().is_err() => {
            Err("its path is malformed")
        }
        _ if path.contains('#') => Err("it has a fragment"),
        _ => Ok(Fixed::Given {
            peer,
            path: path.to_owned(),
        }),
    }
}

/// `host:port`.
pub(super) fn parse_peer(authority: &str) -> Result<Peer, &'static str> {
    let (host, port) = authority.rsplit_once(':').ok_or("it names no port")?;
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|port| is_port && *port > 0);
    let port = port.ok_or("its port is not a number from 1 to 65535")?;
    let host = match host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        Some(host) if host.parse::<std::net::Ipv6Addr>().is_ok() => host,
        None if is_name(host) => host,
        _ => return Err("its host is malformed"),
    };
    Ok(Peer::new(host, port))
}

fn is_name(host: &str) -> bool {
    !host.is_empty()
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_url_is_given_and_a_bare_one_proven() {
        let given: Fixed = "ws://127.0.0.1:9/devtools/browser/a-b".parse().unwrap();
        let path = "/devtools/browser/a-b".to_owned();
        assert_eq!(
            given,
            Fixed::Given {
                peer: Peer::new("127.0.0.1", 9),
                path
            }
        );
        assert_eq!(given.to_string(), "ws://127.0.0.1:9/devtools/browser/a-b");
        for text in [
            "ws://[::1]:9",
            "ws://[::1]:9/",
            "http://[::1]:9",
            "HTTP://[::1]:9/",
        ] {
            let proven: Fixed = text.parse().unwrap();
            assert_eq!(proven, Fixed::Proven(Peer::new("::1", 9)), "{text}");
        }
    }

    #[test]
    fn all_else_is_refused_with_what_is_allowed() {
        for (text, problem) in [
            ("", "no URL"),
            ("9222", "no URL"),
            ("127.0.0.1:9222", "no URL"),
            ("wss://h:1/", "TLS"),
            ("https://h:1", "TLS"),
            ("ftp://h:1", "scheme"),
            ("ws://h", "port"),
            ("ws://h:0", "port"),
            ("ws://h:+1", "port"),
            ("ws://h:65536", "port"),
            ("ws://:1", "host"),
            ("ws://a b:1", "host"),
            ("ws://u@h:1", "host"),
            ("ws://::1:1", "host"),
            ("ws://[x]:1", "host"),
            ("http://h:1/json", "no path"),
            ("ws://h:1/a b", "path"),
            ("ws://h:1?x", "path"),
            ("ws://h:1/a#b", "fragment"),
        ] {
            let error = text.parse::<Fixed>().unwrap_err().to_string();
            assert!(error.contains(problem), "{text}: {error}");
            assert!(error.contains("allowed is ws://host:port"), "{error}");
        }
    }
}
