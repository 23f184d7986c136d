//! A page against the two ports, by every way that a browser has and every name of the machine.

use std::{collections::BTreeMap, fmt::Write as _, net::UdpSocket};

use anyhow::Context as _;
use browserd_e2e::{Cdp, Site, Stack, assert_eventually, journal::Event};
use serde_json::{Value, json};

/// Names that only this Chromium knows; popups without a click; and the browser's own guard of
/// local addresses is off, so that the daemon's is what is tested.
pub(super) const CHROMIUM_FLAGS: &str = "\"--host-resolver-rules=MAP foreign.example 127.0.0.1,\
     MAP rebound.example 127.0.0.1\" --disable-popup-blocking \
     --disable-features=LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets,\
     BlockInsecurePrivateNetworkRequests";

/// Where the page comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Page {
    /// A web site that resolves to wherever its owner likes.
    Foreign,
    /// A `data:` URL, whose origin is `null`.
    Data,
    /// Another port of this machine.
    LocalPort,
}

/// All of them.
pub(super) const PAGES: [Page; 3] = [Page::Foreign, Page::Data, Page::LocalPort];

/// The ways of `attack.js`.
pub(super) const WAYS: [&str; 12] = [
    "fetch cors",
    "fetch cors json",
    "fetch cors put",
    "fetch no-cors",
    "fetch no-cors json as text",
    "form get",
    "form post",
    "img",
    "script",
    "iframe",
    "window.open",
    "WebSocket",
];

/// One attempt.
#[derive(Debug)]
pub(super) struct Attempt {
    page: Page,
    address: String,
    way: &'static str,
    outcome: String,
    /// The statuses that the daemon's log has for it.
    statuses: Vec<u64>,
}

/// The attacking pages, one for each origin, in the stack's own Chromium.
#[derive(Debug)]
pub(super) struct Attack<'a> {
    stack: &'a Stack,
    browser: Cdp,
    pages: BTreeMap<Page, (String, String)>,
    victim: String,
    attempts: usize,
}

/// The names under which a page can reach this machine.
pub(super) fn hosts(_: &Stack) -> Vec<String> {
    let mut hosts: Vec<String> = [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "0.0.0.0",
        "rebound.example",
    ]
    .map(str::to_owned)
    .into();
    hosts.extend(own_address());
    hosts
}

/// The machine's address towards the network; nothing is sent to find it.
fn own_address() -> Option<String> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback()).then(|| address.to_string())
}

impl<'a> Attack<'a> {
    /// Opens the pages, and a target for them to close.
    pub(super) async fn prepare(stack: &'a Stack, site: &Site) -> anyhow::Result<Self> {
        let mut browser = stack.at.browser().await?;
        let html = "<!doctype html><title>attacker</title>";
        site.add("/attacker", html);
        let urls = [
            (
                Page::Foreign,
                format!("http://foreign.example:{}/attacker", site.port()),
            ),
            (Page::Data, format!("data:text/html,{html}")),
            (Page::LocalPort, site.url("/attacker")),
        ];
        let mut pages = BTreeMap::new();
        for (page, url) in urls {
            let (target, session) = browser.open(&url).await?;
            assert_eventually!("the page is there", {
                let title = browser.evaluate(&session, "document.title").await?;
                anyhow::ensure!(title == "attacker", "{title}");
            });
            pages.insert(page, (target, session));
        }
        let (victim, _) = browser.open("about:blank").await?;
        Ok(Self {
            stack,
            browser,
            pages,
            victim,
            attempts: 0,
        })
    }

    /// The target that must not be closed.
    pub(super) fn victim(&self) -> &str {
        &self.victim
    }

    /// See [`hosts`].
    pub(super) fn hosts(&self) -> Vec<String> {
        hosts(self.stack)
    }

    async fn run(
        &mut self,
        page: Page,
        ways: &[(&'static str, String)],
    ) -> anyhow::Result<Vec<String>> {
        let (_, session) = self.pages.get(&page).context("no such page")?;
        let script = include_str!("attack.js");
        let attack = format!("{script}({})", json!(ways));
        Ok(serde_json::from_value(
            self.browser.evaluate(session, &attack).await?,
        )?)
    }

    /// Tries every way, each at a path that the log then tells it by.
    pub(super) async fn with_paths_of_its_own(
        &mut self,
        page: Page,
        address: &str,
    ) -> anyhow::Result<Vec<Attempt>> {
        let first = self.attempts;
        self.attempts += WAYS.len();
        let path = |index: usize| format!("/attempt/{}", first + index);
        let ways: Vec<(&'static str, String)> = WAYS
            .iter()
            .enumerate()
            .map(|(index, way)| (*way, format!("http://{address}{}", path(index))))
            .collect();
        let mark = self.stack.journal().mark();
        let outcomes = self.run(page, &ways).await?;
        let requests = self.stack.journal().requests(mark);
        let attempts = outcomes.into_iter().enumerate().map(|(index, outcome)| {
            let own = requests
                .iter()
                .filter(|event| event.text("http.path") == path(index));
            let statuses = own.map(Event::status).collect();
            let way = WAYS[index];
            Attempt {
                page,
                address: address.to_owned(),
                way,
                outcome,
                statuses,
            }
        });
        Ok(attempts.collect())
    }

    /// Tries every way at the DevTools routes that would open, close or show something.
    pub(super) async fn on_what_acts(&mut self, page: Page, address: &str) -> anyhow::Result<()> {
        let new = format!("http://{address}/json/new?about:blank%23attack");
        let close = format!("http://{address}/json/close/{}", self.victim);
        let mut ways: Vec<(&'static str, String)> = vec![
            ("fetch cors put", new.clone()),
            ("form post", new.clone()),
            ("fetch no-cors json as text", new),
            ("fetch cors", format!("http://{address}/json/list")),
            (
                "WebSocket",
                format!("http://{address}/devtools/browser/any"),
            ),
        ];
        let by_get = [
            "fetch no-cors",
            "form get",
            "img",
            "script",
            "iframe",
            "window.open",
        ];
        ways.extend(by_get.map(|way| (way, close.clone())));
        let mark = self.stack.journal().mark();
        let outcomes = self.run(page, &ways).await?;
        for ((way, url), outcome) in ways.iter().zip(&outcomes) {
            assert!(!is_success(outcome), "{page:?}: {way} {url}: {outcome}");
        }
        let let_in: Vec<Event> = self.stack.journal().requests(mark);
        let let_in: Vec<&Event> = let_in
            .iter()
            .filter(|event| event.status() != 403)
            .collect();
        assert!(let_in.is_empty(), "{page:?} {address}: {let_in:?}");
        Ok(())
    }

    /// Every attempt was refused, and those that the browser lets through did arrive.
    #[expect(clippy::unused_self, reason = "reads as a part of the attack")]
    pub(super) fn check_arrivals(&self, attempts: &[Attempt]) {
        let mut wrong = String::new();
        for attempt in attempts {
            let Attempt {
                page,
                address,
                way,
                outcome,
                statuses,
            } = attempt;
            // Chromium itself asks nothing of 0.0.0.0.
            let is_blocked = address.starts_with("0.0.0.0:") && statuses.is_empty();
            let is_refused = !statuses.is_empty() && statuses.iter().all(|status| *status == 403);
            if is_success(outcome) || !(is_refused || is_blocked) {
                let _ = writeln!(wrong, "{page:?} {address} {way}: {outcome}, {statuses:?}");
            }
        }
        assert!(wrong.is_empty(), "{wrong}");
    }

    /// Closes what was opened.
    pub(super) async fn finish(mut self) -> anyhow::Result<()> {
        let pages = self.pages.into_values().map(|(target, _)| target);
        for target in pages.chain([self.victim]) {
            let params = json!({ "targetId": target });
            let closed: Value = self.browser.call("Target.closeTarget", params).await?;
            drop(closed);
        }
        Ok(())
    }
}

fn is_success(outcome: &str) -> bool {
    outcome.starts_with("read") || outcome == "open"
}
