//! The names that selections use, and the texts that they stand for.

use x11rb::protocol::xproto::{Atom, AtomEnum};

use crate::{Connection, Error, error::Attempt as _};

x11rb::atom_manager! {
    /// The names, as numbers of one X server.
    pub(super) Atoms:
    /// Their answers, on the way.
    AtomsCookie {
        ATOM_PAIR,
        CLIPBOARD,
        INCR,
        MULTIPLE,
        TARGETS,
        TEXT,
        TIMESTAMP,
        UTF8_STRING,
        TEXT_PLAIN_UTF8: b"text/plain;charset=utf-8",
        TEXT_PLAIN: b"text/plain",
        // Where other clients put what they are asked for.
        _BROWSERD_SELECTION,
        // What changes so that the server tells the time.
        _BROWSERD_TIME,
    }
}

impl Atoms {
    pub(super) fn learn(connection: &Connection) -> Result<Self, Error> {
        let what = "name the parts of the clipboard";
        Self::new(&connection.x)
            .attempt(what)?
            .reply()
            .attempt(what)
    }

    /// The kinds of text, best first.
    pub(super) fn texts(&self) -> [Atom; 4] {
        [
            self.UTF8_STRING,
            self.TEXT_PLAIN_UTF8,
            self.TEXT_PLAIN,
            AtomEnum::STRING.into(),
        ]
    }

    /// All that is offered.
    pub(super) fn offered(&self) -> [Atom; 8] {
        [
            self.TARGETS,
            self.MULTIPLE,
            self.TIMESTAMP,
            self.UTF8_STRING,
            self.TEXT_PLAIN_UTF8,
            self.TEXT_PLAIN,
            self.TEXT,
            AtomEnum::STRING.into(),
        ]
    }

    /// The text as one of the kinds, with the type that it then has.
    pub(super) fn encode(&self, text: &str, target: Atom) -> Option<(Atom, Vec<u8>)> {
        if target == u32::from(AtomEnum::STRING) {
            return Some((target, latin1(text)));
        }
        if target == self.TEXT {
            // The owner chooses the encoding (ICCCM, section 2.6.2).
            return Some((self.UTF8_STRING, text.into()));
        }
        let plain = [self.UTF8_STRING, self.TEXT_PLAIN_UTF8, self.TEXT_PLAIN];
        plain.contains(&target).then(|| (target, text.into()))
    }

    /// What bytes of that type say. `STRING` is Latin-1; anything else is taken for UTF-8.
    pub(super) fn decode(kind: Atom, bytes: Vec<u8>) -> String {
        if kind == u32::from(AtomEnum::STRING) {
            return bytes.into_iter().map(char::from).collect();
        }
        match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        }
    }
}

/// The text in Latin-1, which is all that `STRING` can say; a question mark stands for the rest.
fn latin1(text: &str) -> Vec<u8> {
    text.chars()
        .map(|char| u8::try_from(u32::from(char)).unwrap_or(b'?'))
        .collect()
}
