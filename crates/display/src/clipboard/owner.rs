//! What the thread of the clipboard does.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;
use x11rb::{
    connection::Connection as _,
    protocol::{
        Event,
        xproto::{AtomEnum, ConnectionExt as _, PropMode, Timestamp, Window},
    },
    wrapper::ConnectionExt as _,
};

use super::{
    Wish,
    atoms::Atoms,
    incoming::{Incoming, Step},
    outgoing::Outgoing,
};
use crate::{Connection, Error, error::Attempt as _, keeper::Concern};

/// How long another client may do nothing in the middle of a transfer.
pub(super) const STALL: Duration = Duration::from_secs(5);

/// What belongs to one connection.
#[derive(Debug)]
struct Link {
    atoms: Atoms,
    window: Window,
}

/// The owner of the clipboard's text, while nobody else is.
#[derive(Debug, Default)]
pub(super) struct Owner {
    link: Option<Link>,
    /// Events that came while something else was waited for.
    held: VecDeque<Event>,
    /// What was written here and nobody took over, with the time of the X server since when.
    text: Option<(String, Timestamp)>,
    outgoing: Outgoing,
    incoming: Option<Incoming>,
    /// Who waits for text: all of them get what the read under way gives.
    readers: VecDeque<oneshot::Sender<Result<String, Error>>>,
}

impl Owner {
    fn write(&mut self, connection: &Connection, text: String) -> Result<(), Error> {
        let since = self.own(connection)?;
        self.text = Some((text, since));
        Ok(())
    }

    /// Becomes the owner, and tells since when.
    fn own(&mut self, connection: &Connection) -> Result<Timestamp, Error> {
        let what = "own the clipboard";
        let Some(link) = &self.link else {
            return Err(Error::Interrupted);
        };
        let now = now(connection, link, &mut self.held)?;
        let x = &connection.x;
        let selection = link.atoms.CLIPBOARD;
        x.set_selection_owner(link.window, selection, now)
            .attempt(what)?
            .ignore_error();
        let cookie = x.get_selection_owner(selection).attempt(what)?;
        if cookie.reply().attempt(what)?.owner == link.window {
            return Ok(now);
        }
        Err(Error::ClipboardTaken)
    }

    fn read(&mut self, connection: &Connection) -> Result<(), Error> {
        let what = "find the owner of the clipboard";
        let Some(link) = &self.link else {
            return Err(Error::Interrupted);
        };
        let cookie = connection
            .x
            .get_selection_owner(link.atoms.CLIPBOARD)
            .attempt(what)?;
        let owner = cookie.reply().attempt(what)?.owner;
        if owner == x11rb::NONE {
            self.answer(&Ok(String::new()));
        } else if owner == link.window {
            let text = self.text.as_ref().map(|(text, _)| text.clone());
            self.answer(&Ok(text.unwrap_or_default()));
        } else if self.incoming.is_none() {
            let now = now(connection, link, &mut self.held)?;
            self.incoming = Some(Incoming::ask(connection, &link.atoms, now)?);
        }
        Ok(())
    }

    /// Tells all who wait.
    fn answer(&mut self, text: &Result<String, Error>) {
        for reader in self.readers.drain(..) {
            // Whoever asked may have left.
            let _ = reader.send(text.clone());
        }
    }

    fn step(&mut self, connection: &Connection, step: Result<Step, Error>) -> Result<(), Error> {
        let (text, failed) = match step {
            Ok(Step::Wait) => return Ok(()),
            Ok(Step::Done(text)) => (text, Ok(())),
            Err(error) => (Err(error.clone()), Err(error)),
        };
        if let Some(read) = self.incoming.take() {
            read.end(connection);
        }
        self.answer(&text);
        failed
    }
}

/// The X server's time, which selections need: that of a change that we make ourselves (ICCCM,
/// section 2.1). Events that come meanwhile go to `held`.
fn now(
    connection: &Connection,
    link: &Link,
    held: &mut VecDeque<Event>,
) -> Result<Timestamp, Error> {
    let what = "ask for the X server's time";
    let (window, property) = (link.window, link.atoms._BROWSERD_TIME);
    connection
        .x
        .change_property8(PropMode::APPEND, window, property, AtomEnum::STRING, &[])
        .attempt(what)?
        .ignore_error();
    connection.x.flush().attempt(what)?;
    loop {
        match connection.x.wait_for_event().attempt(what)? {
            Event::PropertyNotify(event) if event.window == window && event.atom == property => {
                return Ok(event.time);
            }
            other => held.push_back(other),
        }
    }
}

impl Concern for Owner {
    type Mail = Wish;

    /// Text that was written here is offered again as soon as a lost server is back.
    fn holds(&self) -> bool {
        self.text.is_some()
    }

    fn connected(&mut self, connection: &Connection) -> Result<(), Error> {
        let what = "set up the clipboard";
        let atoms = Atoms::learn(connection)?;
        let x = &connection.x;
        let (window, made) = connection.hidden_window(what)?;
        made.check().attempt(what)?;
        let cookie = x.get_selection_owner(atoms.CLIPBOARD).attempt(what)?;
        let free = cookie.reply().attempt(what)?.owner == x11rb::NONE;
        self.link = Some(Link { atoms, window });
        match self.text.take() {
            // Somebody else was faster, with something newer.
            Some(_) if !free => {}
            Some((text, _)) => {
                let since = self.own(connection);
                // Kept for the next attempt, if this one failed.
                self.text = Some((text, since.as_ref().copied().unwrap_or_default()));
                since?;
            }
            None => {}
        }
        Ok(())
    }

    fn mail(&mut self, connection: Result<&Connection, Error>, mail: Wish) -> Option<Error> {
        let failed = match mail {
            Wish::Write(text, answer) => {
                let done = connection
                    .clone()
                    .and_then(|connection| self.write(connection, text));
                let failed = done.clone().err();
                // Whoever asked may have left.
                let _ = answer.send(done);
                failed
            }
            Wish::Read(answer) => {
                self.readers.push_back(answer);
                let done = connection
                    .clone()
                    .and_then(|connection| self.read(connection));
                if let Err(error) = &done {
                    self.answer(&Err(error.clone()));
                }
                done.err()
            }
        };
        if failed.is_some() {
            return failed;
        }
        let connection = connection.ok()?;
        while let Some(event) = self.held.pop_front() {
            if let Err(error) = self.event(connection, event) {
                return Some(error);
            }
        }
        None
    }

    fn event(&mut self, connection: &Connection, event: Event) -> Result<(), Error> {
        let Some(Link { atoms, window }) = &self.link else {
            return Ok(());
        };
        match event {
            Event::SelectionRequest(request) => {
                let text = self
                    .text
                    .as_ref()
                    .map(|(text, since)| (text.as_str(), *since));
                self.outgoing.answer(connection, atoms, text, &request)
            }
            Event::SelectionClear(event) if event.owner == *window => {
                self.text = None;
                Ok(())
            }
            Event::SelectionNotify(event) => {
                let Some(read) = &mut self.incoming else {
                    return Ok(());
                };
                let step = read.answered(connection, atoms, &event);
                self.step(connection, step)
            }
            Event::PropertyNotify(event) => {
                self.outgoing.taken(connection, &event)?;
                let Some(read) = &mut self.incoming else {
                    return Ok(());
                };
                let step = read.piece(connection, atoms, &event);
                self.step(connection, step)
            }
            _ => Ok(()),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let read = self.incoming.as_ref().map(Incoming::deadline);
        [read, self.outgoing.deadline()].into_iter().flatten().min()
    }

    fn overdue(&mut self, connection: Option<&Connection>) -> Result<(), Error> {
        let Some(connection) = connection else {
            return Ok(());
        };
        self.outgoing.overdue(connection)?;
        let late = self
            .incoming
            .as_ref()
            .is_some_and(|read| read.deadline() <= Instant::now());
        if late {
            let silent = Step::Done(Err(Error::ClipboardSilent));
            self.step(connection, Ok(silent))?;
        }
        Ok(())
    }

    fn lost(&mut self, error: &Error) {
        self.link = None;
        self.held.clear();
        self.outgoing.clear();
        self.incoming = None;
        self.answer(&Err(error.clone()));
    }
}
