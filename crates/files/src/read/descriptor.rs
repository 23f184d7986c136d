//! An open file that does not block whoever drops it.

use std::{fs::File, io, path::PathBuf, sync::Arc};

use browserd_blocking::Pool;
use rustix::fs::fstatfs;

/// The magic numbers, statfs(2), of the file systems that live in this machine alone: to close a
/// file of theirs, nobody is asked.
const LOCAL: [i64; 10] = [
    TMPFS,
    0x858_458f6, // ramfs
    0xef53,      // ext2, ext3, ext4
    0x5846_5342, // xfs
    0x9123_683e, // btrfs
    0x794c_7630, // overlayfs
    0x9fa0,      // proc
    0x6265_6572, // sysfs
    0x7371_7368, // squashfs
    0xe0f5_e1e2, // erofs
];
const TMPFS: i64 = 0x0102_1994;

/// Where the content of a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Medium {
    /// In memory.
    Memory,
    /// On a disk of this machine.
    Disk,
    /// Elsewhere, or who knows: any call may take its time.
    Remote,
}

impl Medium {
    /// Asks the file system, which may block.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        let kind = fstatfs(file)?.f_type;
        Ok(if kind == TMPFS {
            Self::Memory
        } else if LOCAL.contains(&kind) {
            Self::Disk
        } else {
            Self::Remote
        })
    }
}

/// The file of a [`super::Reader`].
#[derive(Debug)]
pub(super) struct Descriptor {
    pub(super) file: Arc<File>,
    pub(super) medium: Medium,
    pub(super) path: PathBuf,
    pub(super) pool: Pool,
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        if self.medium == Medium::Remote {
            let path = std::mem::take(&mut self.path);
            self.pool.let_go(path, Arc::clone(&self.file));
        }
    }
}
