//! A thread that keeps a connection to the X server: for what the server forgets, or cannot do,
//! without a client that stays and listens.

use std::{
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use x11rb::{connection::Connection as _, protocol::Event};

use crate::{Connection, Display, Error, error::Attempt as _};

/// How long the X server may take over whatever one mail or event leads to.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait before the next attempt to reach a server that is gone.
const RETRY: Duration = Duration::from_millis(250);
/// How many mails may wait. A sender beyond that waits too.
const MAILBOX: usize = 64;

/// What is done over a kept connection.
pub(crate) trait Concern: Send + 'static {
    /// What it is asked.
    type Mail: Send + 'static;

    /// Whether the connection has to be there even when nobody asks.
    fn holds(&self) -> bool;

    /// Sets up a new connection.
    fn connected(&mut self, connection: &Connection) -> Result<(), Error>;

    /// Does what it is asked. Errors go to whoever asked; [`Error::Lost`] also to the caller.
    fn mail(&mut self, connection: Result<&Connection, Error>, mail: Self::Mail) -> Option<Error>;

    /// Takes an event of the server.
    fn event(&mut self, connection: &Connection, event: Event) -> Result<(), Error>;

    /// When [`Self::overdue`] is to be called.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// Gives up on what takes too long.
    fn overdue(&mut self, _connection: Option<&Connection>) -> Result<(), Error> {
        Ok(())
    }

    /// The connection is gone.
    fn lost(&mut self, error: &Error);
}

/// Wakes the thread out of its wait.
#[derive(Debug)]
struct Bell(OwnedFd);

impl Bell {
    fn ring(&self) {
        // Full means that it rings already.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    fn hush(&self) {
        let _ = rustix::io::read(&self.0, &mut [0; 8]);
    }
}

/// Rings when the last handle is gone.
#[derive(Debug)]
struct Knock<M> {
    mailbox: Option<mpsc::Sender<M>>,
    bell: Arc<Bell>,
}

impl<M> Drop for Knock<M> {
    fn drop(&mut self) {
        self.mailbox = None;
        self.bell.ring();
    }
}

/// Sends mails to the thread.
#[derive(Debug)]
pub(crate) struct Keeper<M>(Arc<Knock<M>>);

impl<M> Clone for Keeper<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M: Send + 'static> Keeper<M> {
    /// The handle, and the future that runs the thread until the token is cancelled or the last
    /// handle is gone.
    pub(crate) fn spawn<C: Concern<Mail = M>>(
        display: Display,
        concern: C,
        token: CancellationToken,
    ) -> Result<(Self, impl Future<Output = ()> + Send + use<M, C>), Error> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let bell = Arc::new(Bell(bell.map_err(|error| Error::Wake {
            source: Arc::new(error.into()),
        })?));
        let (mailbox, mails) = mpsc::channel(MAILBOX);
        let stop = Arc::new(AtomicBool::new(false));
        let thread = Thread {
            display,
            concern,
            connection: None,
            retry: Instant::now(),
            mails,
            bell: Arc::clone(&bell),
            stop: Arc::clone(&stop),
        };
        let knock = Knock {
            mailbox: Some(mailbox),
            bell: Arc::clone(&bell),
        };
        let run = async move {
            let mut thread = tokio::task::spawn_blocking(move || thread.run());
            tokio::select! {
                _ = &mut thread => return,
                () = token.cancelled() => {}
            }
            stop.store(true, Ordering::Release);
            bell.ring();
            let _ = thread.await;
        };
        Ok((Self(Arc::new(knock)), run))
    }

    /// Sends a mail.
    ///
    /// # Cancel safety
    /// Dropping the future before it is done sends nothing.
    pub(crate) async fn send(&self, mail: M) -> Result<(), Error> {
        let mailbox = self.0.mailbox.as_ref().ok_or(Error::Interrupted)?;
        let sent = mailbox.send(mail).await;
        self.0.bell.ring();
        sent.map_err(|_| Error::Interrupted)
    }

    /// Sends a mail from a thread that may block.
    pub(crate) fn send_blocking(&self, mail: M) -> Result<(), Error> {
        let mailbox = self.0.mailbox.as_ref().ok_or(Error::Interrupted)?;
        let sent = mailbox.blocking_send(mail);
        self.0.bell.ring();
        sent.map_err(|_| Error::Interrupted)
    }
}

struct Thread<C: Concern> {
    display: Display,
    concern: C,
    connection: Option<Connection>,
    /// When a lost server is tried again.
    retry: Instant,
    mails: mpsc::Receiver<C::Mail>,
    bell: Arc<Bell>,
    stop: Arc<AtomicBool>,
}

impl<C: Concern> Thread<C> {
    fn run(mut self) {
        while !self.stop.load(Ordering::Acquire) {
            if self.connection.is_none() && self.concern.holds() && Instant::now() >= self.retry {
                let _ = self.connect();
            }
            // The end of the connection comes before a mail that would run into it.
            self.read_events();
            if !self.read_mails() {
                return;
            }
            if self
                .concern
                .deadline()
                .is_some_and(|at| Instant::now() >= at)
            {
                if let Some(connection) = &self.connection {
                    connection.allow(PATIENCE);
                }
                let done = self.concern.overdue(self.connection.as_ref());
                self.settle(done.err());
            }
            self.wait();
        }
    }

    fn connect(&mut self) -> Result<(), Error> {
        let connected = self.display.connect(PATIENCE).and_then(|connection| {
            self.concern.connected(&connection)?;
            connection.x.flush().attempt("reach the X server")?;
            Ok(connection)
        });
        match connected {
            Ok(connection) => self.connection = Some(connection),
            Err(error) => {
                self.retry = Instant::now() + RETRY;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Whether there are handles left.
    fn read_mails(&mut self) -> bool {
        loop {
            match self.mails.try_recv() {
                Ok(mail) => {
                    // A server that went away may be back: the mail is worth an attempt.
                    let connected = match &self.connection {
                        Some(_) => Ok(()),
                        None => self.connect(),
                    };
                    let connection = match (&self.connection, connected) {
                        (Some(connection), _) => {
                            connection.allow(PATIENCE);
                            Ok(connection)
                        }
                        (None, Err(error)) => Err(error),
                        (None, Ok(())) => Err(Error::Interrupted),
                    };
                    let failed = self.concern.mail(connection, mail);
                    self.settle(failed);
                    // What the server says of its own end comes before the next mail.
                    self.read_events();
                }
                Err(mpsc::error::TryRecvError::Empty) => return true,
                Err(mpsc::error::TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn read_events(&mut self) {
        while let Some(connection) = &self.connection {
            connection.allow(PATIENCE);
            let what = "listen to the X server";
            let failed = match connection.x.poll_for_event().attempt(what) {
                Ok(Some(event)) => self.concern.event(connection, event).err(),
                Ok(None) => match connection.x.flush().attempt(what) {
                    Ok(()) => return,
                    Err(error) => Some(error),
                },
                Err(error) => Some(error),
            };
            self.settle(failed);
        }
    }

    /// Drops a connection that broke; any other failure concerns one request only.
    fn settle(&mut self, failed: Option<Error>) {
        if let Some(error @ Error::Lost { .. }) = failed
            && self.connection.take().is_some()
        {
            self.retry = Instant::now();
            self.concern.lost(&error);
        }
    }

    /// Waits for a mail, an event, or the next deadline.
    fn wait(&self) {
        let retry = (self.connection.is_none() && self.concern.holds()).then_some(self.retry);
        let next = [retry, self.concern.deadline()].into_iter().flatten().min();
        let left = next.map(|next| next.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        let bell = PollFd::new(&self.bell.0, PollFlags::IN);
        // An interrupted wait is a short one.
        let _ = match &self.connection {
            Some(connection) => {
                let socket = PollFd::new(connection.x.stream(), PollFlags::IN);
                poll(&mut [bell, socket], left.as_ref())
            }
            None => poll(&mut [bell], left.as_ref()),
        };
        self.bell.hush();
    }
}
