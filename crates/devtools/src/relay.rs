//! The relay between a client and Chromium: two upgraded connections, joined byte for byte.
//!
//! ```text
//! relaying ──both closes passed, upstream ended, stop, bad header──► telling ──► lingering
//!     └──client gone, peer timeout, cut within a frame────────────────────────────► ended
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
/// Ticks in the shorter of ping interval and peer timeout: the timeout is late by at most one.
const TICKS: u32 = 4;
/// The tick where there is nothing to tick for.
const MAX_TICK: Duration = Duration::from_secs(24 * 60 * 60);

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
    /// How often the client is pinged; `None` for never.
    pub ping_every: Option<Duration>,
    /// How long a client may give no sign of life; `None` for ever. A client that is never
    /// pinged need not give one, but while bytes wait for it.
    pub peer_timeout: Option<Duration>,
    /// Whether every frame's header is logged.
    pub log_frames: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ping_every: Some(Duration::from_secs(20)),
            peer_timeout: Some(Duration::from_secs(60)),
            log_frames: false,
        }
    }
}

/// Relays until one side ends, the client falls silent, or `stop` is cancelled, and closes the
/// client's WebSocket accordingly.
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
    ping_due: bool,
    pulse: Pulse,
}

/// The counting of ticks. Ticks instead of times, so that a clock that jumps (a resumed
/// machine) costs nobody the connection.
#[derive(Debug)]
struct Pulse {
    /// Time from one tick to the next.
    tick: Duration,
    /// Ticks from ping to ping.
    ping_ticks: Option<u32>,
    since_ping: u32,
    /// Ticks in silence that end the session.
    silent_ticks: Option<u32>,
    silent: u32,
}

impl Pulse {
    fn new(options: &Options) -> Self {
        let shorter = [options.ping_every, options.peer_timeout]
            .into_iter()
            .flatten()
            .min();
        let tick = shorter.map_or(MAX_TICK, |period| period / TICKS);
        let tick = tick.clamp(Duration::from_millis(1), MAX_TICK);
        let ticks = |period: Duration| {
            let count = period.as_millis().div_ceil(tick.as_millis());
            u32::try_from(count).unwrap_or(u32::MAX)
        };
        Self {
            tick,
            ping_ticks: options.ping_every.map(ticks),
            since_ping: 0,
            silent_ticks: options.peer_timeout.map(ticks),
            silent: 0,
        }
    }

    /// Counts a tick and tells whether a ping is due.
    fn ping(&mut self) -> bool {
        self.since_ping += 1;
        let due = self
            .ping_ticks
            .is_some_and(|ticks| self.since_ping >= ticks);
        if due {
            self.since_ping = 0;
        }
        due
    }

    /// Counts a tick of silence and tells whether it was one too many.
    fn silence(&mut self) -> bool {
        self.silent = self.silent.saturating_add(1);
        self.silent_ticks.is_some_and(|ticks| self.silent >= ticks)
    }
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
            ping_due: false,
            pulse: Pulse::new(options),
        }
    }

    /// Moves bytes until there is a verdict.
    async fn relay(&mut self, stop: &CancellationToken) -> Verdict {
        let mut stopped = pin!(stop.cancelled());
        let mut tick = pin!(sleep(self.pulse.tick));
        let mut patience = pin!(sleep(CLOSE_WAIT));
        let mut armed = None;
        poll_fn(|cx| {
            if self.ending.is_none() && stopped.as_mut().poll(cx).is_ready() {
                self.end_at_boundary(EndedBy::Stopped);
            }
            while tick.as_mut().poll(cx).is_ready() {
                tick.as_mut().reset(Instant::now() + self.pulse.tick);
                if self.on_tick() {
                    return Poll::Ready(Verdict::Abort(EndedBy::PeerTimeout));
                }
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

    /// Takes the pulse of the client; true when it has been silent for too long.
    fn on_tick(&mut self) -> bool {
        let arrived = std::mem::take(&mut self.up.arrived);
        let accepted = std::mem::take(&mut self.down.accepted);
        if self.pulse.ping() {
            self.ping_due = true;
        }
        let pinged = self.pulse.ping_ticks.is_some();
        // Within a frame, or with bytes that it does not take, the client cannot be pinged:
        // what it takes is its sign of life.
        let waiting = !self.down.is_flushed() || (pinged && !self.down.follower.is_between());
        // A client that is not read from (Chromium takes nothing) cannot give one.
        let listening = pinged && self.up.is_flushed();
        if arrived || (waiting && accepted) || !(waiting || listening) {
            self.pulse.silent = 0;
            return false;
        }
        self.pulse.silence()
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
