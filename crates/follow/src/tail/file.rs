//! One open file and how far it was read.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use super::FileId;

/// How many bytes before the offset are remembered, to see that they are still there.
const MARK_BYTES: usize = 256;

/// What a read found.
pub(super) enum Read {
    /// More bytes.
    Data,
    /// Nothing more now.
    End,
    /// The file was cut and begins anew; the next read starts at 0.
    Truncated(Past),
}

/// How far a file was read before it was cut.
#[derive(Debug, Default)]
pub(super) struct Past {
    offset: u64,
    mark: Vec<u8>,
    /// The length last seen.
    length: u64,
}

impl Past {
    /// Bytes that were seen to be there and not read before the cut.
    pub(super) fn unread(&self) -> u64 {
        self.length.saturating_sub(self.offset)
    }

    /// How much of what was seen to be there is missing in a copy.
    pub(super) fn missing_in(&self, copy: &OpenFile) -> u64 {
        self.length.saturating_sub(copy.length)
    }
}

/// How a file came to be one of which nothing was read yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fresh {
    /// It was opened.
    Opened,
    /// It was cut after a part of it had been read.
    Cut,
}

/// A regular file, read by position.
#[derive(Debug)]
pub(super) struct OpenFile {
    file: File,
    id: FileId,
    /// See [`crate::Line::born_ns`].
    born_ns: Option<u64>,
    offset: u64,
    /// The bytes right before `offset`. A file that was truncated and grew past `offset` again
    /// shows by having other bytes there.
    mark: Vec<u8>,
    /// The length last seen.
    length: u64,
    /// Where to stop, when the file is not followed.
    limit: Option<u64>,
    /// Why something may have been written and cut away before the first read, until that.
    fresh: Option<Fresh>,
    /// What was lost behind its end.
    pub(super) lost_behind: u64,
}

impl OpenFile {
    /// Open a regular file at 0. A pipe or a device is refused, without waiting for it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            let kind = io::ErrorKind::InvalidInput;
            return Err(io::Error::new(kind, "not a regular file"));
        }
        let id = FileId::of(&metadata);
        let length = metadata.len();
        Ok(Self {
            file,
            id,
            born_ns: crate::born_ns(&metadata),
            offset: 0,
            mark: Vec::new(),
            length,
            limit: None,
            fresh: Some(Fresh::Opened),
            lost_behind: 0,
        })
    }

    /// Go to `offset`; `false` (and to 0) if the file is shorter.
    pub(super) fn seek(&mut self, offset: u64) -> io::Result<bool> {
        self.mark.clear();
        self.offset = 0;
        if self.file.metadata()?.len() < offset {
            return Ok(false);
        }
        let size = offset.min(MARK_BYTES as u64);
        self.mark
            .resize(usize::try_from(size).unwrap_or(MARK_BYTES), 0);
        self.file.read_exact_at(&mut self.mark, offset - size)?;
        self.offset = offset;
        if offset > 0 {
            self.fresh = None;
        }
        Ok(true)
    }

    /// Read up to `max` bytes into `chunk`, replacing what it holds.
    pub(super) fn read(&mut self, chunk: &mut Vec<u8>, max: usize) -> io::Result<Read> {
        let left = self
            .limit
            .map_or(u64::MAX, |limit| limit.saturating_sub(self.offset));
        let max = usize::try_from(left).map_or(max, |left| left.min(max));
        let mark = self.mark.len();
        chunk.resize(mark + max, 0);
        // One read for both, so that the mark vouches for what follows it.
        let got = read_at(&self.file, chunk, self.offset - mark as u64)?;
        chunk.truncate(got);
        let length = self.file.metadata()?.len();
        if !chunk.starts_with(&self.mark) {
            let past = Past {
                offset: std::mem::take(&mut self.offset),
                mark: std::mem::take(&mut self.mark),
                length: std::mem::replace(&mut self.length, length),
            };
            self.fresh = Some(Fresh::Cut);
            return Ok(Read::Truncated(past));
        }
        self.length = length;
        if got == mark {
            return Ok(Read::End);
        }
        self.offset += (got - mark) as u64;
        self.mark = chunk[got.saturating_sub(MARK_BYTES)..].to_vec();
        chunk.drain(..mark);
        Ok(Read::Data)
    }

    /// What the file was when this was its first data. Asking answers it.
    pub(super) fn take_fresh(&mut self) -> Option<Fresh> {
        self.fresh.take()
    }

    /// Forget what was read since the file was cut. It may be cut again before it is read again.
    pub(super) fn read_anew(&mut self) {
        self.offset = 0;
        self.mark.clear();
        self.fresh = Some(Fresh::Cut);
    }

    /// Whether this is a copy of a file that was read so far; then go on from there.
    pub(super) fn continues(&mut self, past: &Past) -> io::Result<bool> {
        Ok(self.seek(past.offset)? && self.mark == past.mark)
    }

    /// Whether it begins as `data` does, as far as both go, up to 4 KiB.
    pub(super) fn begins_as(&self, data: &[u8]) -> io::Result<bool> {
        let data = &data[..data.len().min(4096)];
        let mut own = vec![0; data.len()];
        let got = read_at(&self.file, &mut own, 0)?;
        Ok(data.starts_with(&own[..got]))
    }

    /// Read no further than the file reaches now.
    pub(super) fn limit_to_its_length(&mut self) -> io::Result<()> {
        self.limit = Some(self.file.metadata()?.len());
        Ok(())
    }

    pub(super) fn is_empty(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.len() == 0)
    }

    pub(super) fn metadata(&self) -> io::Result<Metadata> {
        self.file.metadata()
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn id(&self) -> FileId {
        self.id
    }

    pub(super) fn born_ns(&self) -> Option<u64> {
        self.born_ns
    }

    /// Whether it has this number, and is not known to be another file than the one born then.
    pub(super) fn is_same(&self, inode: u64, born_ns: Option<u64>) -> bool {
        let is_other = |born: u64| self.born_ns.is_some_and(|own| own != born);
        self.id.inode == inode && !born_ns.is_some_and(is_other)
    }

    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn is(&self, metadata: &Metadata) -> bool {
        self.id == FileId::of(metadata)
    }
}

impl AsFd for OpenFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    browserd_blocking::progress();
    loop {
        match file.read_at(buffer, offset) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
