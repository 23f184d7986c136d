//! Writing a file from a stream of chunks.
//!
//! The bytes go to a hidden sibling, which takes the target's name when all of them are on the
//! disk. Until then the target keeps its old content, whatever happens. The rename itself is not
//! synced: after a power cut the file may have its old content, but never a part of the new.

mod batch;
mod commits;
mod draft;
pub(crate) mod grouped;
pub(crate) mod target;

use std::sync::Arc;

use bytes::Bytes;

pub use batch::SmallFile;

use crate::{Files, FsPath, Mode, Result, blocking};
pub(crate) use commits::Commits;
use draft::Draft;
pub(crate) use draft::{room, write_chunks};
use grouped::{Grouped, Sink as _};

/// How a file is to be written.
#[derive(Debug, Clone, Default)]
pub struct WriteOptions {
    /// The permissions; without, an existing file keeps its own and a new one gets 644.
    pub mode: Option<Mode>,
    /// Where the bytes go.
    pub placement: Placement,
    /// What must be true of the file before.
    pub precondition: Precondition,
    /// How many bytes will come, where that is known: what does not fit is refused at once.
    pub expected_bytes: Option<u64>,
}

/// Where written bytes go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Placement {
    /// They become the whole content, at once and at the end.
    #[default]
    Replace,
    /// Behind the present content, in place.
    Append,
    /// From this offset on, in place; what is behind them stays.
    At(u64),
}

/// What must be true of a file before it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing.
    #[default]
    None,
    /// It exists (`If-Match: *`).
    Present,
    /// It does not exist (`If-None-Match: *`).
    Absent,
    /// It has one of these entity tags, quotes included (`If-Match`).
    Matches(Vec<String>),
}

/// What a finished write did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Whether the file is a new one.
    pub created: bool,
    /// Whether the file's own bytes were overwritten: it could not be replaced at once, or that
    /// was not asked for.
    pub in_place: bool,
}

/// A write under way. Dropping it leaves the file as it was, unless it is written in place.
#[derive(Debug)]
pub struct Writer {
    grouped: Grouped<Draft>,
}

impl Files {
    /// Begins to write a file. Missing parent directories are made.
    ///
    /// # Cancel safety
    /// Dropping the future leaves nothing but the parent directories.
    pub async fn write(&self, path: &FsPath, options: WriteOptions) -> Result<Writer> {
        path.not_root()?;
        let shared = Arc::clone(&self.shared);
        let target = path.as_path().to_owned();
        let pool = &self.shared.pools.steps;
        let open = move || Draft::open(shared, &target, options);
        let draft = blocking(pool, path.as_path(), open).await?;
        Ok(Writer {
            grouped: Grouped::new(draft, pool),
        })
    }
}

impl Writer {
    /// Takes the next bytes; waits while the disk is behind. After an error the write is over.
    ///
    /// # Cancel safety
    /// The chunk may or may not have been taken: a dropped call ends the write.
    pub async fn write(&mut self, chunk: Bytes) -> Result<()> {
        self.grouped.write(chunk).await
    }

    /// Makes the bytes the file's content, durably.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the old content or the new one.
    pub async fn finish(self) -> Result<Written> {
        let pool = self.grouped.pool().clone();
        let (draft, rest) = self.grouped.finish().await?;
        let path = draft.path().to_owned();
        blocking(&pool, path, move || {
            draft.write_all(&rest)?;
            draft.commit()
        })
        .await
    }
}
