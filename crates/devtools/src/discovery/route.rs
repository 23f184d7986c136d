//! Which target a WebSocket is for, by the path of its request.

use crate::Endpoint;

/// Where a WebSocket goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// The browser that is current, whatever id the path named.
    Browser,
    /// One target of it, by its id.
    Target(String),
}

impl Route {
    /// `…/devtools/<kind>/<id>` is that target, behind any prefix, with or without a slash at
    /// its end. All else, `…/devtools/browser/<id>` included, is the browser: an id of a browser
    /// that is gone would be of no use.
    #[must_use]
    pub fn of(path: &str) -> Self {
        let mut segments = path.trim_end_matches('/').rsplit('/');
        match (segments.next(), segments.next(), segments.next()) {
            (Some(id), Some(kind), Some("devtools"))
                if !id.is_empty() && !kind.is_empty() && kind != "browser" =>
            {
                Self::Target(id.to_owned())
            }
            _ => Self::Browser,
        }
    }

    /// The path to ask Chromium for. It serves targets of every kind at `/devtools/page/`, takes
    /// a query or a slash behind the id as a part of it, and answers 404 for
    /// `/devtools/worker/<id>` (Chromium 156).
    #[must_use]
    pub fn path(&self, endpoint: &Endpoint) -> String {
        match self {
            Self::Browser => endpoint.browser_path().to_owned(),
            Self::Target(id) => format!("/devtools/page/{id}"),
        }
    }

    /// The target's id, unless it is the browser.
    #[must_use]
    pub fn target(&self) -> Option<&str> {
        match self {
            Self::Browser => None,
            Self::Target(id) => Some(id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_of_every_kind_behind_any_prefix() {
        for path in [
            "/devtools/page/AB12",
            "/devtools/page/AB12/",
            "/devtools/iframe/AB12",
            "/devtools/worker/AB12",
            "/devtools/service_worker/AB12",
            "/devtools/shared_worker/AB12",
            "/devtools/browser_ui/AB12",
            "/devtools/tab/AB12",
            "/browsers/7/devtools/page/AB12",
            "/devtools/browser/x/devtools/page/AB12",
        ] {
            assert_eq!(Route::of(path), Route::Target("AB12".into()), "{path}");
        }
    }

    #[test]
    fn all_else_is_the_browser() {
        for path in [
            "",
            "/",
            "/cdp",
            "/devtools",
            "/devtools/page",
            "/devtools/page/",
            "/devtools//AB12",
            "/devtools/browser",
            "/devtools/browser/",
            "/devtools/browser/9a8cf6cf-c727-429a-9532-c63b563cfe5e",
            "/a/b/devtools/browser/x/",
            "/page/AB12",
            "/devtools/page/AB12/more",
        ] {
            assert_eq!(Route::of(path), Route::Browser, "{path}");
        }
    }
}
