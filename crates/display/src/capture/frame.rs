//! What one look at the screen gave.

use std::{
    ops::Deref,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use super::{Region, sys::Mapping};
use crate::cursor::CursorImage;

/// Memory that the X server knows by an id, for as long as the connection lives.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) mapping: Mapping,
    /// The connection (counted) and the id under which it is attached there.
    pub(super) attached: Option<(u64, u32)>,
}

/// Segments that no frame lends at present.
pub(super) type Pool = Mutex<Vec<Segment>>;

/// A segment that goes back to its pool when the frame is dropped.
#[derive(Debug)]
pub(super) struct Lease {
    segment: Option<Segment>,
    pool: Weak<Pool>,
}

impl Lease {
    pub(super) fn new(segment: Segment, pool: &Arc<Pool>) -> Self {
        Self {
            segment: Some(segment),
            pool: Arc::downgrade(pool),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let (Some(segment), Some(pool)) = (self.segment.take(), self.pool.upgrade()) {
            pool.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(segment);
        }
    }
}

/// Where the pixels of a frame are.
#[derive(Debug)]
pub(super) enum Pixels {
    /// In memory shared with the X server, that many bytes.
    Shared(Lease, usize),
    /// In a reply of the X server.
    Sent(Vec<u8>),
}

impl Deref for Pixels {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Shared(lease, len) => lease
                .segment
                .as_ref()
                .map_or(&[], |segment| segment.mapping.bytes(*len)),
            Self::Sent(bytes) => bytes,
        }
    }
}

/// The pixels of a part of the screen at one moment, with the cursor above them.
#[derive(Debug)]
pub(crate) struct Frame {
    /// The part, within the screen.
    pub(crate) region: Region,
    /// Rows of B, G, R and an unused byte, without gaps.
    pub(super) pixels: Pixels,
    /// The cursor, where it was asked for and is shown.
    pub(crate) cursor: Option<CursorImage>,
}

impl Frame {
    /// The pixels of the frame: rows of B, G, R and an unused byte, without gaps.
    pub(crate) fn pixels(&self) -> &[u8] {
        &self.pixels
    }
}
