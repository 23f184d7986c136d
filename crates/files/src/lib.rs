//! The files of the machine: reading, atomic writing, listing, moving, archives and watches.
//!
//! Everything goes through [`Files`]; paths are checked once, by [`FsPath::parse`]. Whatever
//! touches the disk does so on threads of this crate's own.

mod archive;
mod change;
mod descent;
mod error;
mod info;
mod list;
mod mode;
mod owner;
mod path;
mod pools;
mod read;
mod temp;
mod transfer;
mod watch;
mod write;

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use browserd_blocking::Pool;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use archive::{
    ArchiveKind, ArchiveLimits, Compression, Omitted, PackFormat, PackOptions, Packed, Spool,
    Spooled, Unpacked,
};
pub use error::{Error, OsKind, PathProblem, Result};
pub use info::FileInfo;
pub use list::{ListOptions, Listing, MAX_PAGE_ENTRIES};
pub use mode::Mode;
pub use path::FsPath;
pub use read::{Content, Piece, Reader};
pub use temp::is_temporary;
pub use watch::{ChangeKind, WatchEvent, WatchEvents, WatchItem, WatchLimits, WatchOptions};
pub use write::{Placement, Precondition, SmallFile, WriteOptions, Writer, Written};

use pools::{Pools, blocking};
use write::Commits;

/// So many directories are remembered as swept; past it, all are forgotten and swept again.
const MAX_SWEPT: usize = 4096;

/// The settings of [`Files`].
#[derive(Debug, Clone)]
pub struct Config {
    /// Where content waits that can neither go to its place nor be held in memory.
    pub spool_dir: PathBuf,
    /// How much an archive may hold.
    pub archive_limits: ArchiveLimits,
    /// So many archives may be packed or unpacked at once; each holds a thread.
    pub max_archives: usize,
    /// How watches behave.
    pub watch_limits: WatchLimits,
    /// A call that makes no progress for so long fails.
    pub deadline: Duration,
}

/// The files of the machine. Clones are handles of the same.
#[derive(Debug, Clone)]
pub struct Files {
    shared: Arc<Shared>,
}

/// What all operations share.
#[derive(Debug)]
pub(crate) struct Shared {
    config: Config,
    /// From a write's last look at its target to the rename.
    commits: Commits,
    pools: Pools,
    /// The directories, by device and inode, in which leftovers were looked for.
    swept: Mutex<HashSet<(u64, u64)>>,
    archives: Arc<Semaphore>,
    watches: watch::Watches,
    buffers: Arc<read::Pool>,
}

impl Config {
    /// The defaults, with a place for what must wait on the disk.
    #[must_use]
    pub fn new(spool_dir: impl Into<PathBuf>) -> Self {
        Self {
            spool_dir: spool_dir.into(),
            archive_limits: ArchiveLimits::default(),
            max_archives: 32,
            watch_limits: WatchLimits::default(),
            deadline: Duration::from_secs(30),
        }
    }
}

impl Files {
    /// The files of the machine; nothing is opened yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let shared = Shared {
            archives: Arc::new(Semaphore::new(config.max_archives)),
            pools: Pools::new(config.deadline, config.max_archives),
            config,
            commits: Commits::default(),
            swept: Mutex::default(),
            watches: watch::Watches::default(),
            buffers: Arc::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The threads, to be counted.
    #[must_use]
    pub fn pools(&self) -> [&Pool; 3] {
        let pools = &self.shared.pools;
        [&pools.steps, &pools.trees, &pools.archives]
    }

    /// Removes what a crashed daemon left in a directory; returns how many entries.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the sweep.
    pub async fn sweep(&self, dir: &FsPath) -> Result<usize> {
        let path = dir.as_path().to_owned();
        let swept = blocking(&self.shared.pools.steps, dir.as_path(), move || {
            temp::sweep(&path).map_err(|source| Error::os("clean up", &path, source))
        });
        swept.await
    }
}

impl Shared {
    /// Room for one more archive.
    fn archive_permit(&self) -> Result<OwnedSemaphorePermit> {
        let permit = Arc::clone(&self.archives).try_acquire_owned();
        permit.map_err(|_| Error::TooManyArchives {
            limit: self.config.max_archives,
        })
    }

    /// Removes a crashed daemon's leftovers from a directory that is written to for the first
    /// time.
    fn sweep_once(&self, dir: &Path) {
        let Some(identity) = temp::identity(dir) else {
            return;
        };
        {
            let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
            if swept.len() >= MAX_SWEPT {
                swept.clear();
            }
            if !swept.insert(identity) {
                return;
            }
        }
        match temp::sweep(dir) {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, dir = %dir.display(), "removed leftovers"),
            Err(error) => {
                tracing::debug!(%error, dir = %dir.display(), "cannot look for leftovers");
            }
        }
    }
}
