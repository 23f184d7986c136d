//! Lending keys: what the layout lacks is put on spare keys for a while.
//!
//! A client looks up what a key means when it handles the key's event, in a map that it reads
//! anew some time after the server has told it of a change. So a key must not be pressed before
//! the client has heard of its new meaning, nor be given another one before the client has
//! handled the press. Both are known, not guessed, by `_NET_WM_PING` (Extended Window Manager
//! Hints): the answer to it comes after everything that the server had sent to that client
//! before.

use std::time::{Duration, Instant};

use x11rb::{
    connection::Connection as _,
    protocol::{
        xkb::GetMapReply,
        xproto::{AtomEnum, ClientMessageEvent, ConnectionExt as _, EventMask, InputFocus, Window},
    },
};

use super::{
    super::{names::keysym_of, typing::Tap},
    WINDOW,
    keymap::Stroke,
    link::Link,
};
use crate::{Error, error::Attempt as _};

/// How long the focused window may take to answer.
const ANSWER: Duration = Duration::from_secs(10);
/// How often to look meanwhile whether the focus has gone elsewhere.
const LOOK: Duration = Duration::from_millis(200);
/// What a window gets that answers no pings; it cannot be known when it has read its events.
const UNKNOWN: Duration = Duration::from_millis(100);

/// A key with a meaning that the layout does not give it.
#[derive(Debug)]
struct Loan {
    code: u8,
    keysym: u32,
    /// Whether it is still needed. Else it is the first to be given another meaning.
    needed: bool,
}

/// The keys that are lent.
#[derive(Debug, Default)]
pub(super) struct Lent {
    keys: Vec<Loan>,
    /// Whether one was pressed since the client was last known to have read its events.
    pressed: bool,
    /// The number of the last ping.
    ping: u32,
    /// Whether the answers to pings are listened to.
    listening: bool,
}

impl Lent {
    /// The key that a keysym was put on.
    pub(super) fn code(&mut self, keysym: u32) -> Option<Stroke> {
        let loan = self.keys.iter().find(|loan| loan.keysym == keysym)?;
        self.pressed = true;
        let code = loan.code;
        Some(Stroke { code, mods: 0 })
    }

    pub(super) fn codes(&self) -> Vec<u8> {
        self.keys.iter().map(|loan| loan.code).collect()
    }

    /// Forgets the keys that somebody else has given another meaning.
    pub(super) fn keep_present(&mut self, map: &GetMapReply) {
        let syms = map.map.syms_rtrn.as_deref().unwrap_or_default();
        self.keys.retain(|loan| {
            let index = usize::from(loan.code.saturating_sub(map.first_key_sym));
            let present = syms.get(index).and_then(|key| key.syms.first());
            present == Some(&loan.keysym)
        });
    }
}

impl Link {
    /// How many of the taps can be typed with the spare keys that there are.
    pub(super) fn fit(&mut self, taps: &[Tap]) -> Result<usize, Error> {
        self.refresh_keymap()?;
        let room = self.keymap().spare.len();
        let mut missing: Vec<char> = Vec::with_capacity(room);
        for (count, tap) in taps.iter().take(WINDOW).enumerate() {
            if self.keymap().character(tap.character).is_none() && !missing.contains(&tap.character)
            {
                if missing.len() == room {
                    return Ok(count);
                }
                missing.push(tap.character);
            }
        }
        Ok(taps.len().min(WINDOW))
    }

    /// Lends keys to the characters that the layout lacks.
    pub(super) fn lend_characters(&mut self, taps: &[Tap]) -> Result<(), Error> {
        let mut missing = Vec::new();
        for tap in taps {
            let keysym = keysym_of(tap.character);
            if self.keymap().character(tap.character).is_none() && !missing.contains(&keysym) {
                missing.push(keysym);
            }
        }
        self.lend(&missing)
    }

    /// Lends keys to these keysyms, of which there are no more than spare keys.
    pub(super) fn lend(&mut self, keysyms: &[u32]) -> Result<(), Error> {
        for loan in &mut self.lent.keys {
            loan.needed = keysyms.contains(&loan.keysym);
        }
        let lent: Vec<u32> = self.lent.keys.iter().map(|loan| loan.keysym).collect();
        let fresh: Vec<u32> = (keysyms.iter().copied())
            .filter(|keysym| !lent.contains(keysym))
            .collect();
        if fresh.is_empty() {
            return Ok(());
        }
        let mut free = self.keymap().spare.clone();
        let codes = self.lent.codes();
        free.retain(|code| !codes.contains(code));
        if free.len() < fresh.len() {
            self.settle(1)?;
            let unused = self.lent.keys.iter().filter(|loan| !loan.needed);
            free.extend(unused.map(|loan| loan.code));
        }
        for (&code, &keysym) in free.iter().zip(&fresh) {
            self.give(code, &[keysym, keysym])?;
            self.lent.keys.retain(|loan| loan.code != code);
            self.lent.keys.push(Loan {
                code,
                keysym,
                needed: true,
            });
        }
        // Toolkits beside Chromium's own connection have one too (GTK's, for input methods).
        // The first answer says that the news lies there to be read, the second one that the
        // event loop, which serves both, has gone round since.
        self.settle_always(2)
    }

    /// Takes back all keys that are lent.
    pub(super) fn take_back(&mut self) -> Result<(), Error> {
        if self.lent.keys.is_empty() {
            return Ok(());
        }
        // A client that hangs must not keep the keys for ever: what it has not read by now, it
        // will take for keys without a meaning.
        let settled = self.settle(1);
        for loan in std::mem::take(&mut self.lent.keys) {
            self.give(loan.code, &[0])?;
        }
        self.listen(EventMask::STRUCTURE_NOTIFY)?;
        self.lent.listening = false;
        self.round_trip()?;
        match settled {
            Err(Error::Unresponsive) | Ok(()) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Waits until the client has read what was sent to it, if lent keys were pressed.
    fn settle(&mut self, rounds: u32) -> Result<(), Error> {
        if std::mem::take(&mut self.lent.pressed) {
            self.settle_always(rounds)?;
        }
        Ok(())
    }

    /// Lets a client that answers pings keep up, so that not all of a long text lies in queues.
    pub(super) fn keep_up(&mut self) -> Result<(), Error> {
        let Some(window) = self.answering_window()? else {
            return self.round_trip();
        };
        self.ask(window)
    }

    pub(super) fn settle_always(&mut self, rounds: u32) -> Result<(), Error> {
        for _ in 0..rounds {
            let Some(window) = self.answering_window()? else {
                let until = Instant::now() + UNKNOWN;
                self.round_trip()?;
                while Instant::now() < until {
                    self.wait(until)?;
                    self.take_events()?;
                }
                return Ok(());
            };
            self.ask(window)?;
        }
        Ok(())
    }

    /// Asks a window whether it is alive, and waits for the answer.
    fn ask(&mut self, window: Window) -> Result<(), Error> {
        let deadline = Instant::now() + ANSWER;
        if !self.lent.listening {
            self.listen(EventMask::STRUCTURE_NOTIFY | EventMask::SUBSTRUCTURE_NOTIFY)?;
            self.lent.listening = true;
        }
        let mut asked = None;
        let mut window = window;
        loop {
            if asked != Some(window) {
                self.send_ping(window)?;
                asked = Some(window);
            }
            let look = Instant::now() + LOOK;
            while Instant::now() < look {
                self.wait(look.min(deadline))?;
                self.take_events()?;
                if self.pong == self.lent.ping {
                    return Ok(());
                }
                if Instant::now() >= deadline {
                    return Err(Error::Unresponsive);
                }
            }
            self.allow(ANSWER);
            match self.answering_window()? {
                Some(other) => window = other,
                None => return Ok(()),
            }
        }
    }

    fn send_ping(&mut self, window: Window) -> Result<(), Error> {
        let what = "ping the focused window";
        self.lent.ping = self.lent.ping.wrapping_add(1);
        let data = [self.ping, self.lent.ping, window, 0, 0];
        let event = ClientMessageEvent::new(32, window, self.wm_protocols, data);
        let x = &self.connection.x;
        x.send_event(false, window, EventMask::NO_EVENT, event)
            .attempt(what)?;
        x.flush().attempt(what)
    }

    /// The window with the focus, or that of its ancestors, which answers pings.
    fn answering_window(&self) -> Result<Option<Window>, Error> {
        let what = "look for the focused window";
        let x = &self.connection.x;
        let focus = x
            .get_input_focus()
            .attempt(what)?
            .reply()
            .attempt(what)?
            .focus;
        let path = if focus == u32::from(InputFocus::POINTER_ROOT) {
            self.path_to_pointer()?
        } else if focus == u32::from(InputFocus::NONE) {
            Vec::new()
        } else {
            self.path_to_root(focus)?
        };
        for window in path {
            let cookie = x
                .get_property(false, window, self.wm_protocols, AtomEnum::ATOM, 0, 64)
                .attempt(what)?;
            // The window may be gone by now.
            let Ok(reply) = cookie.reply() else { continue };
            if reply
                .value32()
                .is_some_and(|mut atoms| atoms.any(|atom| atom == self.ping))
            {
                return Ok(Some(window));
            }
        }
        Ok(None)
    }

    fn path_to_root(&self, window: Window) -> Result<Vec<Window>, Error> {
        let x = &self.connection.x;
        let mut path = Vec::new();
        let mut next = window;
        while next != 0 && next != self.connection.root {
            path.push(next);
            let cookie = x.query_tree(next).attempt("look for the focused window")?;
            next = cookie.reply().map_or(0, |reply| reply.parent);
        }
        Ok(path)
    }

    fn path_to_pointer(&self) -> Result<Vec<Window>, Error> {
        let x = &self.connection.x;
        let mut path = Vec::new();
        let mut next = self.connection.root;
        loop {
            let cookie = x
                .query_pointer(next)
                .attempt("look for the focused window")?;
            next = cookie.reply().map_or(0, |reply| reply.child);
            if next == 0 {
                return Ok(path);
            }
            path.push(next);
        }
    }

    fn give(&self, code: u8, keysyms: &[u32]) -> Result<(), Error> {
        let per_code = u8::try_from(keysyms.len()).unwrap_or(1);
        self.connection
            .x
            .change_keyboard_mapping(1, code, per_code, keysyms)
            .attempt("lend a key to what the layout lacks")?;
        Ok(())
    }
}
