//! The mouse and the keyboard.
//!
//! # Theory of operation
//!
//! One thread owns the input and does one request after the other, so requests never
//! interleave. [`start`] gives a handle to it. Everything about a request is checked before
//! anything is pressed. A request whose caller goes away ends at its next step; whatever it
//! holds down is then released.
//!
//! A [`Backend`] does the work: by the X server's XTEST extension in the process (module
//! `x11`), or by the program `xdotool`, to compare with and to fall back on.

mod backend;
mod names;
mod path;
mod perform;
mod request;
mod typing;
mod x11;
mod xdotool;

use std::{convert::Infallible, fmt, io, sync::Arc, sync::mpsc, thread};

use fastrand::Rng;
use tokio::sync::{mpsc as queue, oneshot};
use tokio_util::sync::CancellationToken;

pub use request::{
    Action, BATCH, Button, CLICKS, Click, ClickType, DRAG_MS, Drag, MOVE_MS, Move, PATH, PAUSE_MS,
    Point, Press, SLEEP_MS, STEPS, Scroll, TEXT_MAX, TICKS, TYPO_CHANCE, Type,
};

use self::{
    backend::{Backend as Way, Clock},
    perform::Performer,
};
use crate::{Display, Error};

/// How many requests may wait. Those beyond wait for a place.
const QUEUE: usize = 64;

/// Which way to the mouse and the keyboard is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backend {
    /// The best one, which is [`Self::X11`].
    #[default]
    Auto,
    /// XTEST, in the process.
    X11,
    /// The program `xdotool`, a process for each step.
    Xdotool,
}

/// Hides the cursor, or shows it. May block; called on the thread that owns the input.
pub type CursorSwitch = Arc<dyn Fn(bool) -> Result<(), Error> + Send + Sync>;

/// What the input works on.
#[derive(Clone, Default)]
pub struct Config {
    /// The display; without one, every request fails with [`Error::NoDisplay`].
    pub display: Option<Display>,
    /// The way.
    pub backend: Backend,
    /// What a batch's `set_cursor` calls; without it, that fails with [`Error::NoCursor`].
    pub cursor: Option<CursorSwitch>,
    /// Whether no client composes characters out of several keys, as GTK does unless
    /// `GTK_IM_MODULE` is `gtk-im-context-none`. Else the few characters are refused that GTK
    /// would take for dead keys.
    pub plain_clients: bool,
    /// What jitter and typos are drawn from; another one at each start when `None`.
    pub seed: Option<u64>,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("display", &self.display)
            .field("backend", &self.backend)
            .field("cursor", &self.cursor.is_some())
            .field("plain_clients", &self.plain_clients)
            .field("seed", &self.seed)
            .finish()
    }
}

/// What a request is for.
#[derive(Debug)]
enum Task {
    Act(Action),
    Batch(Vec<Action>),
    Position,
}

/// A request with its caller.
struct Job {
    task: Task,
    clock: Clock,
    reply: oneshot::Sender<Result<Option<Point>, Error>>,
}

/// A handle to the mouse and the keyboard.
///
/// # Cancel safety
/// Dropping the future of any method ends the request: at once while it waits in the queue,
/// else at its next step. Nothing that it pressed stays down.
#[derive(Debug, Clone)]
pub struct Input {
    jobs: queue::Sender<Job>,
    stop: CancellationToken,
    has_display: bool,
}

/// Starts the thread that owns the input. The future ends once the token is cancelled and the
/// thread has let go of everything.
///
/// Nothing is connected yet: a display that comes later is found then.
///
/// # Errors
/// When no thread can be started.
pub fn start(
    config: Config,
    stop: CancellationToken,
) -> io::Result<(Input, impl Future<Output = ()> + use<>)> {
    let (jobs, queue) = queue::channel(QUEUE);
    let (done, ended) = oneshot::channel();
    let has_display = config.display.is_some();
    if let Some(display) = config.display.clone() {
        let token = stop.clone();
        thread::Builder::new()
            .name("input".to_owned())
            .spawn(move || {
                Owner::new(config, display).run(queue, &token);
                // Nobody may be left to hear it.
                let _ = done.send(());
            })?;
    }
    let input = Input {
        jobs: jobs.clone(),
        stop: stop.clone(),
        has_display,
    };
    let running = async move {
        stop.cancelled().await;
        // Wakes the thread, which looks at the token then. Full means that it is awake.
        let (waker, _) = wake();
        let _ = jobs.try_send(waker);
        drop(jobs);
        // An error means that there is no thread.
        let _ = ended.await;
    };
    Ok((input, running))
}

/// A job that nobody waits for.
fn wake() -> (Job, oneshot::Receiver<Result<Option<Point>, Error>>) {
    let (reply, answer) = oneshot::channel();
    let (_, gone) = mpsc::channel();
    let job = Job {
        task: Task::Position,
        clock: Clock::new(gone),
        reply,
    };
    (job, answer)
}

impl Input {
    /// Clicks, or presses or releases a button.
    pub async fn click(&self, request: Click) -> Result<(), Error> {
        self.act(Action::Click(request)).await
    }

    /// Moves the pointer.
    pub async fn move_pointer(&self, request: Move) -> Result<(), Error> {
        self.act(Action::Move(request)).await
    }

    /// Drags.
    pub async fn drag(&self, request: Drag) -> Result<(), Error> {
        self.act(Action::Drag(request)).await
    }

    /// Turns the wheel: first vertically, then horizontally.
    pub async fn scroll(&self, request: Scroll) -> Result<(), Error> {
        self.act(Action::Scroll(request)).await
    }

    /// Types a text.
    pub async fn type_text(&self, request: Type) -> Result<(), Error> {
        self.act(Action::Type(request)).await
    }

    /// Presses keys.
    pub async fn press(&self, request: Press) -> Result<(), Error> {
        self.act(Action::Press(request)).await
    }

    /// Does one action after the other, with nothing in between. Stops at the first that
    /// fails, which [`Error::Action`] names.
    pub async fn batch(&self, actions: Vec<Action>) -> Result<(), Error> {
        request::within("actions", &actions.len(), &BATCH)?;
        for (index, action) in actions.iter().enumerate() {
            action
                .check()
                .map_err(|error| in_batch(index, action, error))?;
        }
        self.ask(Task::Batch(actions)).await.map(|_| ())
    }

    /// Where the pointer is.
    pub async fn position(&self) -> Result<Point, Error> {
        self.ask(Task::Position).await?.ok_or(Error::Interrupted)
    }

    async fn act(&self, action: Action) -> Result<(), Error> {
        action.check()?;
        self.ask(Task::Act(action)).await.map(|_| ())
    }

    async fn ask(&self, task: Task) -> Result<Option<Point>, Error> {
        if !self.has_display {
            return Err(Error::NoDisplay);
        }
        // Dropped with this future, which tells the thread.
        let (_here, caller) = mpsc::channel::<Infallible>();
        let (reply, answer) = oneshot::channel();
        let job = Job {
            task,
            clock: Clock::new(caller),
            reply,
        };
        let asked = async {
            self.jobs.send(job).await.map_err(|_| Error::Interrupted)?;
            answer.await.map_err(|_| Error::Interrupted)?
        };
        tokio::select! {
            // A stop outruns an answer: the thread may have ended by then.
            biased;
            () = self.stop.cancelled() => Err(Error::Interrupted),
            outcome = asked => outcome,
        }
    }
}

fn in_batch(index: usize, action: &Action, error: Error) -> Error {
    Error::Action {
        index,
        kind: action.kind(),
        source: Box::new(error),
    }
}

/// The thread's own.
struct Owner {
    way: Box<dyn Way>,
    cursor: Option<CursorSwitch>,
    plain_clients: bool,
    rng: Rng,
}

impl Owner {
    fn new(config: Config, display: Display) -> Self {
        let way: Box<dyn Way> = match config.backend {
            Backend::Auto | Backend::X11 => Box::new(x11::X11::new(display)),
            Backend::Xdotool => Box::new(xdotool::Xdotool::new(display)),
        };
        Self {
            way,
            cursor: config.cursor,
            plain_clients: config.plain_clients,
            rng: config.seed.map_or_else(Rng::new, Rng::with_seed),
        }
    }

    fn run(mut self, mut queue: queue::Receiver<Job>, stop: &CancellationToken) {
        while let Some(job) = queue.blocking_recv() {
            if stop.is_cancelled() {
                return;
            }
            if job.clock.check().is_err() {
                continue;
            }
            let outcome = self.serve(&job.task, &job.clock);
            // The caller may be gone.
            let _ = job.reply.send(outcome);
        }
    }

    fn serve(&mut self, task: &Task, clock: &Clock) -> Result<Option<Point>, Error> {
        let bounds = self.way.begin()?;
        let mut performer = Performer {
            backend: self.way.as_mut(),
            bounds,
            clock,
            cursor: self.cursor.as_ref(),
            plain_clients: self.plain_clients,
            rng: &mut self.rng,
        };
        let outcome = match task {
            Task::Position => return performer.backend.position().map(Some),
            Task::Act(action) => performer
                .check(action)
                .and_then(|()| performer.perform(action)),
            Task::Batch(actions) => perform_all(&mut performer, actions),
        };
        let ended = self.way.end(outcome.is_ok());
        outcome.and(ended).map(|()| None)
    }
}

fn perform_all(performer: &mut Performer<'_>, actions: &[Action]) -> Result<(), Error> {
    for (index, action) in actions.iter().enumerate() {
        let checked = performer.check(action);
        checked.map_err(|error| in_batch(index, action, error))?;
    }
    for (index, action) in actions.iter().enumerate() {
        let done = performer.perform(action);
        done.map_err(|error| in_batch(index, action, error))?;
    }
    Ok(())
}
