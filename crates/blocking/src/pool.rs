//! The threads, and the queues in front of them: one for each file system.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::sync::oneshot;

use crate::{
    Error, Limits, Work,
    mounts::Device,
    resolve,
    work::{Call, Outcome},
};

/// A thread that has had nothing to do for so long ends.
const KEEP_IDLE: Duration = Duration::from_secs(10);
/// A call is handed on so many times from one file system to another.
const MAX_HOPS: usize = 8;

/// The threads of one concern. Clones are handles of the same.
#[derive(Clone)]
pub struct Pool {
    shared: Arc<Shared>,
}

/// What a pool does now, and what it has refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Threads that do a call, stuck ones included.
    pub busy: usize,
    /// Threads whose call nobody waits for any more.
    pub stuck: usize,
    /// Calls that wait for a thread.
    pub queued: usize,
    /// Calls refused since the start.
    pub refused: u64,
}

struct Shared {
    name: &'static str,
    limits: Limits,
    state: Mutex<State>,
    wake: Condvar,
    refused: AtomicU64,
}

#[derive(Default)]
struct State {
    queues: HashMap<Lane, Queue>,
    /// The queues from which a call may be taken now, in turn.
    ready: VecDeque<Lane>,
    queued: usize,
    threads: usize,
    /// Threads that wait and have not been woken.
    idle: usize,
    /// Threads that have been woken and do not know yet.
    woken: usize,
}

/// What shares threads: the calls of one file system, or those between the same two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Lane {
    One(Device),
    Two(Device, Device),
}

/// The calls of a lane.
#[derive(Default)]
struct Queue {
    waiting: VecDeque<Job>,
    running: Vec<Arc<Call>>,
    is_ready: bool,
}

/// A call with what is to be done.
struct Job {
    call: Arc<Call>,
    places: Places,
    hops: usize,
    may_be_refused: bool,
    task: Box<dyn FnOnce(Option<Error>) + Send>,
}

/// Where a call works.
#[derive(Debug, Clone)]
struct Places {
    first: PathBuf,
    second: Option<PathBuf>,
}

impl Pool {
    /// A pool without threads; they come with the calls.
    #[must_use]
    pub fn new(name: &'static str, limits: Limits) -> Self {
        let shared = Shared {
            name,
            limits,
            state: Mutex::default(),
            wake: Condvar::new(),
            refused: AtomicU64::new(0),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The concern.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.shared.name
    }

    /// What it does now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let state = self.shared.lock();
        let running = || state.queues.values().flat_map(|queue| &queue.running);
        Counts {
            busy: running().count(),
            stuck: running().filter(|call| call.is_given_up()).count(),
            queued: state.queued,
            refused: self.shared.refused.load(Ordering::Relaxed),
        }
    }

    /// Does on a thread what may block on the file system of `place`. It begins now, whether the
    /// outcome is waited for or not.
    pub fn run<T: Send + 'static>(
        &self,
        place: impl Into<PathBuf>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Work<T> {
        self.start(Places::one(place), work)
    }

    /// As [`Self::run`], for what works on two file systems, which may be the same.
    pub fn run_between<T: Send + 'static>(
        &self,
        first: impl Into<PathBuf>,
        second: impl Into<PathBuf>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Work<T> {
        let places = Places {
            first: first.into(),
            second: Some(second.into()),
        };
        self.start(places, work)
    }

    /// Drops what blocks when it is dropped, as closing a file of a network's file system does.
    pub fn let_go<T: Send + 'static>(&self, place: impl Into<PathBuf>, value: T) {
        let job = Job {
            call: Arc::new(Call::new()),
            places: Places::one(place),
            hops: 0,
            // There are no more of these than there were calls.
            may_be_refused: false,
            task: Box::new(move |_| drop(value)),
        };
        self.shared.submit(job);
    }

    fn start<T: Send + 'static>(
        &self,
        places: Places,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Work<T> {
        let (sender, outcome) = oneshot::channel();
        let call = Arc::new(Call::new());
        let deadline = self.shared.limits.deadline;
        let waiter = Work::new(Arc::clone(&call), places.first.clone(), deadline, outcome);
        let task = move |refused| {
            let outcome = match refused {
                Some(error) => Outcome::Refused(error),
                None => match catch_unwind(AssertUnwindSafe(work)) {
                    Ok(done) => Outcome::Done(done),
                    Err(panic) => Outcome::Panicked(panic),
                },
            };
            // Where nobody waits for it, it is dropped here, where that may block.
            drop(sender.send(outcome));
        };
        self.shared.submit(Job {
            call,
            places,
            hops: 0,
            may_be_refused: true,
            task: Box::new(task),
        });
        waiter
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pool").field(&self.shared.name).finish()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a call into its queue, or refuses it.
    fn submit(self: &Arc<Self>, job: Job) {
        let lane = job.places.lane();
        let mut state = self.lock();
        if job.may_be_refused
            && let Some(error) = state.refusal(lane, &job.places, &self.limits)
        {
            drop(state);
            return self.refuse(job, error);
        }
        state.push(lane, job, &self.limits);
        self.call_thread(state, lane);
    }

    fn refuse(&self, job: Job, error: Error) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        (job.task)(Some(error));
    }

    /// Has a thread look at what became ready, where one is free or may be made.
    fn call_thread(self: &Arc<Self>, mut state: MutexGuard<'_, State>, lane: Lane) {
        if !state.queues.get(&lane).is_some_and(|queue| queue.is_ready) {
            return;
        }
        if state.idle > 0 {
            state.idle -= 1;
            state.woken += 1;
            drop(state);
            self.wake.notify_one();
            return;
        }
        if state.threads >= self.limits.threads {
            return;
        }
        state.threads += 1;
        drop(state);
        let shared = Arc::clone(self);
        let named = thread::Builder::new().name(format!("block-{}", self.name));
        if let Err(error) = named.spawn(move || shared.work()) {
            tracing::warn!(%error, pool = self.name, "cannot start a thread");
            self.without_thread();
        }
    }

    /// Refuses what waits, if there is nobody to do it.
    fn without_thread(&self) {
        let mut state = self.lock();
        state.threads -= 1;
        if state.threads > 0 {
            return;
        }
        let queues = std::mem::take(&mut state.queues);
        state.ready.clear();
        state.queued = 0;
        drop(state);
        for job in queues.into_values().flat_map(|queue| queue.waiting) {
            let place = job.places.first.clone();
            self.refuse(job, Error::NoThread { place });
        }
    }

    /// The life of a thread.
    fn work(self: Arc<Self>) {
        let mut state = self.lock();
        loop {
            if let Some((lane, job)) = state.take(&self.limits) {
                drop(state);
                let call = Arc::clone(&job.call);
                self.perform(lane, job);
                state = self.lock();
                state.finish(lane, &call, &self.limits);
                continue;
            }
            state.idle += 1;
            loop {
                let waited = self.wake.wait_timeout(state, KEEP_IDLE);
                let (guard, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
                state = guard;
                if state.woken > 0 {
                    state.woken -= 1;
                    break;
                }
                if timeout.timed_out() {
                    state.idle -= 1;
                    state.threads -= 1;
                    return;
                }
            }
        }
    }

    /// Does a call, or hands it on to the file system that it is about.
    fn perform(self: &Arc<Self>, lane: Lane, mut job: Job) {
        let call = Arc::clone(&job.call);
        call.perform(|| {
            if job.call.is_given_up() {
                return drop(job);
            }
            if job.hops < MAX_HOPS && job.places.resolve() {
                job.hops += 1;
                if job.places.lane() != lane {
                    return self.submit(job);
                }
            }
            (job.task)(None);
        });
    }
}

impl State {
    fn refusal(&self, lane: Lane, places: &Places, limits: &Limits) -> Option<Error> {
        let place = || places.first.clone();
        if let Some(queue) = self.queues.get(&lane) {
            let is_stuck = queue.running.len() >= limits.threads_each
                && queue
                    .running
                    .iter()
                    .all(|call| call.is_overdue(limits.deadline));
            if is_stuck {
                return Some(Error::Stuck { place: place() });
            }
            let room = limits.threads_each + limits.queue_each;
            if queue.running.len() + queue.waiting.len() >= room {
                return Some(Error::Full { place: place() });
            }
        }
        (self.queued >= limits.queue).then(|| Error::Full { place: place() })
    }

    fn push(&mut self, lane: Lane, job: Job, limits: &Limits) {
        self.queued += 1;
        self.queues.entry(lane).or_default().waiting.push_back(job);
        self.make_ready(lane, limits);
    }

    /// Lists a queue from which a call may be taken.
    fn make_ready(&mut self, lane: Lane, limits: &Limits) {
        let Some(queue) = self.queues.get_mut(&lane) else {
            return;
        };
        let may_run = !queue.waiting.is_empty() && queue.running.len() < limits.threads_each;
        if may_run && !queue.is_ready {
            queue.is_ready = true;
            self.ready.push_back(lane);
        }
    }

    fn take(&mut self, limits: &Limits) -> Option<(Lane, Job)> {
        let lane = self.ready.pop_front()?;
        let queue = self.queues.get_mut(&lane)?;
        queue.is_ready = false;
        let job = queue.waiting.pop_front()?;
        queue.running.push(Arc::clone(&job.call));
        self.queued -= 1;
        self.make_ready(lane, limits);
        Some((lane, job))
    }

    fn finish(&mut self, lane: Lane, call: &Arc<Call>, limits: &Limits) {
        let Some(queue) = self.queues.get_mut(&lane) else {
            return;
        };
        queue.running.retain(|other| !Arc::ptr_eq(other, call));
        if queue.running.is_empty() && queue.waiting.is_empty() {
            self.queues.remove(&lane);
        } else {
            self.make_ready(lane, limits);
        }
    }
}

impl Places {
    fn one(place: impl Into<PathBuf>) -> Self {
        Self {
            first: place.into(),
            second: None,
        }
    }

    fn lane(&self) -> Lane {
        let first = Device::of(&self.first);
        match self.second.as_deref().map(Device::of) {
            Some(second) if second != first => Lane::Two(first, second),
            _ => Lane::One(first),
        }
    }

    /// Follows symbolic links that lead to other file systems. Returns whether there were any.
    fn resolve(&mut self) -> bool {
        let follow = |path: &mut PathBuf| {
            let found = resolve::elsewhere(path, Device::of(path));
            found.map(|found| *path = found).is_some()
        };
        let first = follow(&mut self.first);
        self.second.as_mut().is_some_and(follow) || first
    }
}
