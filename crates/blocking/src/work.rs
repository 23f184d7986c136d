//! A call on its way: the side that waits for it, and the side that does it.

use std::{
    any::Any,
    cell::RefCell,
    panic::resume_unwind,
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::{
    sync::oneshot,
    time::{Sleep, sleep},
};

use crate::Error;

thread_local! {
    /// The call that this thread does, if it is a pool's.
    static CURRENT: RefCell<Option<Arc<Call>>> = const { RefCell::new(None) };
}

/// Says that the call that this thread does gets on: its deadline begins anew. Long calls say so
/// between their steps. On other threads this does nothing.
pub fn progress() {
    CURRENT.with_borrow(|call| {
        if let Some(call) = call {
            call.touch();
        }
    });
}

/// Does what waits for something else than a file system, such as room in a channel: meanwhile
/// no deadline runs.
pub fn waiting<T>(wait: impl FnOnce() -> T) -> T {
    let call = CURRENT.with_borrow(Clone::clone);
    let Some(call) = call else { return wait() };
    call.waits.store(true, Ordering::Relaxed);
    let done = wait();
    call.touch();
    call.waits.store(false, Ordering::Relaxed);
    done
}

/// What both sides know of a call.
#[derive(Debug)]
pub(crate) struct Call {
    made_at: Instant,
    /// When it last got on, in milliseconds since it was made.
    progress_ms: AtomicU64,
    /// It waits for something else than a file system.
    waits: AtomicBool,
    /// Nobody waits for its outcome.
    is_given_up: AtomicBool,
}

impl Call {
    pub(crate) fn new() -> Self {
        Self {
            made_at: Instant::now(),
            progress_ms: AtomicU64::new(0),
            waits: AtomicBool::new(false),
            is_given_up: AtomicBool::new(false),
        }
    }

    /// Does `work` as this call, on this thread.
    pub(crate) fn perform(self: &Arc<Self>, work: impl FnOnce()) {
        self.touch();
        CURRENT.set(Some(Arc::clone(self)));
        work();
        CURRENT.set(None);
    }

    fn touch(&self) {
        let now = self.made_at.elapsed().as_millis();
        self.progress_ms
            .store(now.try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// For how long it has not got on.
    fn rests_for(&self) -> Duration {
        if self.waits.load(Ordering::Relaxed) {
            return Duration::ZERO;
        }
        let progress = Duration::from_millis(self.progress_ms.load(Ordering::Relaxed));
        self.made_at.elapsed().saturating_sub(progress)
    }

    pub(crate) fn is_overdue(&self, deadline: Duration) -> bool {
        self.rests_for() >= deadline
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::Relaxed)
    }

    fn give_up(&self) {
        self.is_given_up.store(true, Ordering::Relaxed);
    }
}

/// What came of a call.
#[derive(Debug)]
pub(crate) enum Outcome<T> {
    Done(T),
    Panicked(Box<dyn Any + Send>),
    Refused(Error),
}

/// The outcome of a call, to be waited for.
///
/// Dropping it abandons the call: one that has not begun never does, and one that has goes on by
/// itself, its outcome unseen; its thread counts as stuck until then.
#[derive(Debug)]
pub struct Work<T> {
    call: Arc<Call>,
    place: PathBuf,
    deadline: Duration,
    outcome: oneshot::Receiver<Outcome<T>>,
    /// Made when the outcome is first waited for.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<T> Work<T> {
    pub(crate) fn new(
        call: Arc<Call>,
        place: PathBuf,
        deadline: Duration,
        outcome: oneshot::Receiver<Outcome<T>>,
    ) -> Self {
        Self {
            call,
            place,
            deadline,
            outcome,
            timer: None,
        }
    }

    /// Waits until the call has not got on for the whole of its deadline.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = self.deadline;
        let mut timer = self
            .timer
            .take()
            .unwrap_or_else(|| Box::pin(sleep(deadline)));
        while timer.as_mut().poll(cx).is_ready() {
            let left = deadline.saturating_sub(self.call.rests_for());
            if left.is_zero() {
                return Poll::Ready(());
            }
            timer = Box::pin(sleep(left));
        }
        self.timer = Some(timer);
        Poll::Pending
    }
}

impl<T> Future for Work<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match Pin::new(&mut self.outcome).poll(cx) {
            Poll::Ready(Ok(Outcome::Done(value))) => return Poll::Ready(Ok(value)),
            Poll::Ready(Ok(Outcome::Panicked(panic))) => resume_unwind(panic),
            Poll::Ready(Ok(Outcome::Refused(error))) => return Poll::Ready(Err(error)),
            // Its thread ended without a word, which none does.
            Poll::Ready(Err(_)) => {
                let place = self.place.clone();
                return Poll::Ready(Err(Error::NoThread { place }));
            }
            Poll::Pending => {}
        }
        if self.poll_deadline(cx).is_pending() {
            return Poll::Pending;
        }
        self.call.give_up();
        Poll::Ready(Err(Error::NoAnswer {
            place: self.place.clone(),
            within: self.deadline,
        }))
    }
}

impl<T> Drop for Work<T> {
    fn drop(&mut self) {
        self.call.give_up();
    }
}
