//! Writing what is at hand already: many small files in one turn on a blocking thread, and
//! content that waited on the disk.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path, sync::Arc};

use browserd_blocking::progress;
use bytes::Bytes;

use super::{WriteOptions, draft::Draft, grouped::Sink as _};
use crate::{Files, FsPath, Result, Shared, Spooled, blocking, error::Attempt};

/// A content that waited is copied in pieces of this size.
const COPY_BYTES: usize = 512 * 1024;

/// So many files are open at once, each with its directory: a process may have 1,024 descriptors.
const MAX_OPEN: usize = 128;

/// A small file that is held in memory.
#[derive(Debug, Clone)]
pub struct SmallFile {
    /// Where it goes.
    pub path: FsPath,
    /// Its whole content.
    pub content: Vec<Bytes>,
}

impl Files {
    /// Replaces or makes all of these files, in their order, each at once and durably. Missing
    /// parent directories are made. When one fails, some of those before it are in place, and
    /// none of those behind it.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn write_small(&self, files: Vec<SmallFile>) -> Result<()> {
        let Some(first) = files.first().map(|file| file.path.clone()) else {
            return Ok(());
        };
        let shared = Arc::clone(&self.shared);
        blocking(&self.shared.pools.steps, first.as_path(), move || {
            for group in files.chunks(MAX_OPEN) {
                write_group(&shared, group)?;
            }
            Ok(())
        })
        .await
    }

    /// Replaces or makes a file with what was spooled, at once and durably.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn write_spooled(&self, path: &FsPath, content: Spooled) -> Result<()> {
        path.not_root()?;
        let shared = Arc::clone(&self.shared);
        let target = path.as_path().to_owned();
        blocking(&self.shared.pools.steps, path.as_path(), move || {
            let options = WriteOptions {
                expected_bytes: Some(content.size_bytes()),
                ..WriteOptions::default()
            };
            let draft = Draft::open(shared, &target, options)?;
            copy(&content.into_file(), &draft, &target)?;
            draft.commit().map(|_| ())
        })
        .await
    }
}

fn write_group(shared: &Arc<Shared>, files: &[SmallFile]) -> Result<()> {
    let mut drafts = Vec::with_capacity(files.len());
    for file in files {
        progress();
        file.path.not_root()?;
        let options = WriteOptions::default();
        let draft = Draft::open(Arc::clone(shared), file.path.as_path(), options)?;
        draft.write_all(&file.content)?;
        drafts.push(draft);
    }
    for draft in drafts {
        progress();
        draft.commit()?;
    }
    Ok(())
}

fn copy(from: &File, to: &Draft, path: &Path) -> Result<()> {
    let mut offset = 0;
    loop {
        progress();
        let mut piece = vec![0; COPY_BYTES];
        let read = match from.read_at(&mut piece, offset) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error).attempt("copy an upload to", path),
        };
        piece.truncate(read);
        offset += read as u64;
        to.write_all(&[piece.into()])?;
    }
}
