//! Unpacking an archive that is on the disk.

use std::sync::Arc;

use super::{limits::Tally, spool::Spooled, stage::Stage, unpack_tar, zip};
use crate::{Files, FsPath, Result, blocking};

/// The kind of an uploaded archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArchiveKind {
    /// A zip archive.
    Zip,
    /// A tar archive, compressed with Zstandard.
    TarZst {
        /// So many leading components of each name are dropped; a name without more is skipped.
        strip_components: usize,
    },
}

/// What was unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unpacked {
    /// How many entries the archive had.
    pub entries: usize,
}

impl Files {
    /// Unpacks an archive into a directory, which is made if it is missing. Files that are there
    /// are replaced, and keep their owner.
    ///
    /// An archive that is damaged, past a limit, or would touch anything outside of the directory
    /// is refused as a whole: nothing is changed then.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the unpacking.
    pub async fn unpack(
        &self,
        archive: Spooled,
        dest: &FsPath,
        kind: ArchiveKind,
    ) -> Result<Unpacked> {
        let permit = self.shared.archive_permit()?;
        let shared = Arc::clone(&self.shared);
        let to = dest.as_path().to_owned();
        let unpacking = blocking(&self.shared.pools.archives, dest.as_path(), move || {
            let tally = Tally::new(shared.config.archive_limits, archive.size_bytes);
            let mut stage = Stage::open(&to, tally)?;
            match kind {
                ArchiveKind::Zip => zip::unpack(&archive.file, &mut stage)?,
                ArchiveKind::TarZst { strip_components } => {
                    unpack_tar::unpack(archive.file, &mut stage, strip_components)?;
                }
            }
            let entries = stage.finish()?;
            shared.sweep_once(&to);
            Ok(Unpacked { entries })
        });
        let unpacked = unpacking.await;
        drop(permit);
        unpacked
    }
}
