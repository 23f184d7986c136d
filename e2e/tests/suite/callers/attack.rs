//! A page against the two ports, by every way that a browser has and every name of the machine.

use std::{collections::BTreeMap, net::UdpSocket};

use anyhow::Context as _;
use browserd_e2e::{Cdp, Site, Stack, assert_eventually, journal::Event, settings};
use serde_json::{Value, json};

/// Names that only this Chromium knows; popups without a click; and the browser's own guard of
/// local addresses is off, so that the daemon's is what is tested.
pub(super) const CHROMIUM_FLAGS: &str = "\"--host-resolver-rules=MAP foreign.example 127.0.0.1,\
     MAP rebound.example 127.0.0.1\" --disable-popup-blocking \
     --disable-features=LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets,\
     BlockInsecurePrivateNetworkRequests";

/// Where the page comes from.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Page {
    /// A web site that resolves to wherever its owner likes.
    #[default]
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
#[derive(Debug, Default)]
pub(super) struct Attempt {
    page: Page,
    address: String,
    way: &'static str,
    path: String,
    outcome: String,
    /// How many requests the daemon's log has of it, each of them refused.
    arrived: usize,
}

/// Every attempt got as far as the daemon: nothing else kept it from succeeding.
pub(super) fn check_arrivals(attempts: &[Attempt]) {
    let missing = attempts.iter().filter(|attempt| attempt.arrived == 0);
    let missing: Vec<String> = missing
        .map(
            |Attempt {
                 page,
                 address,
                 way,
                 outcome,
                 ..
             }| { format!("{page:?} {address} {way}: {outcome}") },
        )
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
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
pub(super) fn hosts() -> Vec<String> {
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

    async fn run(&mut self, page: Page, ways: &[(&str, String)]) -> anyhow::Result<Vec<String>> {
        let (_, session) = self.pages.get(&page).context("no such page")?;
        let script = include_str!("attack.js");
        let attack = format!("{script}({})", json!(ways));
        Ok(serde_json::from_value(
            self.browser.evaluate(session, &attack).await?,
        )?)
    }

    /// Tries every way under one name of the machine: on both ports, each at a path that the
    /// log then tells it by, and at the routes that would open, close or show something.
    pub(super) async fn try_all(&mut self, page: Page, host: &str) -> anyhow::Result<Vec<Attempt>> {
        let devtools = format!("{host}:{}", self.stack.at.devtools.port());
        let api = format!("{host}:{}", self.stack.at.api.address().port());
        let mut attempts: Vec<Attempt> = Vec::new();
        for (address, way) in [api, devtools.clone()]
            .iter()
            .flat_map(|address| WAYS.iter().map(move |way| (address, *way)))
        {
            let number = self.attempts + attempts.len();
            let (address, path) = (address.clone(), format!("/attempt/{number}"));
            attempts.push(Attempt {
                page,
                address,
                way,
                path,
                ..Attempt::default()
            });
        }
        self.attempts += attempts.len();
        let url = |attempt: &Attempt| format!("http://{}{}", attempt.address, attempt.path);
        let mut ways: Vec<(&str, String)> = attempts
            .iter()
            .map(|attempt| (attempt.way, url(attempt)))
            .collect();
        ways.extend(self.on_what_acts(&devtools));

        let mark = self.stack.journal().mark();
        let outcomes = self.run(page, &ways).await?;
        let requests = self.stack.journal().requests(mark);
        // A window shows the refusal as a document of the port's own, for which Chromium asks
        // for an icon; no page has a hand in that, and there is none.
        let is_icon =
            |event: &Event| event.text("http.path") == "/favicon.ico" && event.status() == 404;
        // An image asks itself whether it is ready.
        let is_own =
            |event: &Event| settings::image().is_some() && event.text("http.path") == "/readyz";
        let is_let_in = |event: &&Event| event.status() != 403 && !is_icon(event) && !is_own(event);
        let let_in: Vec<&Event> = requests.iter().filter(is_let_in).collect();
        assert!(let_in.is_empty(), "{page:?} {host}: {let_in:?}");
        for ((way, url), outcome) in ways.iter().zip(&outcomes) {
            assert!(!is_success(outcome), "{page:?}: {way} {url}: {outcome}");
        }
        for (attempt, outcome) in attempts.iter_mut().zip(outcomes) {
            let own = requests
                .iter()
                .filter(|event| event.text("http.path") == attempt.path);
            attempt.arrived = own.count();
            attempt.outcome = outcome;
        }
        Ok(attempts)
    }

    /// The routes of the DevTools port, by the ways that fit them. Its WebSocket is at every
    /// path, and so is tried already.
    fn on_what_acts(&self, address: &str) -> Vec<(&'static str, String)> {
        let new = format!("http://{address}/json/new?about:blank%23attack");
        let close = format!("http://{address}/json/close/{}", self.victim);
        let mut ways = vec![
            ("fetch cors put", new.clone()),
            ("form post", new.clone()),
            ("fetch no-cors json as text", new),
            ("fetch cors", format!("http://{address}/json/list")),
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
        ways
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
