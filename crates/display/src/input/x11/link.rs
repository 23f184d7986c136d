//! The connection: what is asked of it, and what it tells by itself.

use std::{
    fmt,
    time::{Duration, Instant},
};

use x11rb::{
    connection::{Connection as _, RequestConnection as _},
    protocol::{
        Event,
        xkb::{self, ConnectionExt as _, ID, MapPart},
        xproto::{
            Atom, BUTTON_PRESS_EVENT, BUTTON_RELEASE_EVENT, ChangeWindowAttributesAux,
            ConnectionExt as _, EventMask, KEY_PRESS_EVENT, KEY_RELEASE_EVENT, MOTION_NOTIFY_EVENT,
        },
        xtest::{self, ConnectionExt as _},
    },
};

use super::{
    super::{
        names::{Key, keysym_of},
        path::Bounds,
        request::Point,
    },
    keymap::{Keymap, State, Stroke},
    lend::Lent,
    others::Set,
};
use crate::{Connection, Display, Error, error::Attempt as _};

/// A connection, with what is known of the server behind it.
pub(super) struct Link {
    pub(super) connection: Connection,
    bounds: Bounds,
    keymap: Keymap,
    state: State,
    /// Whether the keymap has changed since it was read.
    stale: bool,
    /// Whether clients may not have read a change of the layout yet.
    news: bool,
    /// What else was set on the keyboard when it was last read.
    pub(super) set: Set,
    /// The modifiers that were unlocked and have to be locked again.
    pub(super) relock: u16,
    pub(super) lent: Lent,
    pub(super) wm_protocols: Atom,
    pub(super) ping: Atom,
    /// The number of the last ping that was answered.
    pub(super) pong: u32,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("bounds", &self.bounds)
            .finish_non_exhaustive()
    }
}

impl Link {
    pub(super) fn open(display: &Display, patience: Duration) -> Result<Self, Error> {
        let connection = display.connect(patience)?;
        let what = "set up the mouse and the keyboard";
        let x = &connection.x;
        for name in [xtest::X11_EXTENSION_NAME, xkb::X11_EXTENSION_NAME] {
            if x.extension_information(name).attempt(what)?.is_none() {
                return Err(Error::NoExtension { name });
            }
        }
        let xkb = x.xkb_use_extension(1, 0).attempt(what)?;
        if !xkb.reply().attempt(what)?.supported {
            return Err(Error::NoExtension {
                name: xkb::X11_EXTENSION_NAME,
            });
        }
        let atom = |name: &[u8]| -> Result<Atom, Error> {
            let cookie = x.intern_atom(false, name).attempt(what)?;
            Ok(cookie.reply().attempt(what)?.atom)
        };
        let (wm_protocols, ping) = (atom(b"WM_PROTOCOLS")?, atom(b"_NET_WM_PING")?);
        let mut link = Self {
            connection,
            bounds: Bounds {
                width: 0,
                height: 0,
            },
            keymap: Keymap::default(),
            state: State {
                group: 0,
                locked: 0,
            },
            stale: true,
            news: false,
            set: Set::default(),
            relock: 0,
            lent: Lent::default(),
            wm_protocols,
            ping,
            pong: 0,
        };
        // First the events, then the size: so no change between the two is missed.
        link.listen(EventMask::STRUCTURE_NOTIFY)?;
        link.listen_to_keyboard()?;
        let size = link.connection.root_size()?;
        link.bounds = Bounds {
            width: size.width,
            height: size.height,
        };
        Ok(link)
    }

    pub(super) fn allow(&self, patience: Duration) {
        self.connection.allow(patience);
    }

    pub(super) fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// What decided about the meaning of keys when the keyboard was last read.
    pub(super) fn state(&self) -> State {
        self.state
    }

    pub(super) fn keymap(&self) -> &Keymap {
        &self.keymap
    }

    /// Sends what is buffered.
    pub(super) fn send(&self) -> Result<(), Error> {
        let x = &self.connection.x;
        x.flush().attempt("send what was pressed")
    }

    pub(super) fn round_trip(&self) -> Result<(), Error> {
        self.connection.round_trip()
    }

    /// Listens to these events of the root window.
    pub(super) fn listen(&self, mask: EventMask) -> Result<(), Error> {
        let aux = ChangeWindowAttributesAux::new().event_mask(mask);
        self.connection
            .x
            .change_window_attributes(self.connection.root, &aux)
            .attempt("listen to the root window")?;
        Ok(())
    }

    fn listen_to_keyboard(&self) -> Result<(), Error> {
        let events = xkb::EventType::MAP_NOTIFY | xkb::EventType::NEW_KEYBOARD_NOTIFY;
        let parts = MapPart::KEY_TYPES | MapPart::KEY_SYMS | MapPart::MODIFIER_MAP;
        self.connection
            .x
            .xkb_select_events(
                ID::USE_CORE_KBD.into(),
                xkb::EventType::from(0_u16),
                events,
                parts,
                parts,
                &xkb::SelectEventsAux::new(),
            )
            .attempt("listen to the keyboard's layout")?;
        Ok(())
    }

    /// Lets clients read a change of the layout that is not our own. Their toolkits do so at
    /// leisure, too.
    pub(super) fn let_clients_read(&mut self) -> Result<(), Error> {
        if std::mem::take(&mut self.news) {
            self.settle_always(2)?;
        }
        Ok(())
    }

    /// Takes note of what the server has told by itself. Fails when it is gone.
    pub(super) fn take_events(&mut self) -> Result<(), Error> {
        while let Some(event) = (self.connection.x)
            .poll_for_event()
            .attempt("read the events of the X server")?
        {
            match event {
                Event::ConfigureNotify(event) if event.window == self.connection.root => {
                    self.bounds = Bounds {
                        width: event.width,
                        height: event.height,
                    };
                }
                Event::XkbMapNotify(event) => {
                    // A change of a single key that is lent is one of our own.
                    let lent = self.lent.codes().contains(&event.first_key_sym);
                    if event.n_key_syms != 1 || !lent {
                        self.stale = true;
                        self.news = true;
                    }
                }
                Event::XkbNewKeyboardNotify(_) => {
                    self.stale = true;
                    self.news = true;
                }
                Event::ClientMessage(event)
                    if event.type_ == self.wm_protocols && event.format == 32 =>
                {
                    let data = event.data.as_data32();
                    if data[0] == self.ping {
                        self.pong = data[1];
                    }
                }
                // An error here is one of a request that has no answer, on a window that was
                // gone already.
                _ => {}
            }
        }
        Ok(())
    }

    /// Waits until the server says something, or the moment comes.
    pub(super) fn wait(&self, moment: Instant) -> Result<(), Error> {
        self.connection.wait(moment)
    }

    pub(super) fn position(&self) -> Result<Point, Error> {
        let what = "ask where the pointer is";
        let cookie = self.connection.x.query_pointer(self.connection.root);
        let reply = cookie.attempt(what)?.reply().attempt(what)?;
        Ok(Point {
            x: reply.root_x.into(),
            y: reply.root_y.into(),
        })
    }

    pub(super) fn motion(&self, to: Point) -> Result<(), Error> {
        let clamp = |value: i32| i16::try_from(value).unwrap_or(i16::MAX);
        self.fake(MOTION_NOTIFY_EVENT, 0, clamp(to.x), clamp(to.y))
    }

    pub(super) fn button(&self, number: u8, down: bool) -> Result<(), Error> {
        let kind = if down {
            BUTTON_PRESS_EVENT
        } else {
            BUTTON_RELEASE_EVENT
        };
        self.fake(kind, number, 0, 0)
    }

    pub(super) fn key(&self, code: u8, down: bool) -> Result<(), Error> {
        let kind = if down {
            KEY_PRESS_EVENT
        } else {
            KEY_RELEASE_EVENT
        };
        self.fake(kind, code, 0, 0)
    }

    fn fake(&self, kind: u8, detail: u8, x: i16, y: i16) -> Result<(), Error> {
        self.connection
            .x
            .xtest_fake_input(kind, detail, 0, self.connection.root, x, y, 0)
            .attempt("move the mouse or press a key")?;
        Ok(())
    }

    /// The key for a meaning, lent or in the layout.
    pub(super) fn stroke(&mut self, key: Key) -> Option<Stroke> {
        let lent = match key {
            Key::Keysym(keysym) => self.lent.code(keysym),
            Key::Keycode(_) => None,
        };
        lent.or_else(|| self.keymap.key(key))
    }

    /// The key for a character, lent or in the layout.
    pub(super) fn character(&mut self, character: char) -> Option<Stroke> {
        let lent = self.lent.code(keysym_of(character));
        lent.or_else(|| self.keymap.character(character))
    }

    /// Reads the layout, and the state of the keyboard.
    pub(super) fn read_keymap(&mut self) -> Result<&Keymap, Error> {
        // What is told by now is in what is read.
        self.take_events()?;
        self.stale = false;
        let what = "read the keyboard's layout";
        self.read_set()?;
        let x = &self.connection.x;
        let keyboard = ID::USE_CORE_KBD.into();
        let parts = MapPart::KEY_TYPES | MapPart::KEY_SYMS;
        let none = MapPart::from(0_u8);
        let map = x
            .xkb_get_map(
                keyboard,
                parts,
                none,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0_u16.into(),
                0,
                0,
                0,
                0,
                0,
                0,
            )
            .attempt(what)?;
        let modifiers = x.get_modifier_mapping().attempt(what)?;
        let map = map.reply().attempt(what)?;
        let modifiers = modifiers.reply().attempt(what)?;
        self.lent.keep_present(&map);
        self.keymap = Keymap::new(&map, &modifiers, self.state, &self.lent.codes());
        Ok(&self.keymap)
    }

    /// Reads what is set on the keyboard, beside its layout.
    pub(super) fn read_set(&mut self) -> Result<(), Error> {
        let what = "read the state of the keyboard";
        let x = &self.connection.x;
        let state = x.xkb_get_state(ID::USE_CORE_KBD.into()).attempt(what)?;
        let keys = x.query_keymap().attempt(what)?;
        let state = state.reply().attempt(what)?;
        let keys = keys.reply().attempt(what)?.keys;
        let is_down = |code: &u8| keys[usize::from(code / 8)] & (1 << (code % 8)) != 0;
        self.set = Set {
            down: (0..=u8::MAX).filter(is_down).collect(),
            latched: state.latched_mods.into(),
            group_latched: state.latched_group != 0,
        };
        self.state = State {
            group: state.group.into(),
            locked: state.locked_mods.into(),
        };
        Ok(())
    }

    /// Whether the layout is still what was read of it.
    pub(super) fn has_same_layout(&mut self) -> Result<bool, Error> {
        self.take_events()?;
        if !self.stale {
            return Ok(true);
        }
        let before = std::mem::take(&mut self.keymap);
        Ok(*self.read_keymap()? == before)
    }

    /// Reads the layout if it was changed.
    pub(super) fn refresh_keymap(&mut self) -> Result<(), Error> {
        self.take_events()?;
        if self.stale {
            self.read_keymap()?;
        }
        Ok(())
    }
}
