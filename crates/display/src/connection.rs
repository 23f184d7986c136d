//! One connection to the X server, for blocking callers.

use std::{
    fmt, io,
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use x11rb::{
    connection::{Connection as _, RequestConnection as _},
    cookie::VoidCookie,
    errors::ConnectError,
    protocol::{
        randr::{self, ConnectionExt as _},
        xproto::{
            AtomEnum, ConnectionExt as _, CreateWindowAux, EventMask, PropMode, Window, WindowClass,
        },
    },
    rust_connection::RustConnection,
    wrapper::ConnectionExt as _,
};

use crate::{
    DEFAULT_REFRESH, Error, Resize, Size,
    error::Attempt as _,
    resize,
    stream::Bounded,
    window::{self, Followers},
};

/// The property of the root window that says that the screen was given a size in this life of
/// the server, and which (width, height, refresh rate; CARDINAL, format 32).
const SIZE_PROPERTY: &[u8] = b"_BROWSERD_SCREEN_SIZE";

/// A connection to the X server; everything on it together is bound by one deadline.
pub struct Connection {
    pub(crate) x: RustConnection<Bounded>,
    pub(crate) root: Window,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

impl Connection {
    pub(crate) fn open(number: u16, patience: Duration) -> Result<Self, Error> {
        let stream = Bounded::connect(number, Instant::now() + patience).map_err(|source| {
            match source.kind() {
                io::ErrorKind::TimedOut => Error::Silent { number },
                _ => Error::Unreachable {
                    number,
                    source: Arc::new(source),
                },
            }
        })?;
        let x = RustConnection::connect_to_stream(stream, 0).map_err(|error| match error {
            ConnectError::IoError(error) if error.kind() == io::ErrorKind::TimedOut => {
                Error::Silent { number }
            }
            error => Error::Refused {
                number,
                source: Arc::new(error),
            },
        })?;
        let root = x
            .setup()
            .roots
            .first()
            .map(|screen| screen.root)
            .ok_or(Error::NoOutput)?;
        Ok(Self { x, root })
    }

    /// Gives everything that follows on this connection as long as `patience`, from now.
    pub fn allow(&self, patience: Duration) {
        self.x.stream().set_deadline(Instant::now() + patience);
    }

    /// Asks something trivial and waits for the answer.
    pub fn round_trip(&self) -> Result<(), Error> {
        self.x.sync().attempt("get an answer from the X server")
    }

    /// Waits until the server says something, or the moment comes.
    pub(crate) fn wait(&self, moment: Instant) -> Result<(), Error> {
        let left = moment.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).unwrap_or_default();
        match poll(
            &mut [PollFd::new(self.x.stream(), PollFlags::IN)],
            Some(&left),
        ) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(Error::Lost {
                what: "wait for the X server",
                source: Arc::new(error.into()),
            }),
        }
    }

    /// Takes an event, and says whether there was one before the moment.
    pub(crate) fn event_before(&self, moment: Instant) -> Result<bool, Error> {
        let what = "listen to the X server";
        self.x.flush().attempt(what)?;
        loop {
            if self.x.poll_for_event().attempt(what)?.is_some() {
                return Ok(true);
            }
            if Instant::now() >= moment {
                return Ok(false);
            }
            self.wait(moment)?;
        }
    }

    /// A window that is never shown and tells of its properties' changes: clients hand each other
    /// texts through such ones. The caller decides whether to wait until it is made.
    pub(crate) fn hidden_window(
        &self,
        what: &'static str,
    ) -> Result<(Window, VoidCookie<'_, RustConnection<Bounded>>), Error> {
        let window = self.x.generate_id().attempt(what)?;
        let (parent, class) = (self.root, WindowClass::INPUT_ONLY);
        let listen = CreateWindowAux::new().event_mask(EventMask::PROPERTY_CHANGE);
        let (depth, visual) = (x11rb::COPY_DEPTH_FROM_PARENT, x11rb::COPY_FROM_PARENT);
        let cookie = self.x.create_window(
            depth, window, parent, -1, -1, 1, 1, 0, class, visual, &listen,
        );
        Ok((window, cookie.attempt(what)?))
    }

    /// The present size of the screen.
    pub fn size(&self) -> Result<Size, Error> {
        let root = self.root_size()?;
        let refresh = match self.check_randr() {
            Ok(()) => resize::refresh(self)?,
            Err(Error::NoRandr) => 0,
            Err(error) => return Err(error),
        };
        Ok(Size { refresh, ..root })
    }

    /// Whether a window manager is in charge of the windows on the screen.
    pub fn is_managed(&self) -> Result<bool, Error> {
        window::is_managed(self)
    }

    /// Sets the size of the screen. Windows that cover it follow: through their window manager,
    /// or without one by themselves. Without one, and where none covers it, the largest does.
    pub fn set_size(&self, size: Size) -> Result<(), Error> {
        let size = size.check()?;
        self.resize(size.into()).map(|_| ())
    }

    /// Changes the size of the screen as [`Self::set_size`] does, and tells the new one. No other
    /// change, of whatever program, comes between the reading of the present size and its change.
    pub fn resize(&self, change: Resize) -> Result<Size, Error> {
        self.check_randr()?;
        // Nobody may see, or change, a half-made arrangement. The server lets go by itself
        // when this connection ends.
        self.x.grab_server().attempt("grab the X server")?;
        let done = self.resize_alone(change);
        self.x.ungrab_server().attempt("let go of the X server")?;
        let (size, followers) = done?;
        self.round_trip()?;
        followers.settle(self, size)?;
        Ok(size)
    }

    /// Does it while no other client may do anything.
    fn resize_alone(&self, change: Resize) -> Result<(Size, Followers), Error> {
        let size = self.size()?.changed(change).check()?;
        let mut followers = window::followers(self)?;
        followers.prepare(self, size)?;
        resize::resize(self, size)?;
        self.remember(size)?;
        followers.fit(self, size)?;
        Ok((size, followers))
    }

    /// Sets the size of the screen to that of the configuration, unless it was given one in
    /// this life of the X server: a restart of Chromium does not undo a later change. Says
    /// whether it did.
    pub fn set_initial_size(&self, width: u16, height: u16) -> Result<bool, Error> {
        if self.remembered()? {
            return Ok(false);
        }
        self.set_size(Size {
            width,
            height,
            refresh: DEFAULT_REFRESH,
        })?;
        Ok(true)
    }

    /// The size of the root window, without a refresh rate.
    pub(crate) fn root_size(&self) -> Result<Size, Error> {
        let what = "read the size of the root window";
        let cookie = self.x.get_geometry(self.root).attempt(what)?;
        let root = cookie.reply().attempt(what)?;
        Ok(Size {
            width: root.width,
            height: root.height,
            refresh: 0,
        })
    }

    fn check_randr(&self) -> Result<(), Error> {
        let what = "ask for the RandR extension";
        if self
            .x
            .extension_information(randr::X11_EXTENSION_NAME)
            .attempt(what)?
            .is_none()
        {
            return Err(Error::NoRandr);
        }
        let version = self
            .x
            .randr_query_version(1, 3)
            .attempt(what)?
            .reply()
            .attempt(what)?;
        if (version.major_version, version.minor_version) < (1, 3) {
            return Err(Error::NoRandr);
        }
        Ok(())
    }

    fn remember(&self, size: Size) -> Result<(), Error> {
        let property = self.size_property()?;
        let value = [size.width.into(), size.height.into(), size.refresh.into()];
        self.x
            .change_property32(
                PropMode::REPLACE,
                self.root,
                property,
                AtomEnum::CARDINAL,
                &value,
            )
            .attempt("note the size at the root window")?;
        Ok(())
    }

    fn remembered(&self) -> Result<bool, Error> {
        let what = "read the size noted at the root window";
        let property = self.size_property()?;
        let cookie = self
            .x
            .get_property(false, self.root, property, AtomEnum::CARDINAL, 0, 3)
            .attempt(what)?;
        Ok(cookie.reply().attempt(what)?.format == 32)
    }

    fn size_property(&self) -> Result<u32, Error> {
        let what = "name the property of the root window";
        let cookie = self.x.intern_atom(false, SIZE_PROPERTY).attempt(what)?;
        Ok(cookie.reply().attempt(what)?.atom)
    }
}
