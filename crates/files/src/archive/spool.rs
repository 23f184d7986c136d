//! An uploaded archive on its way to the disk, where it can be read from any place.

use std::{
    fs::File,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;

use crate::{
    Files, Result, blocking,
    error::Attempt,
    temp::{TempFile, open_dir},
    write::{
        grouped::{Grouped, Sink},
        write_chunks,
    },
};

const ACTION: &str = "spool an upload into";

/// An upload under way. Dropping it leaves nothing.
#[derive(Debug)]
pub struct Spool {
    grouped: Grouped<SpoolFile>,
}

/// A whole upload on the disk, under no name.
#[derive(Debug)]
pub struct Spooled {
    pub(super) file: File,
    pub(super) size_bytes: u64,
}

impl Spooled {
    /// How many bytes it has.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    pub(crate) fn into_file(self) -> File {
        self.file
    }
}

#[derive(Debug)]
struct SpoolFile {
    dir: PathBuf,
    file: File,
}

impl Files {
    /// Begins to take an upload.
    ///
    /// # Cancel safety
    /// Dropping the future leaves nothing.
    pub async fn spool(&self) -> Result<Spool> {
        let shared = Arc::clone(&self.shared);
        let opened = blocking(
            &self.shared.pools.steps,
            self.shared.config.spool_dir.clone(),
            move || {
                let dir = shared.config.spool_dir.clone();
                let fd = open_dir(&dir).attempt(ACTION, &dir)?;
                let file = TempFile::create(fd).and_then(TempFile::unnamed);
                let file = file.attempt(ACTION, &dir)?;
                Ok(SpoolFile { dir, file })
            },
        );
        Ok(Spool {
            grouped: Grouped::new(opened.await?, &self.shared.pools.steps),
        })
    }
}

impl Spool {
    /// Takes the next bytes; waits while the disk is behind. After an error the upload is over.
    ///
    /// # Cancel safety
    /// The chunk may or may not have been taken: a dropped call ends the upload.
    pub async fn write(&mut self, chunk: Bytes) -> Result<()> {
        self.grouped.write(chunk).await
    }

    /// Ends the upload.
    ///
    /// # Cancel safety
    /// Dropping the future leaves nothing.
    pub async fn finish(self) -> Result<Spooled> {
        let pool = self.grouped.pool().clone();
        let (spool, rest) = self.grouped.finish().await?;
        let dir = spool.dir.clone();
        blocking(&pool, dir, move || {
            spool.write_all(&rest)?;
            let size_bytes = spool.file.metadata().attempt(ACTION, &spool.dir)?.size();
            Ok(Spooled {
                file: spool.file,
                size_bytes,
            })
        })
        .await
    }
}

impl Sink for SpoolFile {
    fn write_all(&self, chunks: &[Bytes]) -> Result<()> {
        write_chunks(&self.file, chunks).attempt(ACTION, &self.dir)
    }

    fn path(&self) -> &Path {
        &self.dir
    }
}
