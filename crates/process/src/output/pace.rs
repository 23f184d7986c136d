//! Giving way: a writer that is about to outrun a reader who keeps reading waits a moment.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::Shared;

/// However slow its readers are, a process that writes more is read at least this fast.
pub const FLOOR_BYTES_PER_SEC: u64 = 8 * 1024 * 1024;
/// Output between two waits, at least. It makes for waits of a millisecond and more, which is
/// what the runtime's timer tells apart.
const STEP_BYTES: u64 = 16 * 1024;
/// A reader that has not moved for this long, although it could, is not waited for.
const STALLED: Duration = Duration::from_secs(1);

/// The places of all readers.
#[derive(Debug)]
pub(super) struct Pace {
    readers: Mutex<Vec<Weak<Progress>>>,
    moved: Notify,
    waiting: AtomicBool,
    /// Bytes written since the last wait: they are what the next one may cost.
    credit: AtomicU64,
    born: Instant,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            readers: Mutex::default(),
            moved: Notify::new(),
            waiting: AtomicBool::new(false),
            credit: AtomicU64::new(0),
            born: Instant::now(),
        }
    }
}

/// Where one reader is.
#[derive(Debug)]
pub(super) struct Progress {
    /// Sum of its offsets.
    place: AtomicU64,
    /// When it moved last, in milliseconds of the pace.
    moved_ms: AtomicU64,
}

impl Pace {
    pub(super) fn join(&self, place: u64) -> Arc<Progress> {
        let progress = Arc::new(Progress {
            place: AtomicU64::new(place),
            moved_ms: AtomicU64::new(self.now_ms()),
        });
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        readers.retain(|reader| reader.strong_count() > 0);
        readers.push(Arc::downgrade(&progress));
        progress
    }

    /// A reader has read up to `place`.
    pub(super) fn moved(&self, progress: &Progress, place: u64) {
        progress.place.store(place, Ordering::Relaxed);
        progress.moved_ms.store(self.now_ms(), Ordering::Relaxed);
        if self.waiting.load(Ordering::Acquire) {
            self.moved.notify_one();
        }
    }

    /// The writer has written some bytes.
    pub(super) fn wrote(&self, bytes: u64) {
        self.credit.fetch_add(bytes, Ordering::Relaxed);
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether a reader that keeps reading is in this range.
    fn is_anyone_in(&self, (from, to): (u64, u64)) -> bool {
        let stalled = u64::try_from(STALLED.as_millis()).unwrap_or(u64::MAX);
        let oldest = self.now_ms().saturating_sub(stalled);
        let readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        readers.iter().filter_map(Weak::upgrade).any(|reader| {
            (from..to).contains(&reader.place.load(Ordering::Relaxed))
                && reader.moved_ms.load(Ordering::Relaxed) >= oldest
        })
    }
}

/// Waits for the readers that are about to lose bytes, no longer than the floor allows for what
/// was written since the last wait.
pub(super) async fn give_way(shared: &Shared) {
    let pace = &shared.pace;
    if pace.credit.load(Ordering::Relaxed) < STEP_BYTES {
        return;
    }
    let bytes = pace.credit.swap(0, Ordering::Relaxed);
    let at_risk = || {
        let range = shared.log().at_risk();
        range.is_some_and(|range| pace.is_anyone_in(range))
    };
    if !at_risk() {
        return;
    }
    let wait = Duration::from_micros(bytes * 1_000_000 / FLOOR_BYTES_PER_SEC);
    let deadline = Instant::now() + wait;
    pace.waiting.store(true, Ordering::Release);
    while at_risk() && timeout_at(deadline, pace.moved.notified()).await.is_ok() {}
    pace.waiting.store(false, Ordering::Release);
}
