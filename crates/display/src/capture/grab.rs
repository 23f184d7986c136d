//! Taking pixels from the X server, for one blocking caller at a time.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use x11rb::{
    connection::{Connection as _, RequestConnection as _},
    errors::ReplyError,
    protocol::{
        ErrorKind,
        shm::{self, ConnectionExt as _},
        xproto::{ConnectionExt as _, ImageFormat, ImageOrder},
    },
};

use super::{
    Region,
    frame::{Frame, Lease, Pixels, Pool, Segment},
    sys::Mapping,
};
use crate::{
    Connection, Display, Error, Size,
    cursor::{self, Hidden},
    error::Attempt as _,
};

/// How long the X server may take over one grab.
const PATIENCE: Duration = Duration::from_secs(5);
/// All planes of a pixel.
const ALL_PLANES: u32 = !0;

/// What a grab is to hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    /// A part of the screen; all of it without one.
    pub(super) region: Option<Region>,
    /// Whether the cursor is asked for.
    pub(super) cursor: bool,
}

/// A connection that has proven to be fit for grabbing.
#[derive(Debug)]
struct Link {
    connection: Connection,
    /// Counts the connections, so that a segment knows where it is attached.
    serial: u64,
    /// Whether the server takes shared memory by descriptor (MIT-SHM 1.2).
    shared: bool,
}

/// Takes pixels over one connection, which is made anew when the X server was restarted.
#[derive(Debug)]
pub(super) struct Grabber {
    display: Display,
    hidden: Hidden,
    link: Option<Link>,
    serial: u64,
    pool: Arc<Pool>,
}

impl Grabber {
    pub(super) fn new(display: Display, hidden: Hidden) -> Self {
        Self {
            display,
            hidden,
            link: None,
            serial: 0,
            pool: Arc::default(),
        }
    }

    /// Gives unused memory back. The connection stays.
    pub(super) fn rest(&mut self) {
        if let Some(link) = &self.link {
            link.connection.allow(PATIENCE);
        }
        let idle = std::mem::take(&mut *self.pool.lock().unwrap_or_else(PoisonError::into_inner));
        if idle.iter().any(|segment| self.detach(segment).is_err()) {
            self.link = None;
        }
    }

    /// Takes one picture that serves all of `wanted`, of which each gets its own verdict: a
    /// region outside the screen spoils nobody else's.
    pub(super) fn grab(&mut self, wanted: &[Wanted]) -> Result<(Frame, Vec<Option<Error>>), Error> {
        // A connection that was idle may be to a server that is gone: that is no failure yet.
        let old = self.link.is_some();
        match self.attempt(wanted) {
            Err(Error::Lost { .. }) if old => self.attempt(wanted),
            done => done,
        }
    }

    fn attempt(&mut self, wanted: &[Wanted]) -> Result<(Frame, Vec<Option<Error>>), Error> {
        let done = self.connected().and_then(|()| self.look(wanted));
        if matches!(done, Err(Error::Lost { .. })) {
            self.link = None;
        }
        done
    }

    fn connected(&mut self) -> Result<(), Error> {
        if let Some(link) = &self.link {
            link.connection.allow(PATIENCE);
            return Ok(());
        }
        let connection = self.display.connect(PATIENCE)?;
        check_format(&connection)?;
        cursor::enable(&connection)?;
        self.serial += 1;
        self.link = Some(Link {
            shared: takes_memory(&connection)?,
            serial: self.serial,
            connection,
        });
        Ok(())
    }

    fn look(&mut self, wanted: &[Wanted]) -> Result<(Frame, Vec<Option<Error>>), Error> {
        let (_, region, verdicts) = self.measure(wanted)?;
        let (region, verdicts, pixels) = if let Some(pixels) = self.take(region)? {
            (region, verdicts, pixels)
        } else {
            // It was resized between the two questions; the second time it is settled.
            let (screen, region, verdicts) = self.measure(wanted)?;
            let pixels = self.take(region)?.ok_or(Error::Resizing { screen })?;
            (region, verdicts, pixels)
        };
        let cursor = if wanted.iter().any(|wanted| wanted.cursor) && !self.hidden.get() {
            cursor::image(&self.link()?.connection)?
        } else {
            None
        };
        let frame = Frame {
            region,
            pixels,
            cursor,
        };
        Ok((frame, verdicts))
    }

    /// The screen, the part of it that holds all that is wanted, and what is wrong with each.
    fn measure(&self, wanted: &[Wanted]) -> Result<(Size, Region, Vec<Option<Error>>), Error> {
        let screen = self.link()?.connection.root_size()?;
        let whole = Region::of(screen);
        let mut union: Option<Region> = None;
        let mut verdicts = Vec::with_capacity(wanted.len());
        for wanted in wanted {
            let region = wanted.region.unwrap_or(whole);
            let verdict = region.check(screen).err();
            if verdict.is_none() {
                union = Some(union.map_or(region, |union| union.joined(region)));
            }
            verdicts.push(verdict);
        }
        // Nothing to take at all: one pixel does.
        let nothing = Region {
            width: 1,
            height: 1,
            ..whole
        };
        Ok((screen, union.unwrap_or(nothing), verdicts))
    }

    /// The pixels of a part of the screen, or none when it does not lie inside it any more.
    fn take(&mut self, region: Region) -> Result<Option<Pixels>, Error> {
        if self.link()?.shared {
            self.take_shared(region)
        } else {
            self.take_sent(region)
        }
    }

    fn take_shared(&mut self, region: Region) -> Result<Option<Pixels>, Error> {
        let what = "read the pixels of the screen through shared memory";
        let len = region.bytes();
        let (segment, id) = self.segment(len)?;
        let link = self.link()?;
        let (x, y, width, height) = region.wire();
        let format = ImageFormat::Z_PIXMAP.into();
        let root = link.connection.root;
        let reply = link
            .connection
            .x
            .shm_get_image(root, x, y, width, height, ALL_PLANES, format, id, 0)
            .attempt(what)?
            .reply();
        // Without an answer the server may still write there: then nobody is lent the segment
        // again, and the memory is the server's alone once it is dropped here.
        let reply = settled(reply, what)?;
        let lease = Lease::new(segment, &self.pool);
        Ok(reply.map(|_| Pixels::Shared(lease, len)))
    }

    fn take_sent(&self, region: Region) -> Result<Option<Pixels>, Error> {
        let what = "read the pixels of the screen";
        let connection = &self.link()?.connection;
        let (x, y, width, height) = region.wire();
        let format = ImageFormat::Z_PIXMAP;
        let reply = connection
            .x
            .get_image(format, connection.root, x, y, width, height, ALL_PLANES)
            .attempt(what)?
            .reply();
        Ok(settled(reply, what)?.map(|reply| Pixels::Sent(reply.data)))
    }

    /// A segment of at least `len` bytes that this connection's server knows, and its id there.
    fn segment(&self, len: usize) -> Result<(Segment, u32), Error> {
        let what = "share memory with the X server";
        let link = self.link()?;
        let idle = self
            .pool
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        if let Some(small) = idle.as_ref().filter(|idle| idle.mapping.len() < len) {
            self.detach(small)?;
        }
        let fits = idle.filter(|segment| segment.mapping.len() >= len);
        let memory = |source| Error::Memory {
            len,
            source: Arc::new(source),
        };
        let mut segment = match fits {
            Some(segment) => segment,
            None => Segment {
                mapping: Mapping::new(len).map_err(memory)?,
                attached: None,
            },
        };
        if let Some((serial, id)) = segment.attached
            && serial == link.serial
        {
            return Ok((segment, id));
        }
        let x = &link.connection.x;
        let id = x.generate_id().attempt(what)?;
        let descriptor = segment.mapping.descriptor().map_err(memory)?;
        let attached = x.shm_attach_fd(id, descriptor, false).attempt(what)?;
        attached.check().attempt(what)?;
        segment.attached = Some((link.serial, id));
        Ok((segment, id))
    }

    /// Lets the server forget a segment. An error is the end of the connection, and with it of
    /// the segment.
    fn detach(&self, segment: &Segment) -> Result<(), Error> {
        let what = "take shared memory back from the X server";
        if let (Some(link), Some((serial, id))) = (&self.link, segment.attached)
            && link.serial == serial
        {
            let x = &link.connection.x;
            x.shm_detach(id).attempt(what)?.ignore_error();
            x.flush().attempt(what)?;
        }
        Ok(())
    }

    fn link(&self) -> Result<&Link, Error> {
        self.link.as_ref().ok_or(Error::Interrupted)
    }
}

/// An answer, or none where the part was not inside the screen.
fn settled<T>(reply: Result<T, ReplyError>, what: &'static str) -> Result<Option<T>, Error> {
    match reply {
        Err(ReplyError::X11Error(error)) if error.error_kind == ErrorKind::Match => Ok(None),
        reply => reply.attempt(what).map(Some),
    }
}

/// Whether the server takes shared memory by descriptor.
fn takes_memory(connection: &Connection) -> Result<bool, Error> {
    let what = "ask for the MIT-SHM extension";
    let x = &connection.x;
    if x.extension_information(shm::X11_EXTENSION_NAME)
        .attempt(what)?
        .is_none()
    {
        return Ok(false);
    }
    let version = x.shm_query_version().attempt(what)?.reply().attempt(what)?;
    Ok((version.major_version, version.minor_version) >= (1, 2))
}

/// Checks that pixels are four bytes: blue, green, red, unused. Every server of today's does it
/// so for a depth of 24.
fn check_format(connection: &Connection) -> Result<(), Error> {
    let setup = connection.x.setup();
    let depth = setup.roots.first().map_or(0, |screen| screen.root_depth);
    let bits = setup
        .pixmap_formats
        .iter()
        .find(|format| format.depth == depth)
        .map_or(0, |format| format.bits_per_pixel);
    if depth == 24 && bits == 32 && setup.image_byte_order == ImageOrder::LSB_FIRST {
        return Ok(());
    }
    Err(Error::Depth { depth })
}

#[cfg(test)]
mod tests;
