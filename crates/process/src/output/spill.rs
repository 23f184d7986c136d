//! The file behind an output: slots of one block each, in an unlinked temporary file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use browserd_budget::{Budget, Share};
use bytes::Bytes;
use tokio::task::spawn_blocking;

/// Which slots of the file are in use.
#[derive(Debug)]
pub(super) struct Spill {
    pub(super) file: Option<Arc<File>>,
    directory: PathBuf,
    slot_bytes: u64,
    free: Vec<u64>,
    /// Slots handed out so far.
    pub(super) slots: u64,
    /// What the slots take of the disk that all outputs may have together.
    share: Share,
    /// There was no room for another slot the last time.
    pub(super) full: bool,
    /// After a failure, nothing more is written: the disk is full, or missing.
    pub(super) failed: bool,
}

impl Spill {
    pub(super) fn new(directory: PathBuf, slot_bytes: usize, disk: &Budget) -> Self {
        Self {
            file: None,
            directory,
            slot_bytes: slot_bytes as u64,
            free: Vec::new(),
            slots: 0,
            share: disk.share(),
            full: false,
            failed: false,
        }
    }

    /// A slot, if the disk has room for it.
    pub(super) fn allocate(&mut self) -> Option<u64> {
        if let Some(slot) = self.free.pop() {
            return Some(slot);
        }
        let is_full = !self.share.grow(self.slot_bytes);
        if is_full && !self.full {
            tracing::warn!(
                "outputs have all of the disk that they may; more of this one is dropped"
            );
        }
        self.full = is_full;
        if is_full {
            return None;
        }
        self.slots += 1;
        Some(self.slots - 1)
    }

    pub(super) fn release(&mut self, slot: u64) {
        self.free.push(slot);
    }

    pub(super) fn batch(&self, blocks: Vec<Write>) -> Batch {
        Batch {
            blocks,
            file: self.file.clone(),
            directory: self.directory.clone(),
            slot_bytes: self.slot_bytes,
        }
    }

    /// Where a block of `len` bytes in `slot` is read.
    pub(super) fn source(&self, slot: u64, len: usize) -> Option<Source> {
        let file = self.file.clone()?;
        Some(Source {
            file,
            offset: slot * self.slot_bytes,
            len,
        })
    }
}

/// A block on its way to its slot.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) number: u64,
    pub(super) slot: u64,
    pub(super) bytes: Bytes,
}

/// Blocks on their way to the file.
#[derive(Debug)]
pub(super) struct Batch {
    blocks: Vec<Write>,
    file: Option<Arc<File>>,
    directory: PathBuf,
    slot_bytes: u64,
}

/// What became of a batch.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) blocks: Vec<Write>,
    pub(super) result: io::Result<Arc<File>>,
}

impl Batch {
    pub(super) async fn write(self) -> Written {
        let work = spawn_blocking(move || {
            let result = self.try_write();
            Written {
                blocks: self.blocks,
                result,
            }
        });
        work.await.unwrap_or_else(|_| Written {
            blocks: Vec::new(),
            result: Err(io::Error::other("the runtime no longer runs blocking work")),
        })
    }

    fn try_write(&self) -> io::Result<Arc<File>> {
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => Arc::new(create(&self.directory)?),
        };
        for block in &self.blocks {
            file.write_all_at(&block.bytes, block.slot * self.slot_bytes)?;
        }
        Ok(file)
    }
}

fn create(directory: &Path) -> io::Result<File> {
    tempfile::tempfile_in(directory)
}

/// A block in the file.
#[derive(Debug)]
pub(super) struct Source {
    file: Arc<File>,
    offset: u64,
    len: usize,
}

impl Source {
    /// Reads the block. The slot may be another block's by now; the caller checks.
    pub(super) async fn read(self) -> io::Result<Bytes> {
        let work = spawn_blocking(move || {
            let mut bytes = vec![0; self.len];
            self.file.read_exact_at(&mut bytes, self.offset)?;
            Ok(Bytes::from(bytes))
        });
        work.await.map_err(io::Error::other)?
    }
}
