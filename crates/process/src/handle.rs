//! Running commands and spawning processes.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use browserd_budget::Share;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::time::{Instant, timeout as before_deadline};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::attach::Seat;
use crate::capture::{Capture, Captured};
use crate::child::{Child, Starter};
use crate::children::Exit;
use crate::output::{BLOCK_BYTES, Limits, Stream, output};
use crate::process::{End, Record};
use crate::pump::{Sink, Source};
use crate::run::{Control, Ended, Rest, Run};
use crate::stdin::Stdin;
use crate::streams::{Ends, Streams};
use crate::table::Table;
use crate::usage::Meter;
use crate::{Config, Error, Process, Program, Request, Signal, Size};

/// Streams that are read on, and thrown away, because a left server still writes to them.
const MAX_LINGERING: usize = 1_000;

/// Runs commands and knows the spawned ones. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    starter: Starter,
    /// Held for a look-up, never across an await.
    table: Mutex<Table>,
    slots: Arc<Semaphore>,
    lingering: Arc<Semaphore>,
    pub(crate) tracker: TaskTracker,
    pub(crate) token: CancellationToken,
}

impl Shared {
    pub(crate) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a command that was run to its end gave.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub exit: Exit,
    /// What it wrote to stdout.
    pub stdout: Captured,
    /// What it wrote to stderr.
    pub stderr: Captured,
    /// From its start to its exit.
    pub took: Duration,
    /// It was terminated because its time was over.
    pub timed_out: bool,
    /// What its output takes of [`Config::request_memory`], to be kept as long as any form of it
    /// is in memory.
    pub held: Vec<Share>,
}

impl Outcome {
    /// Of a program that its disk did not give in time. It is killed once it is there.
    fn never_ran(took: Duration) -> Self {
        Self {
            exit: Exit::Signal(Signal::KILL),
            stdout: Captured::default(),
            stderr: Captured::default(),
            took,
            timed_out: true,
            held: Vec::new(),
        }
    }
}

impl Handle {
    pub(crate) fn new(config: Config, token: CancellationToken) -> Result<Self, Error> {
        let shared = Shared {
            starter: Starter::new(config.environment.clone(), config.switch.clone())?,
            table: Mutex::default(),
            slots: Arc::new(Semaphore::new(config.max_processes)),
            lingering: Arc::new(Semaphore::new(MAX_LINGERING)),
            tracker: TaskTracker::new(),
            token,
            config,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Starts programs with the same environment, for those who need no store.
    #[must_use]
    pub fn starter(&self) -> &Starter {
        &self.shared.starter
    }

    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Runs a command to its end. Stdin is what the request has, then its end.
    ///
    /// A command that times out is an outcome, not an error.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it terminates the command: its group is asked to end, and killed after the
    /// grace, in the background.
    pub async fn exec(&self, request: impl Into<Request> + Send) -> Result<Outcome, Error> {
        let request = request.into();
        request.check()?;
        let limit = limit(
            request.max_output_bytes,
            self.shared.config.exec_output_bytes,
        );
        let Request {
            program,
            timeout,
            stdin,
            ..
        } = request;
        let streams = if stdin.is_some() {
            Streams::Pipes
        } else {
            Streams::NoInput
        };
        let asked = Instant::now();
        // A program on a disk that does not answer takes its time to start, too.
        let launched = before(timeout, self.launch(program, streams)).await;
        let Some(launched) = launched else {
            return Ok(Outcome::never_ran(asked.elapsed()));
        };
        let (child, slot) = launched?;
        let memory = &self.shared.config.request_memory;
        let both = [(); 2].map(|()| Capture::new(limit, memory));
        let sink = Sink::Capture(Mutex::new(Some(both)));
        let mut started = self.start(child, slot, sink, timeout)?;
        if let Some((end, bytes)) = started.stdin.take().zip(stdin) {
            started.run.feed = Some((end, bytes));
        }
        let _cancel = started.run.cancel.clone().drop_guard();
        let (reply, outcome) = oneshot::channel();
        let shared = self.shared();
        self.shared.tracker.spawn(async move {
            let (ended, slot) = started.run_to_end(&shared).await;
            drop(slot);
            // Nobody to tell when the caller has gone.
            let _ = reply.send(ended);
        });
        let ended = outcome.await.map_err(|_| Error::Stopping)?;
        let Ended {
            exit,
            took,
            timed_out,
            captured,
            ..
        } = ended;
        let (captured, held): (Vec<_>, Vec<_>) = captured.into_iter().flatten().unzip();
        let mut captured = captured.into_iter();
        Ok(Outcome {
            exit,
            stdout: captured.next().unwrap_or_default(),
            stderr: captured.next().unwrap_or_default(),
            took,
            timed_out,
            held,
        })
    }

    /// Starts a process that runs on by itself, with a terminal of the given size if there is
    /// one. Its stdin stays open behind what the request has.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, the process is killed if it was started.
    pub async fn spawn(
        &self,
        request: impl Into<Request> + Send,
        terminal: Option<Size>,
    ) -> Result<Process, Error> {
        if let Some(size) = terminal {
            size.check()?;
        }
        let request = request.into();
        request.check()?;
        let limits = self.limits(request.max_output_bytes);
        let streams = terminal.map_or(Streams::Pipes, Streams::Terminal);
        let (command, args) = (
            request.program.command.clone(),
            request.program.args.clone(),
        );
        let (stdin, timeout) = (request.stdin, request.timeout);
        let (mut child, slot) = self.launch(request.program, streams).await?;

        let watching = Error::system("watch the stdin of a process");
        let input = child.ends.stdin.take();
        let input = input
            .ok_or_else(|| io::Error::other("no stdin"))
            .and_then(|end| Stdin::new(end, terminal.is_some(), self.shared.config.stdin_wait))
            .map_err(watching)?;
        let started_at = child.started_at();
        let (writer, output) = output(limits);
        let mut started = self.start(child, slot, Sink::Output(writer), timeout)?;
        let process = Process::new(Record {
            id: Uuid::new_v4(),
            command,
            args,
            started_at,
            output,
            stdin: input,
            control: Arc::clone(&started.run.control),
            terminal: started
                .terminal
                .take()
                .map(|terminal| Mutex::new(Some(terminal))),
            ended: watch::Sender::new(None),
            meter: Mutex::new(Meter::new()),
            attached: Seat::default(),
            max_streams: self.shared.config.max_streams,
        });
        self.shared.table().insert(process.clone());
        if let Some(bytes) = stdin {
            self.shared.tracker.spawn(process.write_first(bytes));
        }
        self.follow(process.clone(), started);
        Ok(process)
    }

    /// Sees a spawned process through to its end.
    fn follow(&self, process: Process, started: Started) {
        let shared = self.shared();
        self.shared.tracker.spawn(async move {
            let sink = Arc::clone(&started.run.sink);
            let (ended, slot) = started.run_to_end(&shared).await;
            let end = End {
                exit: ended.exit,
                exited_at: ended.exited_at,
            };
            process.finish(end).await;
            shared.table().exited(process.id(), shared.config.retained);
            drop(slot);
            // What an exited process keeps is mostly on disk.
            sink.settle().await;
        });
    }

    /// The spawned processes that run or have exited lately, the oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<Process> {
        let mut table = self.shared.table();
        table.expire(self.shared.config.retention);
        table.list()
    }

    /// A spawned process.
    pub fn get(&self, id: Uuid) -> Result<Process, Error> {
        let mut table = self.shared.table();
        table.expire(self.shared.config.retention);
        table.get(id).cloned().ok_or(Error::Unknown { id })
    }

    fn limits(&self, max_output_bytes: Option<u64>) -> Limits {
        let config = &self.shared.config;
        // Of both streams together.
        let asked = max_output_bytes.map(|bytes| bytes.saturating_mul(2));
        let capacity = limit(asked, config.output_bytes);
        Limits {
            capacity,
            memory: config.output_memory_bytes.min(capacity),
            block: BLOCK_BYTES,
            directory: config.output_dir.clone(),
            disk: config.output_disk.clone(),
            readers: config.max_streams,
        }
    }

    /// Room for one more process.
    fn admit(&self) -> Result<Slot, Error> {
        if self.shared.token.is_cancelled() {
            return Err(Error::Stopping);
        }
        let limit = self.shared.config.max_processes;
        let permit = Arc::clone(&self.shared.slots).try_acquire_owned();
        let permit = permit.map_err(|_| Error::TooMany { limit })?;
        let awake = self
            .shared
            .config
            .keep_awake
            .as_ref()
            .map(|awake| awake.hold());
        Ok(Slot {
            _permit: permit,
            _awake: awake,
        })
    }

    /// Starts a process, and waits until it runs its program.
    async fn launch(&self, program: Program, streams: Streams) -> Result<(Child, Slot), Error> {
        let slot = self.admit()?;
        let starter = self.shared.starter.clone();
        let start = async move {
            let child = starter.start(program, streams).await;
            child.map(|child| (child, slot))
        };
        // The shutdown waits for starts that nobody waits for any more.
        let child = self.shared.tracker.spawn(start).await;
        child.map_err(|_| Error::Stopping)?
    }

    /// Takes a started process over. On an error it is killed.
    fn start(
        &self,
        child: Child,
        slot: Slot,
        sink: Sink,
        timeout: Option<Duration>,
    ) -> Result<Started, Error> {
        let started = Instant::now();
        let Child {
            watched,
            reins,
            ends,
            ..
        } = child;
        let Ends {
            stdin,
            stdout,
            stderr,
            terminal,
            slave,
        } = ends;
        let outputs = [(Stream::Stdout, Some(stdout)), (Stream::Stderr, stderr)];
        let sources = outputs
            .into_iter()
            .filter_map(|(stream, end)| Some(Source::new(stream, end?)))
            .collect::<io::Result<Arc<[Source]>>>()
            .map_err(Error::system("watch a process"))?;
        let group = reins.keep();
        let config = &self.shared.config;
        self.shared.table().started(group.clone());
        let control = Control::new(group, config.grace, self.shared.tracker.clone());
        if self.shared.token.is_cancelled() {
            // Too late for the list that the shutdown goes by.
            let _ = control.terminate();
        }
        let run = Run {
            child: watched,
            control,
            sources,
            sink: Arc::new(sink),
            slave,
            feed: None,
            started,
            timeout,
            cancel: CancellationToken::new(),
            drain: config.drain,
        };
        Ok(Started {
            run,
            stdin,
            terminal,
            slot,
        })
    }
}

/// Held by every running process.
struct Slot {
    _permit: OwnedSemaphorePermit,
    _awake: Option<Box<dyn std::any::Any + Send>>,
}

/// A process under way.
struct Started {
    run: Run,
    stdin: Option<std::os::fd::OwnedFd>,
    terminal: Option<crate::pty::Terminal>,
    slot: Slot,
}

impl Started {
    async fn run_to_end(self, shared: &Arc<Shared>) -> (Ended, Slot) {
        let control = Arc::clone(&self.run.control);
        let mut ended = Box::pin(self.run.run()).await;
        shared.table().stopped(&control.group);
        if let Some(rest) = ended.rest.take() {
            linger(shared, rest);
        }
        (ended, self.slot)
    }
}

/// Reads a left server's streams on: closing them would kill it at its next line.
fn linger(shared: &Arc<Shared>, rest: Rest) {
    let Ok(permit) = Arc::clone(&shared.lingering).try_acquire_owned() else {
        tracing::warn!("too many left processes hold their streams; these are closed");
        return;
    };
    let token = shared.token.clone();
    shared.tracker.spawn(async move {
        tokio::select! {
            biased;
            () = token.cancelled() => {}
            () = rest => {}
        }
        drop(permit);
    });
}

fn limit(asked: Option<u64>, configured: usize) -> usize {
    asked.map_or(configured, |asked| {
        usize::try_from(asked).unwrap_or(usize::MAX).min(configured)
    })
}

/// `None` if it takes longer.
async fn before<T>(limit: Option<Duration>, work: impl Future<Output = T>) -> Option<T> {
    match limit {
        Some(limit) => before_deadline(limit, work).await.ok(),
        None => Some(work.await),
    }
}
