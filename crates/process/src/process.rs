//! One spawned process, as its users see it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::watch;
use uuid::Uuid;

use crate::attach::{self, Attachment};
use crate::output::Output;
use crate::pty::Terminal;
use crate::run::Control;
use crate::stdin::{self, Refused, Stdin};
use crate::usage::{Meter, Tree};
use crate::{Error, Exit, Offsets, Reader, Signal, Size, Usage, pool};

/// A handle on one spawned process. It stays usable after the process has been forgotten.
#[derive(Debug, Clone)]
pub struct Process {
    record: Arc<Record>,
}

#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) id: Uuid,
    pub(crate) command: String,
    pub(crate) args: Vec<String>,
    pub(crate) started_at: SystemTime,
    pub(crate) output: Output,
    pub(crate) stdin: Stdin,
    pub(crate) control: Arc<Control>,
    /// `None` without a terminal, `Some(None)` when it is closed.
    pub(crate) terminal: Option<Mutex<Option<Terminal>>>,
    pub(crate) ended: watch::Sender<Option<End>>,
    pub(crate) meter: Mutex<Meter>,
    pub(crate) attached: attach::Seat,
    pub(crate) max_streams: usize,
}

/// How and when a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// How.
    pub exit: Exit,
    /// When the process itself had exited; its last output came later, if at all.
    pub exited_at: SystemTime,
}

/// What is known of a process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Status {
    /// `None` while it runs.
    pub end: Option<End>,
    /// When it was started.
    pub started_at: SystemTime,
    /// What it uses; zero after its end.
    pub usage: Usage,
}

impl Process {
    pub(crate) fn new(record: Record) -> Self {
        Self {
            record: Arc::new(record),
        }
    }

    /// The identifier under which [`crate::Handle::get`] finds it.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.record.id
    }

    /// The number of the process, which is also that of its group and session.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.record.control.group.number()
    }

    /// The command as it was asked for.
    #[must_use]
    pub fn command(&self) -> &str {
        &self.record.command
    }

    /// The arguments behind the command.
    #[must_use]
    pub fn args(&self) -> &[String] {
        &self.record.args
    }

    /// When it was started.
    #[must_use]
    pub fn started_at(&self) -> SystemTime {
        self.record.started_at
    }

    /// Whether it was given a terminal.
    #[must_use]
    pub fn has_terminal(&self) -> bool {
        self.record.terminal.is_some()
    }

    /// How it ended, if it has and its output has ended too.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        *self.record.ended.borrow()
    }

    /// Waits until it has ended and its output has ended too.
    pub async fn ended(&self) -> End {
        let mut ended = self.record.ended.subscribe();
        loop {
            if let Some(end) = *ended.borrow_and_update() {
                return end;
            }
            // The sender lives in the record.
            let _ = ended.changed().await;
        }
    }

    /// What it does and uses now.
    pub async fn status(&self) -> Result<Status, Error> {
        let started_at = self.record.started_at;
        if let Some(end) = self.end() {
            return Ok(Status {
                end: Some(end),
                started_at,
                usage: Usage::default(),
            });
        }
        let leader = self.record.control.group.leader();
        let tree = pool::run(move || Tree::read(leader))
            .await
            .ok_or(Error::Stopping)?;
        let tree = tree.map_err(Error::system("read /proc"))?;
        // Asked again: a process that ended meanwhile uses nothing.
        let end = self.end();
        let usage = if end.is_some() {
            Usage::default()
        } else {
            self.record
                .meter
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .read(&tree)
        };
        Ok(Status {
            end,
            started_at,
            usage,
        })
    }

    /// Reads its output from `from` on: from the start with the default.
    pub fn output(&self, from: Offsets) -> Result<Reader, Error> {
        let end = self.record.output.written();
        if from.stdout > end.stdout || from.stderr > end.stderr {
            return Err(Error::Ahead { offset: from, end });
        }
        let (id, limit) = (self.record.id, self.record.max_streams);
        self.record
            .output
            .reader(from)
            .map_err(|_| Error::TooManyStreams { id, limit })
    }

    /// Writes what it was started with to its stdin, as long as it runs.
    pub(crate) fn write_first(&self, bytes: Bytes) -> impl Future<Output = ()> + Send + use<> {
        let (process, write) = (self.clone(), self.record.stdin.write_first(bytes));
        async move {
            tokio::select! {
                biased;
                _ = process.ended() => {}
                () = write => {}
            }
        }
    }

    /// Writes to its stdin, and closes it afterwards if told to. Returns how many bytes the
    /// process took within the configured wait; what it did not take, it never gets.
    ///
    /// With a terminal, "close" types the character for the end of file.
    ///
    /// # Cancel safety
    ///
    /// What was written stays written.
    pub async fn write(&self, bytes: &[u8], close: bool) -> Result<usize, Error> {
        let id = self.record.id;
        let written = tokio::select! {
            biased;
            _ = self.ended() => return Err(Error::Exited { id }),
            written = self.record.stdin.write(bytes, close) => written,
        };
        written.map_err(|refused| self.refused(refused))
    }

    /// Writes all of it to its stdin, however long it takes to read that: for whoever has the
    /// seat at its terminal, and is held up meanwhile.
    ///
    /// # Cancel safety
    ///
    /// What was written stays written; the rest is not.
    pub async fn write_all(&self, bytes: &[u8]) -> Result<(), Error> {
        let written = tokio::select! {
            biased;
            _ = self.ended() => return Err(Error::Exited { id: self.record.id }),
            written = self.record.stdin.write_all(bytes) => written,
        };
        written.map_err(|refused| self.refused(refused))
    }

    fn refused(&self, refused: Refused) -> Error {
        let id = self.record.id;
        match refused {
            Refused::Busy => Error::StdinBusy {
                id,
                limit: stdin::MAX_WAITING,
            },
            Refused::Closed if self.end().is_some() => Error::Exited { id },
            Refused::Closed => Error::StdinClosed { id },
        }
    }

    /// Signals its whole process group, also when it has exited itself and left others behind.
    ///
    /// TERM asks the group to end: what is left of it after the grace is killed, with the rest
    /// of its session. Any other signal is sent once.
    pub fn kill(&self, signal: Signal) -> Result<(), Error> {
        let control = &self.record.control;
        let result = if signal == Signal::TERM {
            control.terminate()
        } else {
            control.group.signal(signal)
        };
        result.map_err(|source| match source.raw_os_error() {
            Some(libc::ESRCH) => Error::Exited { id: self.record.id },
            _ => Error::Signal {
                id: self.record.id,
                source,
            },
        })
    }

    /// Gives its terminal another size.
    pub fn resize(&self, size: Size) -> Result<(), Error> {
        size.check()?;
        let id = self.record.id;
        let terminal = self
            .record
            .terminal
            .as_ref()
            .ok_or(Error::NotATerminal { id })?;
        let terminal = terminal.lock().unwrap_or_else(PoisonError::into_inner);
        let terminal = terminal.as_ref().ok_or(Error::Exited { id })?;
        terminal
            .resize(size)
            .map_err(Error::system("resize a terminal"))
    }

    /// Takes the one seat at its terminal. Output comes from the last 64 KiB on.
    ///
    /// Somebody else's seat is taken over only with `takeover`; they are told.
    pub fn attach(&self, takeover: bool) -> Result<Attachment, Error> {
        let id = self.record.id;
        if !self.has_terminal() {
            return Err(Error::NotATerminal { id });
        }
        let written = self.record.output.written();
        let stdout = written.stdout.saturating_sub(attach::REPLAY_BYTES);
        let reader = self.output(Offsets { stdout, ..written })?;
        Attachment::new(self.clone(), reader, takeover)
    }

    pub(crate) fn seat(&self) -> &attach::Seat {
        &self.record.attached
    }

    /// Closes what only a running process needs, and says that it has ended.
    pub(crate) async fn finish(&self, end: End) {
        self.record.ended.send_replace(Some(end));
        if let Some(terminal) = &self.record.terminal {
            *terminal.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        self.record.stdin.close().await;
    }

    /// Whether it ended longer than `age` ago.
    pub(crate) fn is_older_than(&self, age: Duration) -> bool {
        self.end()
            .is_some_and(|end| end.exited_at.elapsed().is_ok_and(|elapsed| elapsed > age))
    }
}
