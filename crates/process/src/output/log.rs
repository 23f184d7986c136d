//! The log of one output: which blocks there are, and where.

use std::collections::VecDeque;
use std::io;
use std::mem;

use bytes::Bytes;

use super::block::{Block, Cursor, HEADER, Live, Place};
use super::spill::{Batch, Source, Spill, Write, Written};
use super::{Limits, Offsets, Stream};

/// What an ended output keeps in memory at most, if there is a file.
const MEMORY_AFTER_END: usize = 64 * 1024;
/// What is written to the file in one go, at most.
const BATCH_BYTES: usize = 512 * 1024;

/// The blocks of an output. Not a byte of it is shared before it is in here.
#[derive(Debug)]
pub(super) struct Log {
    /// The first blocks; block `n` is `head[n]`.
    head: Vec<Block>,
    head_bytes: usize,
    /// No more blocks go to the head.
    head_closed: bool,
    /// The last finished blocks, with consecutive numbers.
    tail: VecDeque<Block>,
    tail_bytes: usize,
    live: Live,
    /// The live block's number.
    number: u64,
    /// Bytes of finished blocks in memory.
    in_memory: usize,
    limits: Limits,
    spill: Spill,
    ended: bool,
}

/// What a reader finds behind its place.
#[derive(Debug)]
pub(super) enum Found {
    /// Everything before this place is gone.
    Gone(Offsets),
    /// Some bytes of the live block.
    Piece(Stream, Bytes),
    /// A finished block.
    Block(Held),
    /// A finished block that must be read from the file first.
    InFile {
        number: u64,
        start: Offsets,
        source: Source,
    },
    /// Nothing yet.
    Nothing,
    /// Nothing, and nothing will come.
    End,
}

/// A finished block in a reader's hands. The log may drop it; it stays readable.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) number: u64,
    pub(super) start: Offsets,
    pub(super) frames: Bytes,
}

impl Log {
    pub(super) fn new(limits: Limits) -> Self {
        let block = limits.block.min(limits.capacity / 8).max(HEADER + 1);
        let spill = Spill::new(limits.directory.clone(), block, &limits.disk);
        Self {
            head: Vec::new(),
            head_bytes: 0,
            head_closed: false,
            tail: VecDeque::new(),
            tail_bytes: 0,
            live: Live::new(Offsets::default()),
            number: 0,
            in_memory: 0,
            limits: Limits { block, ..limits },
            spill,
            ended: false,
        }
    }

    pub(super) const fn written(&self) -> Offsets {
        self.live.end
    }

    const fn head_limit(&self) -> usize {
        self.limits.capacity / 2
    }

    /// The live block counts as tail.
    const fn tail_limit(&self) -> usize {
        (self.limits.capacity - self.head_limit()).saturating_sub(self.limits.block)
    }

    pub(super) fn append(&mut self, stream: Stream, mut bytes: &[u8]) {
        if self.ended {
            return;
        }
        while !bytes.is_empty() {
            let taken = self.live.push(stream, bytes, self.limits.block);
            bytes = &bytes[taken..];
            if taken == 0 {
                self.seal();
            }
        }
    }

    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// Finishes the live block.
    fn seal(&mut self) {
        let next = Live::new(self.live.end);
        let live = mem::replace(&mut self.live, next);
        let number = self.number;
        self.number += 1;
        let len = live.frames.len();
        self.in_memory += len;
        let place = Place::Memory(Bytes::from(live.frames));
        let block = Block {
            number,
            start: live.start,
            end: live.end,
            len,
            place,
        };
        self.head_closed |= self.head_bytes + len > self.head_limit();
        if self.head_closed {
            self.tail_bytes += len;
            self.tail.push_back(block);
            while self.tail_bytes > self.tail_limit() {
                self.drop_first_of_tail();
            }
        } else {
            self.head_bytes += len;
            self.head.push(block);
        }
        if self.spill.failed || self.spill.full {
            self.fit_into_memory();
        }
    }

    fn drop_first_of_tail(&mut self) {
        let Some(block) = self.tail.pop_front() else {
            return;
        };
        self.tail_bytes -= block.len;
        self.forget(&block);
    }

    fn forget(&mut self, block: &Block) {
        match block.place {
            Place::Memory(_) => self.in_memory -= block.len,
            Place::File(slot) => self.spill.release(slot),
            Place::Lost => {}
        }
    }

    /// What may be in memory by now.
    const fn memory(&self) -> usize {
        if self.ended && MEMORY_AFTER_END < self.limits.memory {
            MEMORY_AFTER_END
        } else {
            self.limits.memory
        }
    }

    /// Without room in a file, the bound of the memory is the bound: half of it for the head.
    fn fit_into_memory(&mut self) {
        // Where there is no disk at all, what an ended process has written stays as it was.
        let limit = if self.spill.failed {
            self.limits.memory
        } else {
            self.memory()
        };
        while self.in_memory > limit {
            let held = |block: &&Block| matches!(block.place, Place::Memory(_));
            let in_head: usize = self.head.iter().filter(held).map(|block| block.len).sum();
            if in_head > limit / 2 || self.tail.is_empty() {
                self.head_closed = true;
                let Some(block) = self.head.pop() else { return };
                self.head_bytes -= block.len;
                self.forget(&block);
            } else {
                self.drop_first_of_tail();
            }
        }
    }

    /// The oldest blocks in memory, if there is too much of them.
    pub(super) fn take_batch(&mut self) -> Option<Batch> {
        let due = self.in_memory
            + if self.ended {
                self.live.frames.len()
            } else {
                0
            };
        if due <= self.memory() {
            return None;
        }
        if self.ended && !self.live.frames.is_empty() {
            self.seal();
        }
        if self.spill.failed {
            self.fit_into_memory();
            return None;
        }
        let mut writes = Vec::new();
        let mut bytes = 0;
        for block in self.head.iter_mut().chain(&mut self.tail) {
            if bytes >= BATCH_BYTES {
                break;
            }
            if let Place::Memory(frames) = &block.place {
                let Some(slot) = self.spill.allocate() else {
                    break;
                };
                bytes += block.len;
                writes.push(Write {
                    number: block.number,
                    slot,
                    bytes: frames.clone(),
                });
            }
        }
        if writes.is_empty() {
            self.fit_into_memory();
            return None;
        }
        Some(self.spill.batch(writes))
    }

    /// Takes note of what was written to the file.
    pub(super) fn landed(&mut self, written: Written) {
        let failed = written.result.is_err();
        match written.result {
            Ok(file) => self.spill.file = Some(file),
            Err(error) => {
                tracing::warn!(%error, "output is kept in memory only, in its bounds");
                self.spill.failed = true;
            }
        }
        for write in written.blocks {
            let Write { number, slot, .. } = write;
            match self.find_mut(number).filter(|_| !failed) {
                Some(block) => {
                    block.place = Place::File(slot);
                    let len = block.len;
                    self.in_memory -= len;
                }
                // Dropped meanwhile.
                None => self.spill.release(slot),
            }
        }
        if failed {
            self.fit_into_memory();
        }
    }

    /// Places in the file that were ever used.
    #[cfg(test)]
    pub(super) const fn places(&self) -> u64 {
        self.spill.slots
    }

    fn find_mut(&mut self, number: u64) -> Option<&mut Block> {
        let (head, tail) = self.indices(number);
        match head {
            Some(index) => self.head.get_mut(index),
            None => self.tail.get_mut(tail?),
        }
    }

    fn find(&self, number: u64) -> Option<&Block> {
        let (head, tail) = self.indices(number);
        match head {
            Some(index) => self.head.get(index),
            None => self.tail.get(tail?),
        }
    }

    /// Where a block with this number would be, in the head or in the tail.
    fn indices(&self, number: u64) -> (Option<usize>, Option<usize>) {
        let index = usize::try_from(number).ok();
        let head = index.filter(|index| *index < self.head.len());
        let first = self.tail.front().map(|block| block.number);
        let tail = first.and_then(|first| usize::try_from(number.checked_sub(first)?).ok());
        (head, tail)
    }

    /// Whether a block is still in this slot.
    pub(super) fn is_in_file(&self, number: u64) -> bool {
        self.find(number)
            .is_some_and(|block| matches!(block.place, Place::File(_)))
    }

    /// Gives up a block that cannot be read from the file.
    pub(super) fn lose(&mut self, number: u64, error: &io::Error) {
        tracing::warn!(%error, "a block of output cannot be read back");
        if let Some(block) = self.find_mut(number)
            && let Place::File(slot) = mem::replace(&mut block.place, Place::Lost)
        {
            self.spill.release(slot);
        }
    }

    /// What a reader at `place` reads next. `cursor` is where it read last.
    pub(super) fn look(&self, place: Offsets, cursor: &mut Cursor) -> Found {
        let Some(block) = self.first_behind(place) else {
            return self.look_live(place, cursor);
        };
        if place.stdout < block.start.stdout || place.stderr < block.start.stderr {
            return Found::Gone(block.start);
        }
        let (number, start) = (block.number, block.start);
        match &block.place {
            Place::Memory(frames) => Found::Block(Held {
                number,
                start,
                frames: frames.clone(),
            }),
            Place::File(slot) => match self.spill.source(*slot, block.len) {
                Some(source) => Found::InFile {
                    number,
                    start,
                    source,
                },
                None => Found::Gone(block.end),
            },
            Place::Lost => Found::Gone(block.end),
        }
    }

    fn look_live(&self, place: Offsets, cursor: &mut Cursor) -> Found {
        let live = &self.live;
        if place.stdout < live.start.stdout || place.stderr < live.start.stderr {
            return Found::Gone(live.start);
        }
        if cursor.block != self.number {
            *cursor = Cursor::start_of(self.number, live.start);
        }
        match cursor.find(&live.frames, place) {
            Some((stream, range)) => {
                Found::Piece(stream, Bytes::copy_from_slice(&live.frames[range]))
            }
            None if self.ended => Found::End,
            None => Found::Nothing,
        }
    }

    /// The first finished block with bytes that a reader at `place` has not had.
    fn first_behind(&self, place: Offsets) -> Option<&Block> {
        // Offsets only grow from block to block, so what was had is a prefix.
        let had = |block: &Block| !place.is_before(block.end);
        let index = self.head.partition_point(had);
        self.head
            .get(index)
            .or_else(|| self.tail.get(self.tail.partition_point(had)))
    }

    /// The places at which a reader loses bytes soon, if there are any: from the first to the
    /// second.
    pub(super) fn at_risk(&self) -> Option<(u64, u64)> {
        let limit = self.tail_limit();
        if self.tail_bytes < limit - limit / 4 {
            return None;
        }
        let front = self.tail.front()?;
        let first = front.start.sum();
        // Whoever is before a gap loses it in any case; without one, all are concerned.
        let is_whole = usize::try_from(front.number).is_ok_and(|it| it == self.head.len());
        let from = if is_whole { 0 } else { first };
        Some((from, first + (self.written().sum() - first) / 4))
    }
}
