//! The cursor: its picture, and hiding it.

mod hide;

use x11rb::{
    connection::RequestConnection as _,
    errors::ReplyError,
    protocol::{
        ErrorKind,
        xfixes::{self, ConnectionExt as _},
    },
};

pub use hide::Cursor;
pub(crate) use hide::Hidden;

use crate::{Connection, Error, error::Attempt as _};

/// The cursor's picture, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CursorImage {
    /// The left edge on the screen, in pixels; the hot spot has been taken into account.
    pub(crate) left: i32,
    /// The upper edge.
    pub(crate) top: i32,
    /// Pixels across.
    pub(crate) width: usize,
    /// Rows of ARGB with premultiplied alpha (fixesproto, `GetCursorImage`).
    pub(crate) pixels: Vec<u32>,
}

/// Asks for XFixes, which has to come before any of its requests.
pub(crate) fn enable(connection: &Connection) -> Result<(), Error> {
    let what = "ask for the XFixes extension";
    let x = &connection.x;
    if x.extension_information(xfixes::X11_EXTENSION_NAME)
        .attempt(what)?
        .is_none()
    {
        return Err(Error::NoXfixes);
    }
    // Hiding came with version 4.
    let version = x.xfixes_query_version(4, 0).attempt(what)?;
    if version.reply().attempt(what)?.major_version < 4 {
        return Err(Error::NoXfixes);
    }
    Ok(())
}

/// The cursor's picture, also when it is hidden; none where the screen has no cursor at all.
pub(crate) fn image(connection: &Connection) -> Result<Option<CursorImage>, Error> {
    let what = "read the picture of the cursor";
    let cookie = connection.x.xfixes_get_cursor_image().attempt(what)?;
    let image = match cookie.reply() {
        Err(ReplyError::X11Error(error)) if error.error_kind == ErrorKind::Cursor => {
            return Ok(None);
        }
        reply => reply.attempt(what)?,
    };
    Ok(Some(CursorImage {
        left: i32::from(image.x) - i32::from(image.xhot),
        top: i32::from(image.y) - i32::from(image.yhot),
        width: image.width.into(),
        pixels: image.cursor_image,
    }))
}
