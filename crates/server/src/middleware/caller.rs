//! Who may call: a browser runs strangers' pages next to this API.
//!
//! Five rules, on every route of every port, before anything else is looked at:
//!
//! 1. a request must name a host;
//! 2. `Sec-Fetch-Site: cross-site` and `same-site` are refused;
//! 3. an `Origin` is refused unless it is configured (`null` is an origin too);
//! 4. a caller on this machine must name a loopback address or `localhost`;
//! 5. a host must be an address, an internal name, or configured.
//!
//! Each closes a way that the others leave open: docs/security.md has the table.
//! `Sec-Fetch-Mode` decides nothing, because Node's `fetch` always sends `cors`.

use std::{net::IpAddr, str::FromStr, sync::Arc};

use axum::{
    Extension,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, Uri, Version, header, uri::Authority};

use crate::{error::ApiError, listener::Peer};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Suffixes of names that no public DNS serves.
const INTERNAL_SUFFIXES: [&str; 5] = [
    ".internal",
    ".local",
    ".localhost",
    ".svc",
    ".cluster.local",
];

/// An origin that may call from a page: `scheme://host[:port]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    /// The origin as a browser sends it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WANTED: &str = "an origin such as https://app.example.com or http://localhost:3000";
        let uri: Uri = text.parse().map_err(|_| WANTED)?;
        let (Some("http" | "https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(WANTED);
        };
        if uri.path_and_query().is_some_and(|rest| rest != "/") || authority.as_str().contains('@')
        {
            return Err(WANTED);
        }
        Ok(Self(text.trim_end_matches('/').to_ascii_lowercase()))
    }
}

/// A name that `Host` may have beyond the internal ones: a name, `*.suffix`, or `*` for any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern(String);

impl HostPattern {
    fn matches(&self, host: &str) -> bool {
        match self.0.strip_prefix('*') {
            Some(suffix) => host.ends_with(suffix) && host.len() > suffix.len(),
            None => host == self.0,
        }
    }
}

impl FromStr for HostPattern {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.strip_prefix("*.").unwrap_or(text);
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if text != "*" && (name.is_empty() || !name.bytes().all(legal)) {
            return Err("a host name without port, *.suffix, or * for any");
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

/// What is configured of the rules.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Origins of pages that may call, and get CORS answers.
    pub allowed_origins: Vec<Origin>,
    /// Names that `Host` may have.
    pub allowed_hosts: Vec<HostPattern>,
}

/// Which port a request came in on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Surface {
    /// The HTTP API.
    Api,
    /// The DevTools proxy, which serves no HTML: an origin equal to its own address can
    /// only come from a program, and Python's websocket-client sends exactly that.
    DevTools,
}

/// The rule by which a request was refused; an extension of the response, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    NoHost,
    CrossSite,
    Origin,
    OwnMachine,
    HostName,
}

impl Refusal {
    /// The name of the rule, for the access log.
    pub(crate) fn rule(self) -> &'static str {
        match self {
            Self::NoHost => "no_host",
            Self::CrossSite => "sec_fetch_site",
            Self::Origin => "origin",
            Self::OwnMachine => "own_machine_host",
            Self::HostName => "host_name",
        }
    }

    fn error(self) -> ApiError {
        match self {
            Self::NoHost => ApiError::bad_request("Host: the header is missing or malformed"),
            Self::CrossSite => ApiError::forbidden(
                "Sec-Fetch-Site: a request made by a page of another site is refused; \
                 ALLOWED_ORIGINS names the origins that may call",
            ),
            Self::Origin => ApiError::forbidden(
                "Origin: a page of this origin may not call; \
                 ALLOWED_ORIGINS names the origins that may",
            ),
            Self::OwnMachine => ApiError::forbidden(
                "Host: a caller on this machine must name a loopback address or localhost",
            ),
            Self::HostName => ApiError::forbidden(
                "Host: this name is not known to be this machine's; \
                 ALLOWED_HOSTS names the ones that are (* allows any)",
            ),
        }
    }
}

impl Rules {
    fn judge(&self, surface: Surface, own_machine: bool, head: &Head<'_>) -> Result<(), Refusal> {
        let host = head.host().ok_or(Refusal::NoHost)?;
        let origin = head
            .headers
            .get(header::ORIGIN)
            .map(|value| value.to_str().unwrap_or("null"));
        let listed = origin.is_some_and(|origin| self.lists(origin));
        let site = head
            .headers
            .get(SEC_FETCH_SITE)
            .map(http::HeaderValue::as_bytes);
        if matches!(site, Some(b"cross-site" | b"same-site")) && !listed {
            return Err(Refusal::CrossSite);
        }
        if let Some(origin) = origin
            && !listed
            && !(surface == Surface::DevTools && host.is_origin_of_a_program(origin))
        {
            return Err(Refusal::Origin);
        }
        if own_machine && !host.is_loopback() {
            return Err(Refusal::OwnMachine);
        }
        if !host.is_internal()
            && !self
                .allowed_hosts
                .iter()
                .any(|known| known.matches(&host.name))
        {
            return Err(Refusal::HostName);
        }
        Ok(())
    }

    fn lists(&self, origin: &str) -> bool {
        self.allowed_origins
            .iter()
            .any(|known| known.0.eq_ignore_ascii_case(origin))
    }
}

/// The part of a request that the rules look at.
struct Head<'a> {
    uri: &'a Uri,
    version: Version,
    headers: &'a HeaderMap,
}

impl Head<'_> {
    /// The host that the request names: one `Host` header, or the authority of an
    /// absolute request target, which must agree with it (RFC 9112, section 3.2).
    fn host(&self) -> Option<Host> {
        let mut given = self.headers.get_all(header::HOST).iter();
        let first = given.next();
        if given.next().is_some() || self.version < Version::HTTP_10 {
            return None;
        }
        let named = match first {
            Some(value) => Some(value.to_str().ok()?.parse::<Authority>().ok()?),
            None => None,
        };
        match (named, self.uri.authority()) {
            (Some(named), Some(target)) if named != *target => None,
            (Some(authority), _) => Host::new(&authority),
            (None, Some(authority)) => Host::new(authority),
            (None, None) => None,
        }
    }
}

/// A host as a request names it.
struct Host {
    /// Lower case, without port, brackets and final dot.
    name: String,
    /// As given, with the port.
    authority: String,
    ip: Option<IpAddr>,
}

impl Host {
    fn new(authority: &Authority) -> Option<Self> {
        if authority.as_str().contains('@') {
            return None;
        }
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        if name.is_empty() {
            return None;
        }
        let ip = name.parse::<IpAddr>().ok().map(|ip| ip.to_canonical());
        Some(Self {
            name,
            authority: authority.as_str().to_ascii_lowercase(),
            ip,
        })
    }

    fn is_loopback(&self) -> bool {
        self.name == "localhost" || self.ip.is_some_and(|ip| ip.is_loopback())
    }

    /// An address or a name that an attacker's DNS cannot hand out.
    fn is_internal(&self) -> bool {
        self.ip.is_some()
            || !self.name.contains('.')
            || INTERNAL_SUFFIXES
                .iter()
                .any(|suffix| self.name.ends_with(suffix))
    }

    /// Whether `origin` is this very host, and the host one that no page can pose as.
    fn is_origin_of_a_program(&self, origin: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        let authority = origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"));
        authority == Some(&self.authority) && (self.ip.is_some() || self.name == "localhost")
    }
}

/// Lets a request in, or answers it with the rule that refuses it.
pub(crate) async fn layer(
    State((surface, rules)): State<(Surface, Arc<Rules>)>,
    Extension(peer): Extension<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let head = Head {
        uri: request.uri(),
        version: request.version(),
        headers: request.headers(),
    };
    match rules.judge(surface, peer.own_machine, &head) {
        Ok(()) => next.run(request).await,
        Err(refusal) => {
            let mut response = refusal.error().into_response();
            response.extensions_mut().insert(refusal);
            response
        }
    }
}

#[cfg(test)]
mod tests;
