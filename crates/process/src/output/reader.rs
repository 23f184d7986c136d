//! A reader of an output.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use tokio::sync::watch;

use super::block::Cursor;
use super::log::{Found, Held};
use super::pace::Progress;
use super::{Offsets, Shared, Stream};

/// What a reader gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Bytes of one stream.
    Data {
        /// The stream.
        stream: Stream,
        /// At least one byte, and at most a block of 64 KiB.
        bytes: Bytes,
        /// The place behind them: a reader made there goes on right after this event.
        next: Offsets,
    },
    /// Bytes that are not kept any more.
    Gap {
        /// The stream.
        stream: Stream,
        /// How many are gone.
        lost_bytes: u64,
        /// The place behind the gap.
        next: Offsets,
    },
}

/// Reads an output from one place to its end, at its own speed.
///
/// It holds no lock between two events. Dropped, it frees its share of the limit on readers.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    changed: watch::Receiver<()>,
    progress: Arc<Progress>,
    place: Offsets,
    cursor: Cursor,
    held: Option<Held>,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, from: Offsets) -> Self {
        Self {
            changed: shared.changed.subscribe(),
            progress: shared.pace.join(from.sum()),
            shared,
            place: from,
            // No block has this number, so the first look starts at a block's start.
            cursor: Cursor::start_of(u64::MAX, Offsets::default()),
            held: None,
        }
    }

    /// The place behind the last event.
    #[must_use]
    pub const fn place(&self) -> Offsets {
        self.place
    }

    /// Waits for the next event. `None` after the last byte of an output that has ended.
    ///
    /// # Cancel safety
    ///
    /// Safe: an event that was not returned comes again.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.next_held() {
                return Some(event);
            }
            self.changed.borrow_and_update();
            let found = self.shared.log().look(self.place, &mut self.cursor);
            match found {
                Found::Gone(to) => return Some(self.gap(to)),
                Found::Piece(stream, bytes) => return Some(self.data(stream, bytes)),
                Found::Block(held) => self.hold(held),
                Found::InFile {
                    number,
                    start,
                    source,
                } => {
                    let read = source.read().await;
                    // The slot is reused only after the block was dropped from the log: still
                    // there now means that it was read whole.
                    let intact = self.shared.log().is_in_file(number);
                    match read {
                        Ok(frames) if intact => self.hold(Held {
                            number,
                            start,
                            frames,
                        }),
                        Err(error) if intact => self.shared.log().lose(number, &error),
                        _ => {}
                    }
                }
                Found::Nothing => {
                    // The sender lives in `shared`.
                    let _ = self.changed.changed().await;
                }
                Found::End => return None,
            }
        }
    }

    fn hold(&mut self, held: Held) {
        if self.cursor.block != held.number {
            self.cursor = Cursor::start_of(held.number, held.start);
        }
        self.held = Some(held);
    }

    fn next_held(&mut self) -> Option<Event> {
        let held = self.held.as_ref()?;
        let Some((stream, range)) = self.cursor.find(&held.frames, self.place) else {
            self.held = None;
            return None;
        };
        let bytes = held.frames.slice(range);
        Some(self.data(stream, bytes))
    }

    fn data(&mut self, stream: Stream, bytes: Bytes) -> Event {
        *self.place.of_mut(stream) += bytes.len() as u64;
        self.shared.pace.moved(&self.progress, self.place.sum());
        Event::Data {
            stream,
            bytes,
            next: self.place,
        }
    }

    /// Passes over what is gone, one stream at a time.
    fn gap(&mut self, to: Offsets) -> Event {
        let stream = if self.place.stdout < to.stdout {
            Stream::Stdout
        } else {
            Stream::Stderr
        };
        let place = self.place.of_mut(stream);
        let lost_bytes = to.of(stream) - *place;
        *place = to.of(stream);
        Event::Gap {
            stream,
            lost_bytes,
            next: self.place,
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.shared.readers.fetch_sub(1, Ordering::AcqRel);
    }
}
