//! Making the browser's window follow the screen.
//!
//! With a window manager a maximised window follows by itself; what is left to do is to have it
//! maximised, and to let it be small enough. Without one, nobody else does it, and a window may
//! have any size: also those below the 500 pixels at which `Browser.setWindowBounds` stops.

mod filling;
mod managed;
mod top;

use x11rb::{
    errors::ReplyError,
    protocol::{
        ErrorKind,
        xproto::{
            ConfigureWindowAux, ConnectionExt as _, EventMask, MapState, Window, WindowClass,
        },
    },
};

pub use self::filling::Filling;
use self::{managed::Covering, top::hides_ui};
use crate::{Connection, Error, Size, error::Attempt as _};

/// How many pixels a window that covers the screen may leave free: Chromium makes itself one
/// pixel smaller than told when it is told the size of the screen.
const SHY: i32 = 1;

/// A window directly on the screen.
#[derive(Debug, Clone, Copy)]
struct TopLevel {
    window: Window,
    width: u16,
    height: u16,
    /// Whether it covers the screen.
    covers: bool,
}

impl TopLevel {
    fn area(self) -> u32 {
        u32::from(self.width) * u32::from(self.height)
    }
}

/// What was on the screen before its size changed.
#[derive(Debug)]
pub(crate) enum Followers {
    /// Nobody is in charge of these.
    Free {
        /// The windows.
        windows: Vec<Window>,
        /// What is the browser's own of them is above the edge of the screen.
        hide_ui: bool,
    },
    /// A window manager is.
    Managed(Covering),
}

/// The windows that are to follow: those that cover the screen, or else, without a window
/// manager, the largest one.
pub(crate) fn followers(connection: &Connection) -> Result<Followers, Error> {
    if is_managed(connection)? {
        return Ok(Followers::Managed(Covering::find(connection)?));
    }
    let hide_ui = hides_ui(connection)?;
    let screen = connection.root_size()?;
    let windows = top_levels(connection, screen)?;
    let covering: Vec<_> = windows
        .iter()
        .filter(|window| window.covers)
        .map(|window| window.window)
        .collect();
    let windows = if covering.is_empty() {
        let largest = windows.iter().max_by_key(|window| window.area());
        largest.map(|window| window.window).into_iter().collect()
    } else {
        covering
    };
    Ok(Followers::Free { windows, hide_ui })
}

impl Followers {
    /// What they need before the screen gets its new size.
    pub(crate) fn prepare(&mut self, connection: &Connection, screen: Size) -> Result<(), Error> {
        match self {
            Self::Free { .. } => Ok(()),
            Self::Managed(covering) => covering.let_shrink(connection, screen),
        }
    }

    /// Sees to the windows for which asking once may not do, when others may act again.
    pub(crate) fn settle(&self, connection: &Connection, screen: Size) -> Result<(), Error> {
        match self {
            Self::Free { .. } => Ok(()),
            Self::Managed(covering) => covering.settle(connection, screen),
        }
    }

    /// Gives them the size of the screen, or has their manager do so. One that is gone by now
    /// is passed over.
    pub(crate) fn fit(&self, connection: &Connection, screen: Size) -> Result<(), Error> {
        let (windows, hide_ui) = match self {
            Self::Free { windows, hide_ui } => (windows, *hide_ui),
            Self::Managed(covering) => return covering.maximise(connection),
        };
        for &window in windows {
            let above = if hide_ui {
                top::ui_height(connection, window)?
            } else {
                0
            };
            fill(connection, window, screen, above)?;
        }
        Ok(())
    }
}

/// Gives a window the size of the screen, and more above its edge. One that is gone is passed over.
fn fill(connection: &Connection, window: Window, screen: Size, above: u16) -> Result<(), Error> {
    let what = "give a window the size of the screen";
    let place = ConfigureWindowAux::new()
        .x(0)
        .y(-i32::from(above))
        .width(u32::from(screen.width))
        .height(u32::from(screen.height) + u32::from(above));
    let cookie = connection
        .x
        .configure_window(window, &place)
        .attempt(what)?;
    present(cookie.check(), what)?;
    Ok(())
}

/// Whether a window manager is in charge: only one client may redirect what others ask of the
/// windows on the screen, and that one is the manager (ICCCM, section 4).
pub(crate) fn is_managed(connection: &Connection) -> Result<bool, Error> {
    let what = "ask for a window manager";
    let cookie = connection
        .x
        .get_window_attributes(connection.root)
        .attempt(what)?;
    let events = cookie.reply().attempt(what)?.all_event_masks;
    Ok(events.contains(EventMask::SUBSTRUCTURE_REDIRECT))
}

/// The windows that show, without menus and the like, which manage themselves.
fn top_levels(connection: &Connection, screen: Size) -> Result<Vec<TopLevel>, Error> {
    let what = "list the windows";
    let x = &connection.x;
    let tree = x.query_tree(connection.root).attempt(what)?;
    let mut windows = Vec::new();
    for window in tree.reply().attempt(what)?.children {
        let look = x.get_window_attributes(window).attempt(what)?;
        let place = x.get_geometry(window).attempt(what)?;
        let (Some(look), Some(place)) =
            (present(look.reply(), what)?, present(place.reply(), what)?)
        else {
            continue;
        };
        if look.map_state != MapState::VIEWABLE
            || look.override_redirect
            || look.class != WindowClass::INPUT_OUTPUT
        {
            continue;
        }
        windows.push(TopLevel {
            window,
            width: place.width,
            height: place.height,
            covers: covers((place.x, place.y), (place.width, place.height), screen),
        });
    }
    Ok(windows)
}

/// Whether a window at that place, of that size, covers the screen but for [`SHY`].
fn covers(place: (i16, i16), size: (u16, u16), screen: Size) -> bool {
    let reaches = |start: i16, len: u16, of: u16| {
        start <= 0 && i32::from(start) + i32::from(len) + SHY >= i32::from(of)
    };
    reaches(place.0, size.0, screen.width) && reaches(place.1, size.1, screen.height)
}

/// An answer, or none where the window is gone.
fn present<T>(reply: Result<T, ReplyError>, what: &'static str) -> Result<Option<T>, Error> {
    match reply {
        Err(ReplyError::X11Error(error))
            if matches!(error.error_kind, ErrorKind::Window | ErrorKind::Drawable) =>
        {
            Ok(None)
        }
        reply => reply.attempt(what).map(Some),
    }
}
