//! The life of a process, from its start to its exit.
//!
//! ```text
//! running ── exit ──► draining ── streams ended, or 200 ms ──► ended
//!    │                                                           ▲
//!    └─ timeout or cancel: TERM ── 2 s ── KILL ── exit ──────────┘
//! ```

use std::future::{Future, poll_fn};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, SystemTime};

use browserd_budget::Share;
use bytes::Bytes;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::capture::Captured;
use crate::children::{Exit, Watched};
use crate::group::{self, Group};
use crate::pump::{Sink, Source, pump};
use crate::{Signal, stdin};

/// Ends a process group, once.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) group: Group,
    grace: Duration,
    tracker: TaskTracker,
    asked: AtomicBool,
    done: CancellationToken,
}

impl Control {
    pub(crate) fn new(group: Group, grace: Duration, tracker: TaskTracker) -> Arc<Self> {
        let (asked, done) = (AtomicBool::new(false), CancellationToken::new());
        Arc::new(Self {
            group,
            grace,
            tracker,
            asked,
            done,
        })
    }

    /// Asks the group to end. What is left of it and of its session after the grace is killed,
    /// in the background.
    pub(crate) fn terminate(&self) -> std::io::Result<()> {
        if !self.group.holds_session() {
            return Err(std::io::Error::from_raw_os_error(libc::ESRCH));
        }
        let result = self.group.signal(Signal::TERM);
        if !self.asked.swap(true, Ordering::AcqRel) {
            let (group, grace, done) = (self.group.clone(), self.grace, self.done.clone());
            self.tracker.spawn(async move {
                group::finish(vec![group], grace).await;
                done.cancel();
            });
        }
        result
    }

    /// Waits until a termination that was asked for is over.
    async fn terminated(&self) {
        if self.asked.load(Ordering::Acquire) {
            self.done.cancelled().await;
        }
    }
}

/// A running process and all that belongs to its life.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) child: Watched,
    pub(crate) control: Arc<Control>,
    pub(crate) sources: Arc<[Source]>,
    pub(crate) sink: Arc<Sink>,
    /// See `Ends::slave`.
    pub(crate) slave: Option<OwnedFd>,
    /// Written to stdin, which is closed behind it.
    pub(crate) feed: Option<(OwnedFd, Bytes)>,
    pub(crate) started: Instant,
    pub(crate) timeout: Option<Duration>,
    /// Terminates the process.
    pub(crate) cancel: CancellationToken,
    pub(crate) drain: Duration,
}

/// A process that has exited, and whose output has ended.
pub(crate) struct Ended {
    pub(crate) exit: Exit,
    pub(crate) exited_at: SystemTime,
    pub(crate) took: Duration,
    pub(crate) timed_out: bool,
    /// What was captured, if it was.
    pub(crate) captured: Option<[(Captured, Share); 2]>,
    /// Reads on from streams that others still hold, so that those can go on writing.
    pub(crate) rest: Option<Rest>,
}

/// See [`Ended::rest`].
pub(crate) type Rest = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Run {
    /// Sees the process through to its end.
    pub(crate) async fn run(mut self) -> Ended {
        let sources = Arc::clone(&self.sources);
        let mut pump: Rest = Box::pin(pump(Arc::clone(&sources), Arc::clone(&self.sink)));
        let feed = self.feed.take();
        let mut feed: Rest = Box::pin(async move {
            if let Some((end, bytes)) = feed {
                stdin::feed(end, &bytes).await;
            }
        });
        let deadline = self
            .timeout
            .and_then(|timeout| self.started.checked_add(timeout));
        let (mut flowing, mut feeding, mut ending, mut timed_out) = (true, true, false, false);
        let exit = loop {
            tokio::select! {
                // The exit first: a process that ended in time has not timed out.
                biased;
                exit = self.child.wait() => break exit,
                () = until(deadline), if !ending => {
                    (ending, timed_out) = (true, true);
                    let _ = self.control.terminate();
                }
                () = self.cancel.cancelled(), if !ending => {
                    ending = true;
                    let _ = self.control.terminate();
                }
                () = &mut pump, if flowing => flowing = false,
                () = &mut feed, if feeding => feeding = false,
            }
        };
        let (took, exited_at) = (self.started.elapsed(), SystemTime::now());
        drop((feed, self.slave.take()));
        if flowing {
            flowing = !drained(&mut pump, &sources, self.drain).await;
        }
        let captured = self.sink.end();
        if ending {
            self.control.terminated().await;
        }
        let rest = flowing.then_some(pump);
        Ended {
            exit,
            exited_at,
            took,
            timed_out,
            captured,
            rest,
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Reads on after the exit: until the streams end, or for as long as `drain`. What the process
/// itself has written is read in any case. Returns whether the streams have ended.
async fn drained(pump: &mut Rest, sources: &[Source], drain: Duration) -> bool {
    let written: Vec<u64> = sources.iter().map(Source::written).collect();
    let deadline = Instant::now() + drain;
    tokio::select! {
        biased;
        () = &mut *pump => return true,
        () = sleep_until(deadline) => {}
    }
    poll_fn(|context| {
        if pump.as_mut().poll(context).is_ready() {
            return Poll::Ready(true);
        }
        let mut both = sources.iter().zip(&written);
        if both.all(|(source, count)| source.has_taken(*count)) {
            return Poll::Ready(false);
        }
        Poll::Pending
    })
    .await
}
