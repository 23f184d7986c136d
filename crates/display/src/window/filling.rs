//! Keeps the browser's windows filling the screen, where no window manager does.
//!
//! Chromium gives every window without a size of its own the one of its command line, also when
//! the screen has another size by then, and makes one that would be as large as the screen a pixel
//! smaller. So a window is put into place when it appears, and again when its own part gets
//! another height. One that somebody gave another place is left there.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use x11rb::{
    connection::Connection as _,
    protocol::{
        Event,
        xproto::{
            AtomEnum, ChangeWindowAttributesAux, ConnectionExt as _, EventMask, MapState, Window,
            WindowClass,
        },
    },
};

use super::{
    SHY, covers, fill, is_managed, present,
    top::{hide_ui, ui_height},
};
use crate::{Connection, Error, Size, error::Attempt as _};

/// How long the X server may take over whatever one event leads to.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait for an event before waiting again.
const LONG: Duration = Duration::from_secs(3600);

/// The windows of the browser on one X server.
#[derive(Debug)]
pub struct Filling {
    connection: Connection,
    hide_ui: bool,
    /// The size of the command line.
    given: (u16, u16),
    /// The windows that fill the screen, each with the height of what is above its edge.
    placed: HashMap<Window, u16>,
}

impl Filling {
    /// Begins to listen. `given` is the size that the browser's command line gives each window;
    /// with `hide_ui` what is the browser's own goes above the edge of the screen.
    pub fn new(connection: Connection, hide: bool, given: (u16, u16)) -> Result<Self, Error> {
        let what = "listen to the windows of the screen";
        connection.allow(PATIENCE);
        hide_ui(&connection, hide)?;
        let listen = ChangeWindowAttributesAux::new().event_mask(EventMask::SUBSTRUCTURE_NOTIFY);
        let cookie = connection
            .x
            .change_window_attributes(connection.root, &listen)
            .attempt(what)?;
        cookie.check().attempt(what)?;
        Ok(Self {
            connection,
            hide_ui: hide,
            given,
            placed: HashMap::new(),
        })
    }

    /// Fills the screen until the connection ends. This blocks.
    pub fn run(mut self) -> Error {
        loop {
            if let Err(error) = self.step() {
                return error;
            }
        }
    }

    fn step(&mut self) -> Result<(), Error> {
        let what = "listen to the X server";
        self.connection.allow(PATIENCE);
        while let Some(event) = self.connection.x.poll_for_event().attempt(what)? {
            match event {
                Event::MapNotify(event) if !event.override_redirect => {
                    self.appeared(event.window)?;
                }
                Event::PropertyNotify(event)
                    if event.atom == u32::from(AtomEnum::WM_NORMAL_HINTS) =>
                {
                    self.changed(event.window)?;
                }
                Event::DestroyNotify(event) => {
                    self.placed.remove(&event.window);
                }
                _ => {}
            }
        }
        self.connection.x.flush().attempt(what)?;
        self.connection.wait(Instant::now() + LONG)
    }

    /// A window shows now.
    fn appeared(&mut self, window: Window) -> Result<(), Error> {
        if is_managed(&self.connection)? {
            return Ok(());
        }
        // Before its place is read, so that no change is missed.
        let what = "listen to a window";
        let listen = ChangeWindowAttributesAux::new().event_mask(EventMask::PROPERTY_CHANGE);
        let x = &self.connection.x;
        let cookie = x.change_window_attributes(window, &listen).attempt(what)?;
        present(cookie.check(), what)?;
        let Some((place, size)) = self.place(window)? else {
            return Ok(());
        };
        let screen = self.connection.root_size()?;
        let own = ui_height(&self.connection, window)?;
        if self.is_given(size, own) || covers(place, size, screen) {
            let above = if self.hide_ui { own } else { 0 };
            self.fill(window, screen, above)?;
        }
        Ok(())
    }

    /// A window's least size is another one.
    fn changed(&mut self, window: Window) -> Result<(), Error> {
        let Some(&before) = self.placed.get(&window) else {
            return Ok(());
        };
        let above = self.above(window)?;
        if above == before || is_managed(&self.connection)? {
            return Ok(());
        }
        let screen = self.connection.root_size()?;
        let (y, height) = (
            -i32::from(before),
            i32::from(screen.height) + i32::from(before),
        );
        let is_in_place = self.place(window)?.is_some_and(|(place, size)| {
            (i32::from(place.0), i32::from(place.1)) == (0, y)
                && (size.0, i32::from(size.1)) == (screen.width, height)
        });
        if is_in_place {
            self.fill(window, screen, above)?;
        }
        Ok(())
    }

    fn above(&self, window: Window) -> Result<u16, Error> {
        if !self.hide_ui {
            return Ok(0);
        }
        ui_height(&self.connection, window)
    }

    fn fill(&mut self, window: Window, screen: Size, above: u16) -> Result<(), Error> {
        fill(&self.connection, window, screen, above)?;
        self.placed.insert(window, above);
        Ok(())
    }

    /// Where a window of some program is that shows, and how large.
    #[expect(clippy::type_complexity, reason = "a place and a size")]
    fn place(&self, window: Window) -> Result<Option<((i16, i16), (u16, u16))>, Error> {
        let what = "read the place of a window";
        let x = &self.connection.x;
        let look = x.get_window_attributes(window).attempt(what)?;
        let place = x.get_geometry(window).attempt(what)?;
        let (Some(look), Some(place)) =
            (present(look.reply(), what)?, present(place.reply(), what)?)
        else {
            return Ok(None);
        };
        let shows = look.map_state == MapState::VIEWABLE && look.class == WindowClass::INPUT_OUTPUT;
        Ok(shows.then_some(((place.x, place.y), (place.width, place.height))))
    }

    /// Whether a size is the command line's, but for [`SHY`]. Of a popup that one is the page's,
    /// and its own part comes on top.
    fn is_given(&self, (width, height): (u16, u16), own: u16) -> bool {
        let alike = |size: i32, given: u16| (0..=SHY).contains(&(i32::from(given) - size));
        let (width, height) = (i32::from(width), i32::from(height));
        let page = height - i32::from(own);
        alike(width, self.given.0) && (alike(height, self.given.1) || alike(page, self.given.1))
    }
}
