//! Threads for what blocks: starting programs, reading /proc, looking up users.
//!
//! They are this crate's own. Two of them live from the start on, so that processes can be
//! started, ended and reaped when the system gives no more threads; and a disk that does not
//! answer to those who read files holds up no command.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

/// Threads that stay.
const KEPT: usize = 2;
/// Threads at most. Each that is held up by a disk is one less for the others.
const MOST: usize = 64;
/// How long the others wait for work.
const IDLE: Duration = Duration::from_secs(10);

type Job = Box<dyn FnOnce() + Send>;

struct Pool {
    state: Mutex<State>,
    more: Condvar,
}

struct State {
    /// Bounded by those who wait for the answers: commands, of which there is a limit.
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

static POOL: Pool = Pool {
    state: Mutex::new(State {
        jobs: VecDeque::new(),
        threads: 0,
        idle: 0,
    }),
    more: Condvar::new(),
};

/// Starts the threads that stay.
pub(crate) fn start() -> io::Result<()> {
    let mut state = POOL.state();
    while state.threads < KEPT {
        grow(&mut state)?;
    }
    Ok(())
}

/// Runs something that blocks. `None` if it panicked.
///
/// # Cancel safety
///
/// Dropped, what was begun runs to its end all the same, and its answer is dropped.
pub(crate) async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (reply, answer) = oneshot::channel();
    POOL.push(Box::new(move || {
        // Nobody to tell when the caller has gone.
        let _ = reply.send(work());
    }));
    answer.await.ok()
}

fn grow(state: &mut State) -> io::Result<()> {
    let name = "process".to_owned();
    thread::Builder::new().name(name).spawn(|| POOL.work())?;
    state.threads += 1;
    Ok(())
}

impl Pool {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, job: Job) {
        let mut state = self.state();
        state.jobs.push_back(job);
        if state.jobs.len() > state.idle && state.threads < MOST {
            // Without another thread, one of those that stay does it later.
            let _ = grow(&mut state);
        }
        drop(state);
        self.more.notify_one();
    }

    fn work(&self) {
        while let Some(job) = self.next() {
            // The panic hook has told of it, and the caller gets no answer.
            let _ = catch_unwind(AssertUnwindSafe(job));
        }
    }

    /// `None` for a thread that is not needed any more.
    fn next(&self) -> Option<Job> {
        let mut state = self.state();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            state.idle += 1;
            let waited = self.more.wait_timeout(state, IDLE);
            let (woken, waited) = waited.unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if waited.timed_out() && state.jobs.is_empty() && state.threads > KEPT {
                state.threads -= 1;
                return None;
            }
        }
    }
}
