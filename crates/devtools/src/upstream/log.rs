//! Chromium's log as a source of addresses.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use browserd_blocking::{Limits, Pool};
use browserd_follow as follow;
use browserd_follow::{Follower, Start, State};
use tokio::time::{Instant, sleep_until};

use super::source::parse_peer;
use crate::Peer;

/// What Chromium prints when it listens (`DevToolsHttpHandler` and `headless_shell` alike).
const MARK: &str = "DevTools listening on ws://";
/// How long to wait when the kernel gives no inotify watch.
const RETRY: Duration = Duration::from_secs(1);
/// So many threads may hang in a log whose file system does not answer, one for each time it was
/// tried again.
const MAX_THREADS: usize = 2;

/// What the log tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// A browser says that it listens there.
    Listening(Peer),
    /// What to tell people who wait for such a line.
    Waiting(String),
}

/// The log, followed through rotation.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    follower: Option<Follower>,
    /// When to take a follower again, after one that failed.
    retry_at: Option<Instant>,
    /// Its own: nobody else's reading keeps Chromium's address away.
    pool: Pool,
}

impl Log {
    pub(super) fn new(path: PathBuf) -> Self {
        let limits = Limits {
            threads: MAX_THREADS,
            threads_each: MAX_THREADS,
            ..Limits::default()
        };
        Self {
            path,
            follower: None,
            retry_at: None,
            pool: Pool::new("chromium-log", limits),
        }
    }

    /// The next news: first the last address in the log as it is, then what is added.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub(super) async fn next(&mut self) -> News {
        loop {
            if let Some(at) = self.retry_at {
                sleep_until(at).await;
                self.retry_at = None;
            }
            let Some(follower) = &mut self.follower else {
                let start = Start::LastMatch(MARK.into());
                let config = follow::Config::new(&self.path)
                    .start(start)
                    .pool(&self.pool);
                match Follower::new(config) {
                    Ok(follower) => self.follower = Some(follower),
                    Err(error) => return self.failed(&error),
                }
                continue;
            };
            match follower.next().await {
                Ok(Some(follow::Event::Line(line))) => {
                    if let Some(peer) = address(&line.bytes) {
                        return News::Listening(peer);
                    }
                }
                Ok(Some(follow::Event::State(state))) => {
                    return News::Waiting(waiting(&self.path, &state));
                }
                Ok(Some(follow::Event::Gap { lost_bytes })) => {
                    let path = self.path.display();
                    tracing::warn!(%path, lost_bytes, "lines of chromium's log were lost");
                }
                // A follower that follows does not end by itself.
                Ok(None) => self.start_again(),
                Err(error) => return self.failed(&error),
            }
        }
    }

    /// Take another follower, after a while.
    fn start_again(&mut self) {
        self.follower = None;
        self.retry_at = Some(Instant::now() + RETRY);
    }

    fn failed(&mut self, error: &follow::Error) -> News {
        self.start_again();
        let path = self.path.display();
        tracing::error!(%path, error = error as &dyn std::error::Error, "cannot follow the log");
        News::Waiting(format!("chromium's log {path} cannot be followed: {error}"))
    }
}

fn waiting(path: &Path, state: &State) -> String {
    let path = path.display();
    match state {
        State::Reading => format!("waiting for a DevTools address in chromium's log {path}"),
        State::Missing => format!("waiting for chromium's log {path} to appear"),
        State::Unreadable(reason) => format!("chromium's log {path} cannot be read: {reason}"),
    }
}

/// The address in a line, wherever it stands in it. Only one of this machine counts: pages can
/// write to this log too, through the console.
fn address(line: &[u8]) -> Option<Peer> {
    let at = memchr::memmem::rfind(line, MARK.as_bytes())?;
    let rest = &line[at + MARK.len()..];
    let end = rest
        .iter()
        .position(|byte| !byte.is_ascii_graphic() || *byte == b'/');
    let authority = str::from_utf8(&rest[..end.unwrap_or(rest.len())]).ok()?;
    let peer = parse_peer(authority).ok()?;
    let port = peer.port();
    if peer.host().eq_ignore_ascii_case("localhost") {
        return Some(Peer::new("127.0.0.1", port));
    }
    match peer.host().parse::<IpAddr>().ok()? {
        ip if ip.is_loopback() => Some(peer),
        IpAddr::V4(ip) if ip.is_unspecified() => Some(Peer::new("127.0.0.1", port)),
        IpAddr::V6(ip) if ip.is_unspecified() => Some(Peer::new("::1", port)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_log_that_cannot_be_followed_is_not_tried_in_a_tight_loop() {
        let mut log = Log::new("/nonexistent/chromium".into());
        let start = Instant::now();
        let source = browserd_blocking::Error::Stuck { place: "/".into() };
        let path = "/".into();
        log.failed(&follow::Error::NoAnswer { path, source });
        let News::Waiting(text) = log.next().await else {
            panic!("an address in no log")
        };
        assert!(text.ends_with("to appear"), "{text}");
        assert!(start.elapsed() >= RETRY);
    }

    #[test]
    fn an_address_stands_anywhere_in_a_line() {
        for (line, host, port) in [
            (
                "DevTools listening on ws://127.0.0.1:9223/devtools/browser/x",
                "127.0.0.1",
                9223,
            ),
            ("[1:2:INFO] DevTools listening on ws://[::1]:1/x", "::1", 1),
            (
                "xDevTools listening on ws://localhost:65535",
                "127.0.0.1",
                65535,
            ),
            ("DevTools listening on ws://0.0.0.0:80/a b", "127.0.0.1", 80),
            ("DevTools listening on ws://[::]:80\r", "::1", 80),
            (
                "DevTools listening on ws:// DevTools listening on ws://127.0.0.2:2/",
                "127.0.0.2",
                2,
            ),
        ] {
            assert_eq!(
                address(line.as_bytes()),
                Some(Peer::new(host, port)),
                "{line}"
            );
        }
    }

    #[test]
    fn what_is_no_address_of_this_machine_is_not_taken() {
        for line in [
            "",
            "DevTools listening",
            "DevTools listening on ws://",
            "DevTools listening on ws://127.0.0.1",
            "DevTools listening on ws://127.0.0.1:/x",
            "DevTools listening on ws://127.0.0.1:0/x",
            "DevTools listening on ws://10.0.0.1:9223/x",
            "DevTools listening on ws://evil.example:9223/x",
            "DevTools listening on ws://127.0.0.1.evil.example:9223/x",
            "DevTools listening on ws://a@127.0.0.1:9223/x",
            "DevTools listening on wss://127.0.0.1:9223/x",
        ] {
            assert_eq!(address(line.as_bytes()), None, "{line}");
        }
    }
}
