//! The relay between a client and Chromium: two upgraded connections, joined byte for byte.
//!
//! ```text
//! relaying ──both closes passed, upstream ended, stop, bad header──► telling ──► lingering
//!     └──client gone, cut within a frame──────────────────────────────────────────► ended
//! ```
//!
//! One task moves both directions and allocates nothing per message. It looks at frame
//! headers only, so that it can put a ping or a close of its own between two frames. A side
//! that takes no bytes stops the other by backpressure: at most one buffer a direction is in
//! flight.

mod direction;
mod ending;
mod outcome;
mod pool;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use self::direction::{Direction, Filled};
pub use self::outcome::{EndedBy, Outcome};
use crate::Close;
use crate::frame::{End, PING};

/// How long a stop or a bad header waits for the frame that is under way to the client.
const BOUNDARY_WAIT: Duration = Duration::from_secs(2);
/// How long the other close frame is waited for, once one has passed.
const CLOSE_WAIT: Duration = Duration::from_secs(3);
/// How long Chromium's last bytes are waited for, once it takes no more.
const UPSTREAM_WAIT: Duration = Duration::from_secs(1);
/// The least time from ping to ping.
const LEAST_PING: Duration = Duration::from_millis(1);
/// The time from ping to ping where none is sent.
const NEVER: Duration = Duration::from_secs(24 * 60 * 60);

/// One side of a session, its WebSocket handshake done.
#[derive(Debug)]
pub struct Leg<S> {
    /// The stream. A plain `TcpStream` is the cheapest: unwrap what the upgrade gave.
    pub stream: S,
    /// Bytes that were read past the end of the handshake.
    pub read_ahead: Bytes,
}

/// What a session is run with.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How often the client is pinged, which keeps gateways awake; `None` for never. Nothing is
    /// made of a missing answer: a client whose thread is busy gives none, and is alive.
    pub ping_every: Option<Duration>,
    /// Whether every frame's header is logged.
    pub log_frames: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ping_every: Some(Duration::from_secs(20)),
            log_frames: false,
        }
    }
}

/// Relays until one side ends or `stop` is cancelled, and closes the client's WebSocket
/// accordingly. Whether the client is gone without a word is for its stream to tell.
///
/// `on_upstream_eof` is asked at most once, when Chromium's connection ends between frames
/// without a close from either side, for what the client is to be told; it is given 3 s.
/// After `stop` the session ends within 3 s, at once when no frame is under way.
///
/// # Cancel safety
/// Dropping the future drops both streams wherever they are.
pub async fn run<C, U, F, Fut>(
    client: Leg<C>,
    upstream: Leg<U>,
    options: &Options,
    stop: &CancellationToken,
    on_upstream_eof: F,
) -> Outcome<C, U>
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
    F: FnOnce() -> Fut,
    Fut: Future<Output = Close>,
{
    let mut session = Session::new(client, upstream, options);
    let verdict = session.relay(stop).await;
    session.finish(verdict, stop, on_upstream_eof).await
}

/// What the relaying phase ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// The client has got a close frame: let it read that.
    Finish(EndedBy),
    /// The client gets this close frame.
    Tell(EndedBy, Option<u16>, &'static str),
    /// The client gets the close that the owner names.
    Ask,
    /// The client is gone.
    Gone(EndedBy),
    /// The client must be reset.
    Abort(EndedBy),
}

/// A session in its relaying phase.
#[derive(Debug)]
struct Session<C, U> {
    client: C,
    upstream: U,
    up: Direction,
    down: Direction,
    /// Whether Chromium gives no more bytes.
    upstream_eof: bool,
    /// Why the session is to end at the next boundary.
    ending: Option<EndedBy>,
    /// Who sent the first close frame.
    first_close: Option<EndedBy>,
    /// When patience with what is awaited ends.
    deadline: Option<Instant>,
    ping_every: Option<Duration>,
    ping_due: bool,
}

impl<C, U> Session<C, U>
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    fn new(client: Leg<C>, upstream: Leg<U>, options: &Options) -> Self {
        Self {
            client: client.stream,
            upstream: upstream.stream,
            up: Direction::new("to upstream", client.read_ahead, options.log_frames),
            down: Direction::new("to client", upstream.read_ahead, options.log_frames),
            upstream_eof: false,
            ending: None,
            first_close: None,
            deadline: None,
            ping_every: options.ping_every,
            ping_due: false,
        }
    }

    /// Moves bytes until there is a verdict.
    async fn relay(&mut self, stop: &CancellationToken) -> Verdict {
        let mut stopped = pin!(stop.cancelled());
        let period = self.ping_every.unwrap_or(NEVER).max(LEAST_PING);
        let mut ping = pin!(sleep(period));
        let mut patience = pin!(sleep(CLOSE_WAIT));
        let mut armed = None;
        poll_fn(|cx| {
            if self.ending.is_none() && stopped.as_mut().poll(cx).is_ready() {
                self.end_at_boundary(EndedBy::Stopped);
            }
            while ping.as_mut().poll(cx).is_ready() {
                ping.as_mut().reset(Instant::now() + period);
                self.ping_due = self.ping_every.is_some();
            }
            // What comes from the client can decide what the client gets, so it is first.
            if let Poll::Ready(verdict) = self.poll_up(cx) {
                return Poll::Ready(verdict);
            }
            if let Poll::Ready(verdict) = self.poll_down(cx) {
                return Poll::Ready(verdict);
            }
            if let Some(deadline) = self.deadline {
                if armed != self.deadline {
                    armed = self.deadline;
                    patience.as_mut().reset(deadline);
                }
                if patience.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(self.on_deadline());
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Client to Chromium. Ready only when the client is gone.
    fn poll_up(&mut self, cx: &mut Context<'_>) -> Poll<Verdict> {
        loop {
            if ready!(self.up.poll_drain(cx, &mut self.upstream)).is_err() {
                // What Chromium wrote before it went may still be there to be read.
                self.up.discard();
                self.wait_at_most(UPSTREAM_WAIT);
            }
            match ready!(self.up.poll_fill(cx, &mut self.client, usize::MAX)) {
                Filled::Eof => return Poll::Ready(Verdict::Gone(self.client_left())),
                Filled::Some => match self.up.follower.end() {
                    Some(End::Close) => self.saw_close(EndedBy::ClientClosed),
                    Some(End::Unfollowable) => self.end_at_boundary(EndedBy::ClientMalformed),
                    None => {}
                },
            }
        }
    }

    /// Chromium to client. Ready when the client is gone or all is said that Chromium has to.
    fn poll_down(&mut self, cx: &mut Context<'_>) -> Poll<Verdict> {
        loop {
            if ready!(self.down.poll_drain(cx, &mut self.client)).is_err() {
                return Poll::Ready(Verdict::Gone(self.client_left()));
            }
            let between = self.down.follower.is_between();
            if between {
                if let Some(verdict) = self.decide() {
                    return Poll::Ready(verdict);
                }
                if std::mem::take(&mut self.ping_due) && self.first_close.is_none() {
                    self.down.inject(PING);
                    continue;
                }
            } else if self.upstream_eof {
                return Poll::Ready(Verdict::Abort(self.ending.unwrap_or(EndedBy::UpstreamCut)));
            } else if self.down.follower.end().is_some() {
                return Poll::Ready(Verdict::Abort(EndedBy::UpstreamMalformed));
            }
            // With something of our own to say, stop right at the end of this frame.
            let limit = if between || (self.ending.is_none() && !self.ping_due) {
                usize::MAX
            } else {
                usize::try_from(self.down.follower.within()).unwrap_or(usize::MAX)
            };
            match ready!(self.down.poll_fill(cx, &mut self.upstream, limit)) {
                Filled::Eof => self.upstream_eof = true,
                Filled::Some => match self.down.follower.end() {
                    Some(End::Close) => self.saw_close(EndedBy::UpstreamClosed),
                    Some(End::Unfollowable) => self.end_at_boundary(EndedBy::UpstreamMalformed),
                    None => {}
                },
            }
        }
    }

    /// What to do now that the client has all there was, between frames.
    fn decide(&self) -> Option<Verdict> {
        let client_closed = self.up.follower.end() == Some(End::Close);
        if self.down.follower.end() == Some(End::Close) {
            let over = client_closed || self.upstream_eof || self.ending.is_some();
            let ended_by = self.first_close.unwrap_or(EndedBy::UpstreamClosed);
            return over.then_some(Verdict::Finish(ended_by));
        }
        let tell = |by, close: Close| Some(Verdict::Tell(by, Some(close.code), close.reason));
        match self.ending {
            Some(by @ EndedBy::ClientMalformed) => tell(by, Close::PROTOCOL_ERROR),
            Some(by @ EndedBy::UpstreamMalformed) => tell(by, Close::UPSTREAM_LOST),
            Some(by) => tell(by, Close::GOING_AWAY),
            None if !self.upstream_eof => None,
            None if client_closed => {
                let code = self.up.follower.close_code();
                Some(Verdict::Tell(EndedBy::ClientClosed, code, ""))
            }
            None => Some(Verdict::Ask),
        }
    }

    /// Gives up what was awaited.
    fn on_deadline(&mut self) -> Verdict {
        self.upstream_eof = true;
        let verdict = self.down.is_clear().then(|| self.decide()).flatten();
        verdict.unwrap_or_else(|| {
            let by = self
                .ending
                .or(self.first_close)
                .unwrap_or(EndedBy::UpstreamCut);
            Verdict::Abort(by)
        })
    }

    /// A close frame has passed from one side.
    fn saw_close(&mut self, by: EndedBy) {
        self.first_close.get_or_insert(by);
        self.wait_at_most(CLOSE_WAIT);
    }

    /// Ends the session as soon as no frame is under way to the client.
    fn end_at_boundary(&mut self, by: EndedBy) {
        self.ending.get_or_insert(by);
        self.wait_at_most(BOUNDARY_WAIT);
    }

    fn wait_at_most(&mut self, patience: Duration) {
        let deadline = Instant::now() + patience;
        self.deadline = Some(
            self.deadline
                .map_or(deadline, |earlier| earlier.min(deadline)),
        );
    }

    /// The client's connection has ended.
    fn client_left(&self) -> EndedBy {
        self.first_close.unwrap_or(EndedBy::ClientGone)
    }
}
