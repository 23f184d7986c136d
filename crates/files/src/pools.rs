//! The threads on which all of this crate's blocking calls are made.

use std::{path::PathBuf, time::Duration};

use browserd_blocking::{Limits, Pool};

use crate::{Error, Result};

/// One pool for each kind of call, so that the long ones keep no thread from the short.
#[derive(Debug)]
pub(crate) struct Pools {
    /// Calls about one file.
    pub(crate) steps: Pool,
    /// Calls about all that is below a directory, which may be on several file systems.
    pub(crate) trees: Pool,
    /// Packing and unpacking.
    pub(crate) archives: Pool,
}

impl Pools {
    pub(crate) fn new(deadline: Duration, max_archives: usize) -> Self {
        let limits = Limits {
            deadline,
            ..Limits::default()
        };
        let archives = Limits {
            threads: limits.threads.max(2 * max_archives),
            threads_each: max_archives,
            ..limits
        };
        Self {
            steps: Pool::new("files", limits),
            trees: Pool::new("trees", limits),
            archives: Pool::new("archives", archives),
        }
    }
}

/// Runs what blocks on a thread that may. `place` says on which file system it works.
pub(crate) async fn blocking<T: Send + 'static>(
    pool: &Pool,
    place: impl Into<PathBuf>,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    pool.run(place, work).await.map_err(Error::NoAnswer)?
}
