//! Asking another client for its text.

use std::{time::Instant, vec};

use x11rb::protocol::xproto::{
    Atom, AtomEnum, ConnectionExt as _, Property, PropertyNotifyEvent, SelectionNotifyEvent,
    Timestamp, Window,
};

use super::{CLIPBOARD_MAX, atoms::Atoms, owner::STALL};
use crate::{Connection, Error, error::Attempt as _};

const WHAT: &str = "read the clipboard";

/// One read. Its window is its own, so that a late answer to another read is none to this one.
#[derive(Debug)]
pub(super) struct Incoming {
    window: Window,
    time: Timestamp,
    /// What was asked for last: first the list of what there is, for some owners hand out what
    /// they have, as a picture, whatever they are asked for.
    asked: Atom,
    /// The kinds of text to ask for after it.
    left: vec::IntoIter<Atom>,
    /// What has come so far, once it comes in pieces, and its type.
    pieces: Option<(Atom, Vec<u8>)>,
    /// When it is given up, unless something comes.
    until: Instant,
}

/// How a read stands.
#[derive(Debug)]
pub(super) enum Step {
    /// More is to come.
    Wait,
    /// This is it.
    Done(Result<String, Error>),
}

impl Incoming {
    /// Asks the owner of the clipboard for text.
    pub(super) fn ask(
        connection: &Connection,
        atoms: &Atoms,
        time: Timestamp,
    ) -> Result<Self, Error> {
        let (window, made) = connection.hidden_window(WHAT)?;
        made.ignore_error();
        let read = Self {
            window,
            time,
            asked: atoms.TARGETS,
            left: Vec::new().into_iter(),
            pieces: None,
            until: Instant::now() + STALL,
        };
        read.convert(connection, atoms)?;
        Ok(read)
    }

    fn convert(&self, connection: &Connection, atoms: &Atoms) -> Result<(), Error> {
        let place = atoms._BROWSERD_SELECTION;
        connection
            .x
            .convert_selection(self.window, atoms.CLIPBOARD, self.asked, place, self.time)
            .attempt(WHAT)?
            .ignore_error();
        Ok(())
    }

    pub(super) fn deadline(&self) -> Instant {
        self.until
    }

    /// The owner says that it has put the text down, or that it has none of that kind.
    pub(super) fn answered(
        &mut self,
        connection: &Connection,
        atoms: &Atoms,
        event: &SelectionNotifyEvent,
    ) -> Result<Step, Error> {
        let is_ours = event.requestor == self.window && event.target == self.asked;
        if !is_ours || self.pieces.is_some() {
            return Ok(Step::Wait);
        }
        self.until = Instant::now() + STALL;
        let is_list = self.asked == atoms.TARGETS;
        if event.property == x11rb::NONE {
            if is_list {
                // An owner that tells no list may have text all the same.
                self.left = Vec::from(atoms.texts()).into_iter();
            }
            return self.ask_next(connection, atoms);
        }
        if is_list {
            let (_, list) = self.take(connection, atoms)?;
            let mut kinds = Vec::from(atoms.texts());
            kinds.retain(|kind| list.as_chunks().0.contains(&kind.to_ne_bytes()));
            self.left = kinds.into_iter();
            return self.ask_next(connection, atoms);
        }
        let (kind, bytes) = self.take(connection, atoms)?;
        if kind == atoms.INCR {
            self.pieces = Some((x11rb::NONE, Vec::new()));
            return Ok(Step::Wait);
        }
        Ok(Step::Done(finished(kind, bytes)))
    }

    /// Asks for the next kind of text. Where there is none left, the clipboard holds no text.
    fn ask_next(&mut self, connection: &Connection, atoms: &Atoms) -> Result<Step, Error> {
        let Some(kind) = self.left.next() else {
            return Ok(Step::Done(Ok(String::new())));
        };
        self.asked = kind;
        self.convert(connection, atoms)?;
        Ok(Step::Wait)
    }

    /// The owner has put the next piece down. An empty one is the last.
    pub(super) fn piece(
        &mut self,
        connection: &Connection,
        atoms: &Atoms,
        event: &PropertyNotifyEvent,
    ) -> Result<Step, Error> {
        if event.window != self.window
            || event.atom != atoms._BROWSERD_SELECTION
            || event.state != Property::NEW_VALUE
        {
            return Ok(Step::Wait);
        }
        let Some((mut kind, mut text)) = self.pieces.take() else {
            return Ok(Step::Wait);
        };
        self.until = Instant::now() + STALL;
        let (now, piece) = self.take(connection, atoms)?;
        if now == x11rb::NONE {
            // The event of a property that has been read already.
            self.pieces = Some((kind, text));
            return Ok(Step::Wait);
        }
        if piece.is_empty() {
            return Ok(Step::Done(finished(
                if kind == x11rb::NONE { now } else { kind },
                text,
            )));
        }
        kind = now;
        text.extend_from_slice(&piece);
        if text.len() > CLIPBOARD_MAX {
            return Ok(Step::Done(Err(Error::ClipboardTooLong)));
        }
        self.pieces = Some((kind, text));
        Ok(Step::Wait)
    }

    /// Reads what was put down, and takes it away, which asks for more.
    fn take(&self, connection: &Connection, atoms: &Atoms) -> Result<(Atom, Vec<u8>), Error> {
        let place = atoms._BROWSERD_SELECTION;
        let most = u32::try_from(CLIPBOARD_MAX / 4 + 1).unwrap_or(u32::MAX);
        let cookie = connection
            .x
            .get_property(true, self.window, place, AtomEnum::ANY, 0, most)
            .attempt(WHAT)?;
        let found = cookie.reply().attempt(WHAT)?;
        if found.bytes_after > 0 {
            return Ok((found.type_, vec![0; CLIPBOARD_MAX + 1]));
        }
        Ok((found.type_, found.value))
    }

    /// Leaves nothing behind in the X server.
    pub(super) fn end(self, connection: &Connection) {
        // Where it fails, the connection is gone, and with it the window.
        let _ = connection
            .x
            .destroy_window(self.window)
            .map(x11rb::cookie::VoidCookie::ignore_error);
    }
}

fn finished(kind: Atom, bytes: Vec<u8>) -> Result<String, Error> {
    if bytes.len() > CLIPBOARD_MAX {
        return Err(Error::ClipboardTooLong);
    }
    Ok(Atoms::decode(kind, bytes))
}
