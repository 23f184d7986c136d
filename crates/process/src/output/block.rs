//! Frames in a block: a header with stream and length, then the bytes.
//!
//! A block in memory and a block in the file are the same bytes.

use std::ops::Range;

use bytes::Bytes;

use super::{Offsets, Stream};

/// Bytes of a header: a little-endian u32, its top bit the stream, the others the length.
pub(super) const HEADER: usize = 4;
const STDERR: u32 = 1 << 31;

/// A finished block.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) number: u64,
    pub(super) start: Offsets,
    pub(super) end: Offsets,
    /// Bytes with headers.
    pub(super) len: usize,
    pub(super) place: Place,
}

/// Where a finished block is.
#[derive(Debug)]
pub(super) enum Place {
    Memory(Bytes),
    /// In this slot of the file.
    File(u64),
    /// Nowhere: it was in the file, and could not be read back.
    Lost,
}

/// The block that is being written.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) start: Offsets,
    pub(super) end: Offsets,
    pub(super) frames: Vec<u8>,
    /// Stream and place of the last header.
    last: Option<(Stream, usize)>,
}

impl Live {
    pub(super) const fn new(start: Offsets) -> Self {
        Self {
            start,
            end: start,
            frames: Vec::new(),
            last: None,
        }
    }

    /// Adds as much as fits into a block of `limit` bytes, and returns how much that was.
    pub(super) fn push(&mut self, stream: Stream, bytes: &[u8], limit: usize) -> usize {
        let open = self
            .last
            .filter(|(last, _)| *last == stream)
            .map(|(_, header)| header);
        let overhead = if open.is_some() { 0 } else { HEADER };
        let room = limit.saturating_sub(self.frames.len() + overhead);
        let taken = room.min(bytes.len());
        if taken == 0 {
            return 0;
        }
        let header = open.unwrap_or_else(|| {
            let header = self.frames.len();
            self.frames.extend_from_slice(&[0; HEADER]);
            self.last = Some((stream, header));
            header
        });
        self.frames.extend_from_slice(&bytes[..taken]);
        let len = self.frames.len() - header - HEADER;
        self.frames[header..header + HEADER].copy_from_slice(&encode(stream, len));
        *self.end.of_mut(stream) += taken as u64;
        taken
    }
}

fn encode(stream: Stream, len: usize) -> [u8; HEADER] {
    let len = u32::try_from(len).expect("a frame is no longer than its block");
    let flag = if stream == Stream::Stderr { STDERR } else { 0 };
    (len | flag).to_le_bytes()
}

/// A place at the header of a frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor {
    /// The block's number.
    pub(super) block: u64,
    /// Bytes before the header.
    header: usize,
    /// Offsets at the frame's first byte.
    at: Offsets,
}

impl Cursor {
    pub(super) const fn start_of(block: u64, start: Offsets) -> Self {
        Self {
            block,
            header: 0,
            at: start,
        }
    }

    /// The first bytes in `frames`, from here on, that a reader at `place` has not had: their
    /// stream and where they are. Moves to their frame.
    pub(super) fn find(&mut self, frames: &[u8], place: Offsets) -> Option<(Stream, Range<usize>)> {
        loop {
            let (stream, len) = decode(frames, self.header)?;
            let first = self.header + HEADER;
            let had = place.of(stream).saturating_sub(self.at.of(stream));
            let had = usize::try_from(had).unwrap_or(usize::MAX);
            if had < len {
                return Some((stream, first + had..first + len));
            }
            if first + len >= frames.len() {
                // The last frame may still grow; it is looked at again.
                return None;
            }
            self.header = first + len;
            *self.at.of_mut(stream) += len as u64;
        }
    }
}

fn decode(frames: &[u8], header: usize) -> Option<(Stream, usize)> {
    let bytes = frames.get(header..)?.first_chunk::<HEADER>()?;
    let packed = u32::from_le_bytes(*bytes);
    let stream = if packed & STDERR == 0 {
        Stream::Stdout
    } else {
        Stream::Stderr
    };
    Some((stream, (packed & !STDERR) as usize))
}
