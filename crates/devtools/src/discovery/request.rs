//! The `/json` requests, as the client sends them and as Chromium gets them.

use http::Method;

use super::is_credential;

/// A request to the discovery pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The one method that it takes: `PUT` for `/json/new`, which Chromium wants so; else `GET`.
    pub method: Method,
    /// What to ask Chromium for.
    pub path_and_query: String,
    /// The query that the addresses in the answer get.
    pub kept_query: Option<String>,
    /// Whether the answer has addresses.
    pub has_addresses: bool,
}

impl Request {
    /// Whether it takes this method. Chromium compares methods without case (nodriver sends
    /// `get`), and takes `POST` and `HEAD` for `GET`.
    #[must_use]
    pub fn takes(&self, method: &Method) -> bool {
        let is = |name: &str| method.as_str().eq_ignore_ascii_case(name);
        is(self.method.as_str()) || self.method == Method::GET && (is("HEAD") || is("POST"))
    }

    /// Whether it only reads, so that asking again does no harm.
    #[must_use]
    pub fn is_document(&self) -> bool {
        let path = self.path_and_query.split('?').next().unwrap_or_default();
        matches!(path, "/json/list" | "/json/version" | "/json/protocol")
    }
}

/// What a path asks for; `None` if it is no discovery page. A slash at the end makes no
/// difference (Playwright asks for `/json/version/`).
///
/// `query` is the raw one. Credentials in it are kept for the addresses in the answer and do not
/// go to Chromium. Of `/json/new?<url>`, the text up to the first `&` is the URL, byte for byte:
/// Chromium percent-decodes it itself, once, so a `&` of the URL is sent as `%26`.
#[must_use]
pub fn request(path: &str, query: Option<&str>) -> Option<Request> {
    let command = path.strip_prefix("/json")?;
    let command = command.strip_suffix('/').unwrap_or(command);
    let query = query.unwrap_or_default();
    let get = |path: String, has_addresses| Request {
        method: Method::GET,
        path_and_query: path,
        kept_query: kept(query.split('&')),
        has_addresses,
    };
    match command {
        "" | "/list" => {
            // `for_tab` lists tabs as well.
            let asked = kept(query.split('&').filter(|pair| !is_credential(pair)));
            let asked = asked.map(|asked| format!("?{asked}")).unwrap_or_default();
            Some(get(format!("/json/list{asked}"), true))
        }
        "/version" => Some(get("/json/version".to_owned(), true)),
        "/protocol" => Some(get("/json/protocol".to_owned(), false)),
        "/new" => Some(new(query)),
        _ => {
            let (verb, id) = command.strip_prefix('/')?.split_once('/')?;
            let known = matches!(verb, "activate" | "close") && !id.is_empty() && !id.contains('/');
            known.then(|| get(format!("/json/{verb}/{id}"), false))
        }
    }
}

fn new(query: &str) -> Request {
    let (first, rest) = query.split_once('&').unwrap_or((query, ""));
    // A credential alone is no URL: none begins so.
    let (url, credentials) = if is_credential(first) {
        ("", query)
    } else {
        (first, rest)
    };
    let url = if url.is_empty() {
        String::new()
    } else {
        format!("?{url}")
    };
    Request {
        method: Method::PUT,
        path_and_query: format!("/json/new{url}"),
        kept_query: kept(credentials.split('&').filter(|pair| is_credential(pair))),
        has_addresses: true,
    }
}

/// The pairs as a query; `None` if there are none.
fn kept<'a>(pairs: impl Iterator<Item = &'a str>) -> Option<String> {
    let pairs: Vec<_> = pairs.filter(|pair| !pair.is_empty()).collect();
    (!pairs.is_empty()).then(|| pairs.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(path: &str, query: &str) -> (String, Option<String>) {
        let request = request(path, Some(query)).unwrap();
        (request.path_and_query, request.kept_query)
    }

    #[test]
    fn each_page_with_and_without_a_slash() {
        for (path, expected) in [
            ("/json", "/json/list"),
            ("/json/list", "/json/list"),
            ("/json/version", "/json/version"),
            ("/json/protocol", "/json/protocol"),
            ("/json/new", "/json/new"),
            ("/json/activate/AB", "/json/activate/AB"),
            ("/json/close/AB", "/json/close/AB"),
        ] {
            for path in [path.to_owned(), format!("{path}/")] {
                let request = request(&path, None).unwrap();
                assert_eq!(request.path_and_query, expected, "{path}");
                assert_eq!(request.kept_query, None);
                let put = expected == "/json/new";
                assert_eq!(request.method, if put { Method::PUT } else { Method::GET });
            }
        }
        for path in [
            "/",
            "/jsonx",
            "/json//",
            "/json/foo",
            "/json/close",
            "/json/close/a/b",
        ] {
            assert_eq!(request(path, None), None, "{path}");
        }
    }

    #[test]
    fn methods_are_those_that_chromium_takes() {
        let method = |name: &str| Method::from_bytes(name.as_bytes()).unwrap();
        let version = request("/json/version", None).unwrap();
        for name in ["GET", "get", "HEAD", "head", "POST", "Post"] {
            assert!(version.takes(&method(name)), "{name}");
        }
        let new = request("/json/new", None).unwrap();
        assert!(new.takes(&method("PUT")) && new.takes(&method("put")));
        for name in ["GET", "POST", "DELETE"] {
            assert!(!new.takes(&method(name)), "{name}");
        }
        assert!(!version.takes(&method("PUT")));
    }

    #[test]
    fn credentials_stay_with_the_daemon() {
        let kept = |kept: &str| Some(kept.to_owned());
        assert_eq!(
            asked("/json/version", "jwt=a.b"),
            ("/json/version".into(), kept("jwt=a.b"))
        );
        assert_eq!(
            asked("/json", "for_tab&token=x"),
            ("/json/list?for_tab".into(), kept("for_tab&token=x"))
        );
        assert_eq!(
            asked("/json/close/A", "jwt=a"),
            ("/json/close/A".into(), kept("jwt=a"))
        );
    }

    #[test]
    fn the_url_of_a_new_page_is_what_is_before_the_first_ampersand() {
        let kept = |kept: &str| Some(kept.to_owned());
        let url = "http://a/%3Fx=1%26y=%25?z";
        assert_eq!(
            asked("/json/new", &format!("{url}&jwt=a&b=c&token=d&jwtx=e")),
            (format!("/json/new?{url}"), kept("jwt=a&token=d"))
        );
        assert_eq!(
            asked("/json/new", "about:blank"),
            ("/json/new?about:blank".into(), None)
        );
        assert_eq!(
            asked("/json/new", "&jwt=a"),
            ("/json/new".into(), kept("jwt=a"))
        );
        assert_eq!(
            asked("/json/new", "jwt=a"),
            ("/json/new".into(), kept("jwt=a"))
        );
        assert_eq!(
            asked("/json/new", "http://a/&b"),
            ("/json/new?http://a/".into(), None)
        );
    }
}
