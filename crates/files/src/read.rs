//! Reading a file as a stream of chunks.

mod descriptor;
mod pool;

use std::{
    fs::{File, OpenOptions},
    io,
    ops::Range,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::SystemTime,
};

use browserd_blocking::{self as threads, Work};
use bytes::Bytes;
use futures_util::Stream;
use rustix::{
    fs::{Advice, OFlags, fadvise},
    io::Errno,
};

use crate::{Error, Files, FsPath, Result, blocking, error::Attempt, info};
use descriptor::{Descriptor, Medium};
pub(crate) use pool::Pool;

const ACTION: &str = "read";
/// The size of a chunk. Through hyper, 64 to 256 KiB took more time for each byte, and 1 MiB no
/// less.
const CHUNK_BYTES: usize = 512 * 1024;
/// A file up to this size is read at once, which saves a turn on another thread.
const SMALL_BYTES: u64 = 64 * 1024;
/// A kernel file that says to be empty is read at once up to this size, so that its length is
/// known. Longer ones are streamed.
const MAX_SIZELESS_BYTES: usize = 1024 * 1024;

/// An open file and what is known of it.
#[derive(Debug)]
pub struct Reader {
    open: Descriptor,
    /// The whole content, where it is small.
    whole: Option<Bytes>,
    size_bytes: Option<u64>,
    etag: String,
    modified: SystemTime,
    buffers: Arc<Pool>,
}

impl Files {
    /// Opens a file for reading.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn read(&self, path: &FsPath) -> Result<Reader> {
        let target = path.as_path().to_owned();
        let buffers = Arc::clone(&self.shared.buffers);
        let pool = self.shared.pools.steps.clone();
        let open = move || Reader::open(&target, buffers, pool);
        blocking(&self.shared.pools.steps, path.as_path(), open).await
    }
}

impl Reader {
    fn open(path: &Path, buffers: Arc<Pool>, pool: threads::Pool) -> Result<Self> {
        // Without NONBLOCK the open of a pipe waits for a writer.
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(flags.bits().cast_signed())
            .open(path)
            .attempt(ACTION, path)?;
        let metadata = file.metadata().attempt(ACTION, path)?;
        if metadata.is_dir() {
            return Err(Error::os(ACTION, path, Errno::ISDIR));
        }
        if !metadata.is_file() {
            return Err(Error::os(ACTION, path, Errno::NXIO));
        }
        let mut reader = Self {
            open: Descriptor {
                medium: Medium::of(&file).attempt(ACTION, path)?,
                file: Arc::new(file),
                path: path.to_owned(),
                pool,
            },
            whole: None,
            size_bytes: Some(metadata.len()),
            etag: info::etag(&metadata),
            modified: metadata.modified().attempt(ACTION, path)?,
            buffers,
        };
        if metadata.len() <= SMALL_BYTES {
            reader
                .read_small(metadata.len())
                .map_err(|error| match error.kind() {
                    // Content waits for nobody: `/proc/kmsg` and its like are files by their
                    // mode alone. (Of an open this says that another process has a lease.)
                    io::ErrorKind::WouldBlock => Errno::NXIO.into(),
                    _ => error,
                })
                .attempt(ACTION, path)?;
        }
        Ok(reader)
    }

    /// Reads a small file at once. Files of /proc say to be empty and those of /sys to have a page:
    /// how much they have, only reading tells.
    fn read_small(&mut self, claimed: u64) -> io::Result<()> {
        let limit = match usize::try_from(claimed) {
            Ok(0) | Err(_) => MAX_SIZELESS_BYTES,
            Ok(claimed) => claimed,
        };
        let mut content = Vec::new();
        while content.len() < limit {
            let from = content.len();
            content.resize(limit.min(from + CHUNK_BYTES), 0);
            let read = read_at(&self.open.file, &mut content[from..], from as u64)?;
            content.truncate(from + read);
            if read == 0 {
                break;
            }
        }
        self.size_bytes = Some(content.len() as u64);
        if claimed == 0 && content.len() == limit {
            self.size_bytes = None;
        } else {
            self.whole = Some(content.into());
        }
        Ok(())
    }

    /// The size in bytes; `None` for a kernel file too long to know.
    #[must_use]
    pub fn size_bytes(&self) -> Option<u64> {
        self.size_bytes
    }

    /// The entity tag of the content, quotes included. Strong.
    #[must_use]
    pub fn etag(&self) -> &str {
        &self.etag
    }

    /// When the content last changed.
    #[must_use]
    pub fn modified(&self) -> SystemTime {
        self.modified
    }

    /// The content, or the part of it that is asked for; the caller keeps the range inside the
    /// size.
    #[must_use]
    pub fn content(mut self, range: Option<Range<u64>>) -> Content {
        let range = range.map_or((0, self.size_bytes), |it| (it.start, Some(it.end)));
        if let Some(whole) = self.whole.take() {
            let clamp = |at: u64| usize::try_from(at).map_or(whole.len(), |at| at.min(whole.len()));
            let end = range.1.map_or(whole.len(), clamp);
            let part = whole.slice(clamp(range.0).min(end)..end);
            return Content::new(self, (0, Some(0)), Some(part));
        }
        if range
            .1
            .is_none_or(|end| end.saturating_sub(range.0) > CHUNK_BYTES as u64)
            && self.open.medium != Medium::Remote
        {
            // The kernel reads ahead twice as far. It is a hint: nothing is lost without.
            let _ = fadvise(&self.open.file, range.0, None, Advice::Sequential);
        }
        Content::new(self, range, None)
    }
}

/// The content of a file, in chunks. Memory stays at a few chunks whatever the size.
///
/// A chunk that the kernel holds in memory is read right away. One that it does not is read on a
/// blocking thread, and so is the next after it while the chunk is on its way; no thread is held
/// while the consumer is slow.
#[derive(Debug)]
pub struct Content {
    /// Dropped before the file, of which it may have a handle.
    in_flight: Option<Work<io::Result<Bytes>>>,
    open: Descriptor,
    offset: u64,
    end: Option<u64>,
    whole: Option<Bytes>,
    pool: Arc<Pool>,
    at_hand: AtHand,
}

/// A part of a file that has not been read.
#[derive(Debug, Clone)]
pub struct Piece {
    /// The file.
    pub file: Arc<File>,
    /// Where in it the part begins, in bytes.
    pub offset: u64,
    /// How many bytes it has, 1 to [`Piece::MAX_BYTES`]. The file may have become shorter.
    pub length: usize,
}

impl Piece {
    /// The largest piece: what a socket's buffer takes at once, about.
    pub const MAX_BYTES: usize = 1024 * 1024;
}

/// How what is in memory already is read without leaving the thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AtHand {
    /// The file system is memory.
    Always,
    /// The kernel is asked not to wait.
    IfCached,
    /// There is no way.
    Never,
}

impl Content {
    fn new(reader: Reader, (offset, end): (u64, Option<u64>), whole: Option<Bytes>) -> Self {
        Self {
            offset,
            end,
            whole: whole.filter(|it| !it.is_empty()),
            pool: reader.buffers,
            at_hand: match reader.open.medium {
                Medium::Memory => AtHand::Always,
                Medium::Disk => AtHand::IfCached,
                Medium::Remote => AtHand::Never,
            },
            open: reader.open,
            in_flight: None,
        }
    }

    /// Passes over the next part of the file where the kernel holds it in memory, for a consumer
    /// that has the kernel send it. `None` where it does not, or where the end is not known:
    /// then the stream's next chunk is as good.
    pub fn take_piece(&mut self) -> Option<Piece> {
        let is_next = self.whole.is_none() && self.in_flight.is_none() && self.end.is_some();
        let length = self.wanted(Piece::MAX_BYTES);
        if !is_next || length == 0 || !self.is_at_hand(length) {
            return None;
        }
        let piece = Piece {
            file: Arc::clone(&self.open.file),
            offset: self.offset,
            length,
        };
        self.offset += length as u64;
        Some(piece)
    }

    /// Whether the kernel holds the next part in memory. It reads files in runs: where it has
    /// the first byte and the last, it has what is between them, but for rare cases in which the
    /// consumer waits for the disk.
    fn is_at_hand(&self, length: usize) -> bool {
        let has = |at| matches!(read_cached(&self.open.file, &mut [0], at), Ok(1));
        match self.at_hand {
            AtHand::Always => true,
            AtHand::IfCached => has(self.offset) && has(self.offset + length as u64 - 1),
            AtHand::Never => false,
        }
    }

    /// How many bytes are next, up to a limit; 0 at the end.
    fn wanted(&self, limit: usize) -> usize {
        let left = self
            .end
            .map_or(u64::MAX, |end| end.saturating_sub(self.offset));
        usize::try_from(left).map_or(limit, |left| left.min(limit))
    }

    /// What is in memory of the next chunk, if anything is.
    fn read_at_hand(&mut self, wanted: usize) -> Option<Bytes> {
        let (file, offset) = (&self.open.file, self.offset);
        let read = match self.at_hand {
            AtHand::Always => self
                .pool
                .fill(wanted, |buffer| read_full(file, buffer, offset)),
            AtHand::IfCached => self
                .pool
                .fill(wanted, |buffer| read_cached(file, buffer, offset)),
            AtHand::Never => return None,
        };
        match read {
            Ok(chunk) if !chunk.is_empty() => Some(chunk),
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                self.at_hand = AtHand::Never;
                None
            }
            // What went wrong, the other way of reading tells.
            _ => None,
        }
    }

    fn start(&self) -> Work<io::Result<Bytes>> {
        let (file, pool) = (Arc::clone(&self.open.file), Arc::clone(&self.pool));
        let (offset, wanted) = (self.offset, self.wanted(CHUNK_BYTES));
        self.open.pool.run(self.open.path.clone(), move || {
            pool.fill(wanted, |buffer| read_full(&file, buffer, offset))
        })
    }

    /// Accounts for what was read, and notices a file that has become shorter.
    fn take(&mut self, read: io::Result<Bytes>) -> Option<Result<Bytes>> {
        let chunk = match read.attempt(ACTION, &self.open.path) {
            Ok(chunk) => chunk,
            Err(error) => return Some(Err(self.fail(error))),
        };
        self.offset += chunk.len() as u64;
        if !chunk.is_empty() {
            return Some(Ok(chunk));
        }
        self.end?;
        let path = self.open.path.clone();
        Some(Err(self.fail(Error::Changed { path })))
    }

    fn fail(&mut self, error: Error) -> Error {
        self.end = Some(self.offset);
        error
    }
}

impl Stream for Content {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Some(whole) = this.whole.take() {
            return Poll::Ready(Some(Ok(whole)));
        }
        if this.in_flight.is_none() {
            let wanted = this.wanted(CHUNK_BYTES);
            if wanted == 0 {
                return Poll::Ready(None);
            }
            if let Some(chunk) = this.read_at_hand(wanted) {
                return Poll::Ready(this.take(Ok(chunk)));
            }
        }
        let mut in_flight = match this.in_flight.take() {
            Some(in_flight) => in_flight,
            None => this.start(),
        };
        let Poll::Ready(read) = Pin::new(&mut in_flight).poll(cx) else {
            this.in_flight = Some(in_flight);
            return Poll::Pending;
        };
        let read = match read {
            Ok(read) => read,
            Err(error) => return Poll::Ready(Some(Err(this.fail(Error::NoAnswer(error))))),
        };
        let item = this.take(read);
        if matches!(item, Some(Ok(_))) && this.wanted(CHUNK_BYTES) > 0 {
            this.in_flight = Some(this.start());
        }
        Poll::Ready(item)
    }
}

/// Reads what the kernel holds in memory, and nothing that it would have to wait for.
fn read_cached(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let slices = &mut [io::IoSliceMut::new(buffer)];
    Ok(rustix::io::preadv2(
        file,
        slices,
        offset,
        rustix::io::ReadWriteFlags::NOWAIT,
    )?)
}

/// Reads until the buffer is full or the file ends.
fn read_full(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match read_at(file, &mut buffer[filled..], offset + filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    loop {
        match file.read_at(buffer, offset) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
