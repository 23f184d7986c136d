//! The last events of a watch, and the readers that follow them.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{
    event::{WatchEvent, WatchItem},
    inotify::Waker,
};
use crate::{Error, Result};

/// So many events a reader takes in one turn.
const BATCH: usize = 256;

/// The last events of a watch.
#[derive(Debug)]
pub(crate) struct Log {
    limit: usize,
    state: Mutex<State>,
    /// Changes whenever there is something to look for.
    changed: watch::Sender<()>,
}

#[derive(Debug)]
struct State {
    /// `None` is a gap that the kernel made.
    records: VecDeque<Option<WatchEvent>>,
    /// The number of the first record.
    first: u64,
    ended: bool,
    /// Why it ended, unless it was asked to.
    broken: Option<String>,
    readers: usize,
    idle_since: Instant,
    /// Wakes the thread of the watch.
    waker: Option<Waker>,
}

impl Log {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            state: Mutex::new(State {
                records: VecDeque::new(),
                first: 1,
                ended: false,
                broken: None,
                readers: 0,
                idle_since: Instant::now(),
                waker: None,
            }),
            changed: watch::Sender::new(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_waker(&self, waker: Waker) {
        self.lock().waker = Some(waker);
    }

    pub(super) fn push(&self, record: Option<WatchEvent>) {
        let mut state = self.lock();
        if state.records.len() >= self.limit {
            state.records.pop_front();
            state.first += 1;
        }
        state.records.push_back(record);
        drop(state);
        self.changed.send_replace(());
    }

    /// Ends the watch; what it has stays readable for those who read already.
    pub(super) fn end(&self, broken: Option<String>) {
        let mut state = self.lock();
        state.ended = true;
        state.broken = state.broken.take().or(broken);
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
        drop(state);
        self.changed.send_replace(());
    }

    pub(super) fn has_ended(&self) -> bool {
        self.lock().ended
    }

    /// For how long nobody has read.
    pub(super) fn idle(&self) -> Option<Duration> {
        let state = self.lock();
        (state.readers == 0).then(|| state.idle_since.elapsed())
    }
}

/// The events of a watch as one reader gets them. A reader that is slow loses the oldest and is
/// told how many.
#[derive(Debug)]
pub struct WatchEvents {
    log: Arc<Log>,
    changed: watch::Receiver<()>,
    /// The number of the last event that was taken from the log.
    after: u64,
    batch: VecDeque<WatchItem>,
    over: bool,
}

impl WatchEvents {
    pub(super) fn new(log: Arc<Log>, after: Option<u64>, limit: usize) -> Result<Self> {
        let mut state = log.lock();
        if state.readers >= limit {
            return Err(Error::TooManyReaders { limit });
        }
        state.readers += 1;
        // Without a point to go on from, there is no loss to be told of.
        let last = state.first + state.records.len() as u64 - 1;
        let after = after.unwrap_or(state.first - 1).min(last);
        drop(state);
        Ok(Self {
            changed: log.changed.subscribe(),
            log,
            after,
            batch: VecDeque::new(),
            over: false,
        })
    }

    /// The next event; `None` when the watch has ended, an error when it broke.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping the future.
    pub async fn next(&mut self) -> Option<Result<WatchItem>> {
        loop {
            if let Some(item) = self.batch.pop_front() {
                return Some(Ok(item));
            }
            if self.over {
                return None;
            }
            self.changed.mark_unchanged();
            if let Some(broken) = self.fill() {
                return Some(Err(Error::WatchBroke { reason: broken }));
            }
            if self.batch.is_empty() && !self.over && self.changed.changed().await.is_err() {
                self.over = true;
            }
        }
    }

    /// Takes what is there. Returns why the watch broke, once.
    fn fill(&mut self) -> Option<String> {
        let state = self.log.lock();
        if self.after + 1 < state.first {
            let lost = state.first - 1 - self.after;
            self.after = state.first - 1;
            self.batch.push_back(WatchItem::Gap {
                sequence: self.after,
                lost_events: Some(lost),
            });
        }
        let skip = usize::try_from(self.after + 1 - state.first).unwrap_or(usize::MAX);
        for record in state.records.iter().skip(skip).take(BATCH) {
            self.after += 1;
            let sequence = self.after;
            self.batch.push_back(match record.clone() {
                Some(event) => WatchItem::Event { sequence, event },
                None => WatchItem::Gap {
                    sequence,
                    lost_events: None,
                },
            });
        }
        if self.batch.is_empty() && state.ended {
            self.over = true;
            return state.broken.clone();
        }
        None
    }
}

impl Drop for WatchEvents {
    fn drop(&mut self) {
        let mut state = self.log.lock();
        state.readers -= 1;
        state.idle_since = Instant::now();
    }
}
