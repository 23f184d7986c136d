//! What is the browser's own of a window: tabs, address, bars. A page is to see a window as large
//! as the screen, so these lie above the screen's edge, where no window manager says otherwise.

use x11rb::{
    properties::WmSizeHints,
    protocol::xproto::{AtomEnum, ConnectionExt as _, PropMode, Window},
    wrapper::ConnectionExt as _,
};

use super::present;
use crate::{Connection, Error, error::Attempt as _};

/// The property of the root window that says whether they do (CARDINAL, format 32; 1 or 0).
const HIDDEN_PROPERTY: &[u8] = b"_BROWSERD_HIDE_BROWSER_UI";
/// No browser's own part is higher, in pixels; a window that asks for more is of another kind.
const MOST: i32 = 600;
/// The longest role that is read, in 32-bit units.
const ROLE_UNITS: u32 = 8;

/// Notes at the root window, for whoever changes the screen, whether the UI is above its edge.
pub(super) fn hide_ui(connection: &Connection, hidden: bool) -> Result<(), Error> {
    let property = named(connection, HIDDEN_PROPERTY)?;
    let value = [u32::from(hidden)];
    connection
        .x
        .change_property32(
            PropMode::REPLACE,
            connection.root,
            property,
            AtomEnum::CARDINAL,
            &value,
        )
        .attempt("note at the root window where browsers are")?;
    Ok(())
}

/// Whether it was noted so.
pub(super) fn hides_ui(connection: &Connection) -> Result<bool, Error> {
    let what = "read at the root window where browsers are";
    let property = named(connection, HIDDEN_PROPERTY)?;
    let cookie = connection
        .x
        .get_property(false, connection.root, property, AtomEnum::CARDINAL, 0, 1)
        .attempt(what)?;
    let reply = cookie.reply().attempt(what)?;
    Ok(reply.value32().and_then(|mut values| values.next()) == Some(1))
}

/// How high the browser's own part of a window is, in pixels; 0 where it is not a browser's.
///
/// Chromium's windows ask for no less height than that: a window with tabs leaves nothing for the
/// page then, a popup one line of pixels. It asks anew when a bar comes or goes.
pub(super) fn ui_height(connection: &Connection, window: Window) -> Result<u16, Error> {
    let of_page = match role(connection, window)?.as_slice() {
        b"browser" => 0,
        b"pop-up" => 1,
        _ => return Ok(0),
    };
    let what = "read the least size of a window";
    let cookie = WmSizeHints::get_normal_hints(&connection.x, window).attempt(what)?;
    let hints = present(cookie.reply(), what)?.flatten();
    let least = hints.and_then(|hints| hints.min_size);
    let height = least.map_or(0, |(_, height)| height - of_page);
    let plausible = u16::try_from(height).ok().filter(|_| height <= MOST);
    Ok(plausible.unwrap_or(0))
}

/// What a window is for, in its program's words (ICCCM, `WM_WINDOW_ROLE`).
fn role(connection: &Connection, window: Window) -> Result<Vec<u8>, Error> {
    let what = "read the role of a window";
    let property = named(connection, b"WM_WINDOW_ROLE")?;
    let cookie = connection
        .x
        .get_property(false, window, property, AtomEnum::STRING, 0, ROLE_UNITS)
        .attempt(what)?;
    let role = present(cookie.reply(), what)?;
    Ok(role.map(|role| role.value).unwrap_or_default())
}

fn named(connection: &Connection, name: &[u8]) -> Result<u32, Error> {
    let what = "name a property";
    let cookie = connection.x.intern_atom(false, name).attempt(what)?;
    Ok(cookie.reply().attempt(what)?.atom)
}
