//! Writing a file from a stream of chunks.
//!
//! The bytes go to a hidden sibling, which takes the target's name when all of them are on the
//! disk. Until then the target keeps its old content, whatever happens. The rename itself is not
//! synced: after a power cut the file may have its old content, but never a part of the new.

mod draft;
pub(crate) mod target;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use tokio::task::JoinHandle;

use crate::{Error, Files, FsPath, Mode, Result, blocking};
use draft::Draft;
pub(crate) use draft::room;

/// Chunks are handed to the disk in groups of about this size. Two groups are held at most: one
/// that is being written and one that fills.
const GROUP_BYTES: usize = 512 * 1024;
/// A group has no more chunks than one system call takes.
const GROUP_CHUNKS: usize = 1024;

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
    path: PathBuf,
    draft: Option<Arc<Draft>>,
    group: Vec<Bytes>,
    group_bytes: usize,
    in_flight: Option<JoinHandle<Result<()>>>,
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
        let opened = blocking(path, move || Draft::open(shared, &target, options)).await?;
        Ok(Writer {
            path: path.as_path().to_owned(),
            draft: Some(Arc::new(opened)),
            group: Vec::new(),
            group_bytes: 0,
            in_flight: None,
        })
    }
}

impl Writer {
    /// Takes the next bytes; waits while the disk is behind. After an error the write is over.
    ///
    /// # Cancel safety
    /// The chunk may or may not have been taken: a dropped call ends the write.
    pub async fn write(&mut self, chunk: Bytes) -> Result<()> {
        if chunk.is_empty() {
            return Ok(());
        }
        self.group_bytes += chunk.len();
        self.group.push(chunk);
        if self.group_bytes >= GROUP_BYTES || self.group.len() >= GROUP_CHUNKS {
            self.settle().await?;
            let draft = self.draft.clone().ok_or(Error::BrokenOff)?;
            let group = std::mem::take(&mut self.group);
            self.group_bytes = 0;
            let work = move || draft.write_all(&group);
            self.in_flight = Some(tokio::task::spawn_blocking(work));
        }
        Ok(())
    }

    /// Makes the bytes the file's content, durably.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the old content or the new one.
    pub async fn finish(mut self) -> Result<Written> {
        self.settle().await?;
        let draft = self.draft.take().and_then(Arc::into_inner);
        let draft = draft.ok_or(Error::BrokenOff)?;
        let group = std::mem::take(&mut self.group);
        blocking(&self.path, move || {
            draft.write_all(&group)?;
            draft.commit()
        })
        .await
    }

    /// Waits for the group that is being written.
    async fn settle(&mut self) -> Result<()> {
        let Some(in_flight) = &mut self.in_flight else {
            return Ok(());
        };
        let done = in_flight.await;
        self.in_flight = None;
        let done = done.unwrap_or_else(|_| Err(interrupted(&self.path)));
        if done.is_err() {
            self.draft = None;
        }
        done
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Removing a large file takes a while, which a runtime's thread does not have.
        if let (Some(draft), Ok(runtime)) =
            (self.draft.take(), tokio::runtime::Handle::try_current())
        {
            runtime.spawn_blocking(move || drop(draft));
        }
    }
}

fn interrupted(path: &Path) -> Error {
    Error::Interrupted {
        path: path.to_owned(),
    }
}
