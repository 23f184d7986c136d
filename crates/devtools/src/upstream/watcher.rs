//! The one task that decides which endpoint is published.

use std::error::Error as _;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::log::{Log, News};
use super::prove::{ATTEMPT, Claim, Failure, Proof};
use super::source::Source;
use super::state::Shared;
use crate::Endpoint;

/// The first pause between two attempts. A stale address costs a refused connection each.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// How long a new address is tried while the browser that is published lives on.
const PATIENCE: Duration = Duration::from_secs(10);

type Attempt = Pin<Box<dyn Future<Output = Result<Proof, Failure>> + Send>>;

/// The watcher's state.
pub(super) struct Watcher {
    shared: Arc<Shared>,
    log: Option<Log>,
    /// What the source says: the newest address.
    claim: Option<Claim>,
    /// The claim is newer than what is published, and was made then.
    news: Option<Instant>,
    /// What was proven last, be it published now or not.
    known: Option<Arc<Endpoint>>,
    canary: Option<Canary>,
    attempt: Option<Attempt>,
    pause: Duration,
}

/// An idle connection to the published browser.
struct Canary {
    stream: TcpStream,
    opened: Instant,
}

/// What happened.
enum Happening {
    News(News),
    Suspected,
    CanaryGone,
    Attempted(Result<Proof, Failure>),
}

impl Watcher {
    pub(super) fn new(source: Source, shared: Arc<Shared>) -> Self {
        let (log, claim) = match source {
            Source::Log(path) => (Some(Log::new(path)), None),
            Source::Fixed(fixed) => (None, Some(Claim::from(fixed))),
        };
        Self {
            shared,
            log,
            claim,
            news: None,
            known: None,
            canary: None,
            attempt: None,
            pause: FIRST_PAUSE,
        }
    }

    pub(super) async fn run(mut self, token: CancellationToken) {
        self.try_at_once();
        loop {
            let happening = tokio::select! {
                // The stop comes first, or a busy log could hide it; then what is newer than an
                // attempt that ended at the same moment.
                biased;
                () = token.cancelled() => break,
                news = next_news(&mut self.log) => Happening::News(news),
                () = self.shared.suspected() => Happening::Suspected,
                () = end_of(self.canary.as_ref()) => Happening::CanaryGone,
                result = outcome(&mut self.attempt) => Happening::Attempted(result),
            };
            match happening {
                Happening::News(News::Listening(peer)) => {
                    tracing::debug!(%peer, "chromium's log names an address");
                    self.claim = Some(Claim::Browser(peer));
                    self.news = Some(Instant::now());
                    self.try_at_once();
                }
                Happening::News(News::Waiting(text)) => {
                    tracing::info!(detail = text, "chromium's log");
                    // With an address in hand it is the address that is waited for.
                    if self.claim.is_none() {
                        self.shared.wait_for(text);
                    }
                }
                Happening::Suspected => self.try_at_once(),
                Happening::CanaryGone => self.canary_gone(),
                Happening::Attempted(Ok(proof)) => self.proven(proof),
                Happening::Attempted(Err(failure)) => self.not_proven(&failure),
            }
        }
        self.shared.stop();
    }

    /// Drop an attempt that runs, for what it is about is outdated, and begin anew.
    fn try_at_once(&mut self) {
        self.pause = FIRST_PAUSE;
        self.try_after(Duration::ZERO);
    }

    /// Try the newest address, then the one that was proven last.
    fn try_after(&mut self, pause: Duration) {
        let mut claims: Vec<_> = self.claim.clone().into_iter().collect();
        if let Some(known) = &self.known
            && claims.iter().all(|claim| claim.peer() != known.peer())
        {
            claims.push(Claim::Browser(known.peer().clone()));
        }
        if self.news.is_some() && self.canary.is_some() {
            // The old one is known to live.
            claims.truncate(1);
        }
        self.attempt = (!claims.is_empty()).then(|| Box::pin(attempt(claims, pause)) as Attempt);
    }

    fn canary_gone(&mut self) {
        let lived = self.canary.take().map(|canary| canary.opened.elapsed());
        // A server that closes idle connections by itself must not be asked in a tight loop.
        if lived.is_some_and(|lived| lived > LONGEST_PAUSE) {
            self.pause = FIRST_PAUSE;
            self.try_after(Duration::ZERO);
        } else {
            self.retry();
        }
    }

    /// Try again, a little later each time.
    fn retry(&mut self) {
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        self.try_after(pause);
    }

    fn proven(&mut self, proof: Proof) {
        self.attempt = None;
        let from_news = self
            .claim
            .as_ref()
            .is_some_and(|claim| *claim.peer() == proof.peer);
        if from_news {
            self.news = None;
        }
        let same = self
            .known
            .take_if(|known| known.peer == proof.peer && known.browser_path == proof.browser_path);
        let endpoint = same.unwrap_or_else(|| {
            let endpoint = Endpoint {
                proven: proof.canary.is_some(),
                peer: proof.peer,
                browser_path: proof.browser_path,
                generation: self.shared.generation() + 1,
            };
            tracing::info!(%endpoint, generation = endpoint.generation, "browser found");
            Arc::new(endpoint)
        });
        self.known = Some(Arc::clone(&endpoint));
        let opened = Instant::now();
        self.canary = proof.canary.map(|stream| Canary { stream, opened });
        if !self.shared.is_current(&endpoint) {
            self.shared.publish(endpoint);
        }
        if self.news.is_some() {
            self.retry();
        }
    }

    fn not_proven(&mut self, failure: &Failure) {
        if self.canary.is_some() && self.shared.current().is_some() {
            // The browser that is published lives; what does not answer is the newer address.
            if self.news.is_none_or(|since| since.elapsed() > PATIENCE) {
                tracing::debug!(%failure, "an address in chromium's log leads nowhere");
                self.news = None;
                self.attempt = None;
                self.claim = self
                    .known
                    .as_ref()
                    .map(|known| Claim::Browser(known.peer.clone()));
                return;
            }
            return self.retry();
        }
        self.canary = None;
        if let Some(lost) = self.shared.current() {
            tracing::info!(endpoint = %lost, "browser lost");
            self.shared.withdraw();
        }
        self.shared.wait_for(describe(failure));
        self.retry();
    }
}

/// The first claim that holds; else why the first one does not.
async fn attempt(claims: Vec<Claim>, pause: Duration) -> Result<Proof, Failure> {
    if !pause.is_zero() {
        sleep(pause).await;
    }
    let mut first = None;
    for claim in claims {
        match claim.prove(ATTEMPT).await {
            Ok(proof) => return Ok(proof),
            Err(failure) => first = first.or(Some(failure)),
        }
    }
    Err(first.expect("proof: an attempt has at least one claim"))
}

fn describe(failure: &Failure) -> String {
    match failure.source() {
        Some(source) => format!("waiting for the browser: {failure}: {source}"),
        None => format!("waiting for the browser: {failure}"),
    }
}

async fn next_news(log: &mut Option<Log>) -> News {
    match log {
        Some(log) => log.next().await,
        None => std::future::pending().await,
    }
}

async fn outcome(attempt: &mut Option<Attempt>) -> Result<Proof, Failure> {
    match attempt {
        Some(attempt) => attempt.await,
        None => std::future::pending().await,
    }
}

/// Wait for the end of the canary's connection, clean or not.
async fn end_of(canary: Option<&Canary>) {
    let Some(Canary { stream, .. }) = canary else {
        return std::future::pending().await;
    };
    let mut scrap = [0; 256];
    loop {
        if stream.readable().await.is_err() {
            return;
        }
        match stream.try_read(&mut scrap) {
            Ok(0) => return,
            // Nothing was asked, but nothing is wrong with being told.
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}
