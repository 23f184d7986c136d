//! How much an archive may hold.

use crate::{Error, Result};

/// Below this, the ratio says nothing: a small file of zeros is no attack.
const RATIO_FROM_BYTES: u64 = 16 * 1024 * 1024;
/// What has to be remembered of names and links until the end. Ordinary names of 100,000 entries
/// take a sixth of it; 100,000 of the longest would take a hundredth of their size in the archive.
const MAX_NAME_BYTES: usize = 64 * 1024 * 1024;

/// How much an archive may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchiveLimits {
    /// So many entries, of any kind; and so many directories, named as entries or not.
    pub entries: usize,
    /// So many bytes when it is unpacked.
    pub unpacked_bytes: u64,
    /// So many unpacked bytes for each byte of the archive. It counts from 16 MiB on.
    pub ratio: u64,
}

impl Default for ArchiveLimits {
    fn default() -> Self {
        Self {
            entries: 100_000,
            unpacked_bytes: 16 * 1024 * 1024 * 1024,
            ratio: 1000,
        }
    }
}

/// What an archive has held so far.
#[derive(Debug)]
pub(super) struct Tally {
    limits: ArchiveLimits,
    packed_bytes: u64,
    entries: usize,
    unpacked_bytes: u64,
    hole_bytes: u64,
    name_bytes: usize,
}

impl Tally {
    pub(super) fn new(limits: ArchiveLimits, packed_bytes: u64) -> Self {
        Self {
            limits,
            packed_bytes,
            entries: 0,
            unpacked_bytes: 0,
            hole_bytes: 0,
            name_bytes: 0,
        }
    }

    pub(super) fn entries(&self) -> usize {
        self.entries
    }

    pub(super) fn add_entries(&mut self, entries: usize) -> Result<()> {
        self.entries = self.entries.saturating_add(entries);
        if self.entries > self.limits.entries {
            return Err(Error::ArchiveTooLarge {
                reason: format!("it has more than {} entries", self.limits.entries),
            });
        }
        Ok(())
    }

    /// A name of 4,095 bytes can imply 2,047 directories that are no entries.
    pub(super) fn check_directories(&self, made: usize) -> Result<()> {
        if made > self.limits.entries {
            return Err(Error::ArchiveTooLarge {
                reason: format!("it has more than {} directories", self.limits.entries),
            });
        }
        Ok(())
    }

    /// Counts what of an entry is kept in memory.
    pub(super) fn add_name(&mut self, bytes: usize) -> Result<()> {
        self.name_bytes = self.name_bytes.saturating_add(bytes);
        if self.name_bytes > MAX_NAME_BYTES {
            return Err(Error::ArchiveTooLarge {
                reason: format!("its names and links have more than {MAX_NAME_BYTES} bytes"),
            });
        }
        Ok(())
    }

    pub(super) fn add_bytes(&mut self, bytes: u64) -> Result<()> {
        self.unpacked_bytes = self.unpacked_bytes.saturating_add(bytes);
        self.check_bytes()?;
        let limits = &self.limits;
        let allowed = self.packed_bytes.saturating_mul(limits.ratio);
        if self.unpacked_bytes > allowed.max(RATIO_FROM_BYTES) {
            return Err(Error::ArchiveTooLarge {
                reason: format!("it unpacks to more than {} times its size", limits.ratio),
            });
        }
        Ok(())
    }

    /// Counts what of sparse files is no data. It takes no room, so that the ratio says nothing;
    /// but whoever reads the file reads it.
    pub(super) fn add_holes(&mut self, bytes: u64) -> Result<()> {
        self.hole_bytes = self.hole_bytes.saturating_add(bytes);
        self.check_bytes()
    }

    fn check_bytes(&self) -> Result<()> {
        let limit = self.limits.unpacked_bytes;
        if self.unpacked_bytes.saturating_add(self.hole_bytes) > limit {
            return Err(Error::ArchiveTooLarge {
                reason: format!("it unpacks to more than {limit} bytes"),
            });
        }
        Ok(())
    }
}
