//! Handing our text to another client, in pieces where it is large.

use std::{collections::HashMap, ops::Range, sync::Arc, time::Instant};

use x11rb::{
    connection::RequestConnection as _,
    errors::ReplyError,
    protocol::xproto::{
        Atom, AtomEnum, ChangeWindowAttributesAux, ConnectionExt as _, EventMask, PropMode,
        Property, PropertyNotifyEvent, SelectionNotifyEvent, SelectionRequestEvent, Timestamp,
        Window,
    },
    wrapper::ConnectionExt as _,
};

use super::{atoms::Atoms, owner::STALL};
use crate::{Connection, Error, error::Attempt as _};

/// The largest piece of a text. Well below the longest request that any X server takes.
const PIECE: usize = 256 * 1024;
/// How many transfers may be under way; beyond that the oldest one is given up.
const TRANSFERS: usize = 64;

/// How many targets one request may name.
const PAIRS: u32 = 64;

/// A text, on its way piece by piece (ICCCM, section 2.7.2).
#[derive(Debug)]
struct Transfer {
    kind: Atom,
    bytes: Arc<[u8]>,
    left: Range<usize>,
    /// When it is given up, unless the client takes another piece.
    until: Instant,
}

/// The transfers under way, by the requestor's window and its property.
#[derive(Debug, Default)]
pub(super) struct Outgoing(HashMap<(Window, Atom), Transfer>);

impl Outgoing {
    /// Answers a request for our text.
    pub(super) fn answer(
        &mut self,
        connection: &Connection,
        atoms: &Atoms,
        text: Option<(&str, Timestamp)>,
        request: &SelectionRequestEvent,
    ) -> Result<(), Error> {
        // Clients of old give no property; then it is named like the target (ICCCM, 2.2).
        let property = if request.property == x11rb::NONE {
            request.target
        } else {
            request.property
        };
        let put = match text {
            Some(text) if request.target == atoms.MULTIPLE => {
                let place = (request.requestor, request.property);
                self.put_all(connection, atoms, text, place)?
            }
            Some(text) => {
                let place = (request.requestor, property);
                self.put(connection, atoms, text, request.target, place)?
            }
            None => false,
        };
        let notice = SelectionNotifyEvent {
            response_type: x11rb::protocol::xproto::SELECTION_NOTIFY_EVENT,
            sequence: 0,
            time: request.time,
            requestor: request.requestor,
            selection: request.selection,
            target: request.target,
            property: if put { property } else { x11rb::NONE },
        };
        let what = "answer a request for the clipboard";
        let sent = connection
            .x
            .send_event(false, request.requestor, EventMask::NO_EVENT, notice)
            .attempt(what)?;
        // The other client may be gone already; so everywhere below.
        sent.ignore_error();
        Ok(())
    }

    /// Does what a property asks for: pairs of a target and the property to put it in. Whatever
    /// cannot be had is crossed out there (ICCCM, section 2.6.2).
    fn put_all(
        &mut self,
        connection: &Connection,
        atoms: &Atoms,
        text: (&str, Timestamp),
        (window, list): (Window, Atom),
    ) -> Result<bool, Error> {
        let what = "read what is wanted of the clipboard";
        if list == x11rb::NONE {
            return Ok(false);
        }
        let x = &connection.x;
        let cookie = x
            .get_property(false, window, list, AtomEnum::ANY, 0, 2 * PAIRS)
            .attempt(what)?;
        let found = match cookie.reply() {
            // The window is gone.
            Err(ReplyError::X11Error(_)) => return Ok(false),
            found => found.attempt(what)?,
        };
        let Some(pairs) = found.value32().filter(|_| found.bytes_after == 0) else {
            return Ok(false);
        };
        let mut pairs: Vec<Atom> = pairs.collect();
        for pair in pairs.as_chunks_mut::<2>().0 {
            let [target, property] = *pair;
            if property == x11rb::NONE
                || !self.put(connection, atoms, text, target, (window, property))?
            {
                pair[1] = x11rb::NONE;
            }
        }
        let kind = atoms.ATOM_PAIR;
        x.change_property32(PropMode::REPLACE, window, list, kind, &pairs)
            .attempt(what)?
            .ignore_error();
        Ok(true)
    }

    /// Puts the text down as a target asks for, if it can be had so.
    fn put(
        &mut self,
        connection: &Connection,
        atoms: &Atoms,
        (text, since): (&str, Timestamp),
        target: Atom,
        (window, property): (Window, Atom),
    ) -> Result<bool, Error> {
        let what = "hand out the clipboard's text";
        let x = &connection.x;
        let replace = PropMode::REPLACE;
        if target == atoms.TARGETS {
            let kind = AtomEnum::ATOM;
            x.change_property32(replace, window, property, kind, &atoms.offered())
                .attempt(what)?
                .ignore_error();
            return Ok(true);
        }
        if target == atoms.TIMESTAMP {
            let kind = AtomEnum::INTEGER;
            x.change_property32(replace, window, property, kind, &[since])
                .attempt(what)?
                .ignore_error();
            return Ok(true);
        }
        let Some((kind, bytes)) = atoms.encode(text, target) else {
            return Ok(false);
        };
        if bytes.len() <= PIECE.min(x.maximum_request_bytes() / 2) {
            x.change_property8(replace, window, property, kind, &bytes)
                .attempt(what)?
                .ignore_error();
            return Ok(true);
        }
        // Its deletion of the property asks for the next piece.
        let listen = ChangeWindowAttributesAux::new().event_mask(EventMask::PROPERTY_CHANGE);
        x.change_window_attributes(window, &listen)
            .attempt(what)?
            .ignore_error();
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        x.change_property32(replace, window, property, atoms.INCR, &[len])
            .attempt(what)?
            .ignore_error();
        self.begin((window, property), kind, bytes);
        Ok(true)
    }

    fn begin(&mut self, place: (Window, Atom), kind: Atom, bytes: Vec<u8>) {
        if self.0.len() >= TRANSFERS {
            let oldest = self.0.iter().min_by_key(|(_, transfer)| transfer.until);
            let oldest = oldest.map(|(place, _)| *place);
            self.0.retain(|place, _| Some(*place) != oldest);
        }
        let transfer = Transfer {
            kind,
            left: 0..bytes.len(),
            bytes: bytes.into(),
            until: Instant::now() + STALL,
        };
        self.0.insert(place, transfer);
    }

    /// Puts the next piece where the last one was taken away. The last piece is empty.
    pub(super) fn taken(
        &mut self,
        connection: &Connection,
        event: &PropertyNotifyEvent,
    ) -> Result<(), Error> {
        let what = "hand out a piece of the clipboard's text";
        let place = (event.window, event.atom);
        if event.state != Property::DELETE {
            return Ok(());
        }
        let Some(transfer) = self.0.get_mut(&place) else {
            return Ok(());
        };
        let x = &connection.x;
        let end = transfer.left.end.min(transfer.left.start + PIECE);
        let piece = &transfer.bytes[transfer.left.start..end];
        x.change_property8(PropMode::REPLACE, place.0, place.1, transfer.kind, piece)
            .attempt(what)?
            .ignore_error();
        let last = piece.is_empty();
        transfer.left.start = end;
        transfer.until = Instant::now() + STALL;
        if last {
            self.0.remove(&place);
            self.stop_listening(connection, place.0)?;
        }
        Ok(())
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.0.values().map(|transfer| transfer.until).min()
    }

    /// Gives up what nobody takes any more.
    pub(super) fn overdue(&mut self, connection: &Connection) -> Result<(), Error> {
        let now = Instant::now();
        let late: Vec<_> = self
            .0
            .iter()
            .filter(|(_, transfer)| transfer.until <= now)
            .map(|(place, _)| *place)
            .collect();
        for place in late {
            self.0.remove(&place);
            self.stop_listening(connection, place.0)?;
        }
        Ok(())
    }

    fn stop_listening(&self, connection: &Connection, window: Window) -> Result<(), Error> {
        if self.0.keys().any(|place| place.0 == window) {
            return Ok(());
        }
        let silence = ChangeWindowAttributesAux::new().event_mask(EventMask::NO_EVENT);
        connection
            .x
            .change_window_attributes(window, &silence)
            .attempt("stop listening to a window")?
            .ignore_error();
        Ok(())
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
