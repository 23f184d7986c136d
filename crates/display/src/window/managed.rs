//! Windows that a window manager is in charge of.
//!
//! What is asked of it is in the Extended Window Manager Hints (EWMH 1.5, `_NET_CLIENT_LIST` and
//! `_NET_WM_STATE`) and in ICCCM section 4.1.2.3 (`WM_NORMAL_HINTS`).

use std::time::{Duration, Instant};

use x11rb::{
    NONE,
    properties::WmSizeHints,
    protocol::xproto::{
        Atom, AtomEnum, CLIENT_MESSAGE_EVENT, ChangeWindowAttributesAux, ClientMessageEvent,
        ConnectionExt as _, EventMask, Window,
    },
};

use super::{covers, present};
use crate::{Connection, Error, PATIENCE, Size, error::Attempt as _};

/// To take a state from those that a window has (EWMH, `_NET_WM_STATE_REMOVE`).
const REMOVE: u32 = 0;
/// To add one to them (`_NET_WM_STATE_ADD`).
const ADD: u32 = 1;
/// On behalf of the user, not of the window's own program (EWMH, source indication).
const BY_THE_USER: u32 = 2;
/// How long a window has to be left alone to be taken for settled.
const QUIET: Duration = Duration::from_secs(1);
/// How long that is waited for at most.
const SETTLE: Duration = Duration::from_secs(4);
/// The most windows that are looked at, in 32-bit units of the list.
const MOST_WINDOWS: u32 = 1024;

x11rb::atom_manager! {
    /// The names, as numbers of one X server.
    Atoms:
    /// Their answers, on the way.
    AtomsCookie {
        CLIENT_LIST: b"_NET_CLIENT_LIST".as_slice(),
        STATE: b"_NET_WM_STATE",
        FULLSCREEN: b"_NET_WM_STATE_FULLSCREEN",
        MAXIMIZED_HORZ: b"_NET_WM_STATE_MAXIMIZED_HORZ",
        MAXIMIZED_VERT: b"_NET_WM_STATE_MAXIMIZED_VERT",
    }
}

/// The windows that cover the screen.
#[derive(Debug)]
pub(crate) struct Covering {
    windows: Vec<Covered>,
    atoms: Atoms,
}

#[derive(Debug)]
struct Covered {
    window: Window,
    /// Its manager makes it follow by itself.
    is_maximised: bool,
    /// It has asked to be larger than the screen will be.
    is_larger: bool,
}

impl Covering {
    pub(super) fn find(connection: &Connection) -> Result<Self, Error> {
        let what = "name the states of a window";
        let asked = Atoms::new(&connection.x).attempt(what)?;
        let atoms = asked.reply().attempt(what)?;
        let screen = connection.root_size()?;
        let mut windows = Vec::new();
        for window in list(connection, connection.root, atoms.CLIENT_LIST)? {
            if !on_screen(connection, window, screen)? {
                continue;
            }
            let states = list(connection, window, atoms.STATE)?;
            let has = |state: Atom| states.contains(&state);
            let is_maximised =
                has(atoms.FULLSCREEN) || (has(atoms.MAXIMIZED_HORZ) && has(atoms.MAXIMIZED_VERT));
            windows.push(Covered {
                window,
                is_maximised,
                is_larger: false,
            });
        }
        Ok(Self { windows, atoms })
    }

    /// Lets them be as small as a screen: managers keep to the least size that a window has
    /// asked for, which is 500 pixels across for Chromium, though it can show less. This comes
    /// before the screen changes, for the manager looks at it then.
    pub(super) fn let_shrink(
        &mut self,
        connection: &Connection,
        screen: Size,
    ) -> Result<(), Error> {
        for covered in &mut self.windows {
            covered.is_larger = lower_least_size(connection, covered.window, screen)?;
        }
        Ok(())
    }

    /// Has those maximised that are not, so that the manager makes them follow.
    pub(super) fn maximise(&self, connection: &Connection) -> Result<(), Error> {
        let mut left = self.windows.iter().filter(|covered| !covered.is_maximised);
        left.try_for_each(|covered| self.ask_to_maximise(connection, covered.window, ADD))
    }

    /// Sees to it that those stay small enough that had asked to be larger: Chromium asks for it
    /// again when it has been told its new size. Takes [`QUIET`] for those, and no time for others.
    pub(super) fn settle(&self, connection: &Connection, screen: Size) -> Result<(), Error> {
        let larger = self.windows.iter().filter(|covered| covered.is_larger);
        let larger: Vec<_> = larger.map(|covered| covered.window).collect();
        let latest = Instant::now() + SETTLE;
        while !larger.is_empty() && Instant::now() < latest {
            connection.allow(PATIENCE);
            for &window in &larger {
                if lower_least_size(connection, window, screen)? {
                    self.ask_to_maximise(connection, window, REMOVE)?;
                    self.ask_to_maximise(connection, window, ADD)?;
                }
            }
            if !connection.event_before(Instant::now() + QUIET)? {
                break;
            }
        }
        Ok(())
    }

    fn ask_to_maximise(
        &self,
        connection: &Connection,
        window: Window,
        action: u32,
    ) -> Result<(), Error> {
        let what = "ask for a window to be maximised";
        let states = [
            action,
            self.atoms.MAXIMIZED_HORZ,
            self.atoms.MAXIMIZED_VERT,
            BY_THE_USER,
            0,
        ];
        let message = ClientMessageEvent {
            response_type: CLIENT_MESSAGE_EVENT,
            format: 32,
            sequence: 0,
            window,
            type_: self.atoms.STATE,
            data: states.into(),
        };
        let to = EventMask::SUBSTRUCTURE_NOTIFY | EventMask::SUBSTRUCTURE_REDIRECT;
        connection
            .x
            .send_event(false, connection.root, to, message)
            .attempt(what)?;
        Ok(())
    }
}

/// The numbers in a property; none where the window is gone or does not have it.
fn list(connection: &Connection, of: Window, property: Atom) -> Result<Vec<u32>, Error> {
    let what = "read a list of the window manager";
    let cookie = connection
        .x
        .get_property(false, of, property, AtomEnum::ANY, 0, MOST_WINDOWS)
        .attempt(what)?;
    let list = present(cookie.reply(), what)?;
    let numbers = list.and_then(|list| list.value32().map(Iterator::collect));
    Ok(numbers.unwrap_or_default())
}

/// Lowers the least size that a window has asked for to that of a screen, and has its changes
/// told from now on; says whether it was larger.
fn lower_least_size(connection: &Connection, window: Window, screen: Size) -> Result<bool, Error> {
    let what = "lower the least size of a window";
    let x = &connection.x;
    let cookie = WmSizeHints::get_normal_hints(x, window).attempt(what)?;
    let Some(mut hints) = present(cookie.reply(), what)?.flatten() else {
        return Ok(false);
    };
    let (width, height) = (i32::from(screen.width), i32::from(screen.height));
    match &mut hints.min_size {
        Some(least) if least.0 > width || least.1 > height => {
            *least = (least.0.min(width), least.1.min(height));
        }
        _ => return Ok(false),
    }
    let told = EventMask::STRUCTURE_NOTIFY | EventMask::PROPERTY_CHANGE;
    let told = ChangeWindowAttributesAux::new().event_mask(told);
    let cookie = x.change_window_attributes(window, &told).attempt(what)?;
    present(cookie.check(), what)?;
    let cookie = hints.set_normal_hints(x, window).attempt(what)?;
    present(cookie.check(), what)?;
    Ok(true)
}

/// Whether a window, with the frame that its manager has put around it, covers the screen.
fn on_screen(connection: &Connection, window: Window, screen: Size) -> Result<bool, Error> {
    let what = "read the place of a window";
    let x = &connection.x;
    let mut frame = window;
    loop {
        let tree = x.query_tree(frame).attempt(what)?;
        let Some(tree) = present(tree.reply(), what)? else {
            return Ok(false);
        };
        if tree.parent == tree.root || tree.parent == NONE {
            break;
        }
        frame = tree.parent;
    }
    let place = x.get_geometry(frame).attempt(what)?;
    let Some(place) = present(place.reply(), what)? else {
        return Ok(false);
    };
    Ok(covers(
        (place.x, place.y),
        (place.width, place.height),
        screen,
    ))
}
