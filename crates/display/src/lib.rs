//! The X display: its size, its pixels, its cursor and its clipboard.
//!
//! [`Display`] opens a connection for each call and closes it again: its calls are rare, and a
//! connection kept open would have to be watched for the server's death. [`Screen`], [`Cursor`]
//! and the like keep one each, and make it anew when the X server was restarted.

mod capture;
mod clipboard;
mod connection;
mod cursor;
mod desktop;
mod encode;
mod error;
pub mod input;
mod keeper;
mod resize;
mod stream;
mod window;

use std::{fmt, ops::RangeInclusive, time::Duration};

pub use capture::{Region, Screen};
pub use clipboard::{CLIPBOARD_MAX, Clipboard};
pub use connection::Connection;
pub use cursor::Cursor;
pub use desktop::Desktop;
pub use encode::{DEFAULT_QUALITY, Format, Picture, QUALITIES, SCALES, Shot};
pub use error::Error;
pub use window::Filling;

/// The widths that a screen can be set to, in pixels.
pub const WIDTHS: RangeInclusive<u16> = 320..=3840;
/// The heights that a screen can be set to, in pixels.
pub const HEIGHTS: RangeInclusive<u16> = 240..=2160;
/// The refresh rates that a screen can be set to, in Hz.
pub const REFRESH_RATES: RangeInclusive<u16> = 1..=240;
/// The refresh rate of a screen for which none was asked, in Hz; [`PRESETS`] have their own.
pub const DEFAULT_REFRESH: u16 = 60;
/// The usual sizes of a viewport, with the refresh rates at which they are shown well.
pub const PRESETS: [Size; 9] = [
    Size::new(2560, 1440, 10),
    Size::new(1920, 1080, 25),
    Size::new(1920, 1200, 25),
    Size::new(1440, 900, 25),
    Size::new(1280, 800, 60),
    Size::new(1200, 800, 60),
    Size::new(1024, 768, 60),
    Size::new(768, 1024, 60),
    Size::new(390, 844, 60),
];

/// How long the X server may take to answer everything that one call asks.
const PATIENCE: Duration = Duration::from_secs(5);

/// The size of a screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Pixels across.
    pub width: u16,
    /// Pixels down.
    pub height: u16,
    /// Frames per second; 0 where the server's mode tells none.
    pub refresh: u16,
}

/// What is to change of the size of a screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resize {
    /// Pixels across, within [`WIDTHS`].
    pub width: Option<u16>,
    /// Pixels down, within [`HEIGHTS`].
    pub height: Option<u16>,
    /// Frames per second, within [`REFRESH_RATES`].
    pub refresh: Option<u16>,
}

impl From<Size> for Resize {
    fn from(size: Size) -> Self {
        Self {
            width: Some(size.width),
            height: Some(size.height),
            refresh: Some(size.refresh),
        }
    }
}

impl Size {
    const fn new(width: u16, height: u16, refresh: u16) -> Self {
        Self {
            width,
            height,
            refresh,
        }
    }

    /// This size after a change. Where the change names no refresh rate, it is that of the
    /// preset, or [`DEFAULT_REFRESH`].
    #[must_use]
    pub fn changed(self, change: Resize) -> Self {
        let width = change.width.unwrap_or(self.width);
        let height = change.height.unwrap_or(self.height);
        let usual = || {
            let preset = PRESETS
                .iter()
                .find(|preset| (preset.width, preset.height) == (width, height));
            preset.map_or(DEFAULT_REFRESH, |preset| preset.refresh)
        };
        Self {
            width,
            height,
            refresh: change.refresh.unwrap_or_else(usual),
        }
    }

    /// Checks that a screen can be given this size.
    pub fn check(self) -> Result<Self, Error> {
        let within = |what, value, range: RangeInclusive<u16>| {
            if range.contains(&value) {
                return Ok(());
            }
            Err(Error::OutOfRange {
                what,
                value,
                least: *range.start(),
                most: *range.end(),
            })
        };
        within("width", self.width, WIDTHS)?;
        within("height", self.height, HEIGHTS)?;
        within("refresh rate", self.refresh, REFRESH_RATES)?;
        Ok(self)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}@{}", self.width, self.height, self.refresh)
    }
}

/// A local X display, by its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Display {
    number: u16,
    name: String,
}

impl Display {
    /// The display with that number; nothing is opened yet.
    #[must_use]
    pub fn new(number: u16) -> Self {
        Self {
            number,
            name: format!(":{number}"),
        }
    }

    /// The name that `DISPLAY` takes, such as `:1`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Opens a connection, on which everything together may take as long as `patience`.
    ///
    /// This blocks for as long; asynchronous code uses the methods below.
    pub fn connect(&self, patience: Duration) -> Result<Connection, Error> {
        Connection::open(self.number, patience)
    }

    /// Whether the X server accepts a connection and answers on it.
    ///
    /// # Cancel safety
    /// Dropping the future leaves a thread that ends by itself, at the latest after 5 s.
    pub async fn probe(&self) -> Result<(), Error> {
        self.blocking(Connection::round_trip).await
    }

    /// The present size of the screen.
    ///
    /// # Cancel safety
    /// As [`Self::probe`].
    pub async fn size(&self) -> Result<Size, Error> {
        self.blocking(Connection::size).await
    }

    /// Sets the size of the screen, without a restart of the X server or of its clients.
    ///
    /// # Cancel safety
    /// Dropping the future does not undo the change, nor stop one that has begun.
    pub async fn set_size(&self, size: Size) -> Result<(), Error> {
        size.check()?;
        self.blocking(move |connection| connection.set_size(size))
            .await
    }

    /// Changes the size of the screen, and tells the new one. What the change does not name
    /// stays, but for the refresh rate: see [`Size::changed`]. Changes that are made at the same
    /// time come one after the other, and none is lost.
    ///
    /// # Cancel safety
    /// As [`Self::set_size`].
    pub async fn resize(&self, change: Resize) -> Result<Size, Error> {
        if change == Resize::default() {
            return Err(Error::NothingToChange);
        }
        let given = Size {
            width: change.width.unwrap_or(*WIDTHS.start()),
            height: change.height.unwrap_or(*HEIGHTS.start()),
            refresh: change.refresh.unwrap_or(DEFAULT_REFRESH),
        };
        given.check()?;
        self.blocking(move |connection| connection.resize(change))
            .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let display = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&display.connect(PATIENCE)?)).await;
        done.unwrap_or(Err(Error::Interrupted))
    }
}
