//! A write under way, as the file system sees it. Everything here blocks.

use std::{
    fs::{File, Metadata, OpenOptions, Permissions},
    io::{self, IoSlice, Seek, SeekFrom, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use rustix::{
    fs::{
        FallocateFlags, Gid, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid, fallocate, fchown,
        fstatvfs, futimens,
    },
    io::Errno,
    time::{ClockId, clock_gettime},
};

use super::{Placement, Precondition, WriteOptions, Written, grouped::Sink, target::Target};
use crate::{
    Mode, Result, Shared,
    error::{Attempt, Error},
    info,
    temp::{TempFile, open_dir},
    transfer::copy_in_steps,
};

const ACTION: &str = "write";
/// `IOV_MAX` of Linux.
const MAX_SLICES: usize = 1024;

/// Where the bytes go until the write is finished.
#[derive(Debug)]
enum Medium {
    /// A hidden file beside the target, which it will replace.
    Sibling(TempFile),
    /// A file without a name elsewhere: no file can be made beside the target.
    Spool(File),
    /// The target itself.
    Direct(File),
}

/// A write under way.
#[derive(Debug)]
pub(super) struct Draft {
    shared: Arc<Shared>,
    path: PathBuf,
    target: Target,
    options: WriteOptions,
    medium: Medium,
}

impl Draft {
    pub(super) fn open(shared: Arc<Shared>, path: &Path, options: WriteOptions) -> Result<Self> {
        let target = Target::resolve(path, ACTION)?;
        let is_device = target.is_device().attempt(ACTION, path)?;
        options.precondition.check(path, target.existing.as_ref())?;
        let medium = if is_device || options.placement != Placement::Replace {
            open_direct(&target, &options).map(Medium::Direct)
        } else {
            open_beside(&shared, &target)
        };
        let draft = Self {
            medium: medium.attempt(ACTION, path)?,
            shared,
            path: path.to_owned(),
            target,
            options,
        };
        draft.reserve().attempt(ACTION, path)?;
        Ok(draft)
    }

    fn file(&self) -> &File {
        match &self.medium {
            Medium::Sibling(temp) => temp.file(),
            Medium::Spool(file) | Medium::Direct(file) => file,
        }
    }

    /// Refuses early what will not fit, before the client has sent it all.
    fn reserve(&self) -> io::Result<()> {
        let Some(bytes) = self.options.expected_bytes else {
            return Ok(());
        };
        match (&self.medium, self.options.placement) {
            (Medium::Direct(file), Placement::Append) => room(file, file.metadata()?.len(), bytes),
            (Medium::Direct(file), Placement::At(offset)) => room(file, offset, bytes),
            (Medium::Direct(_), Placement::Replace) => Ok(()),
            (Medium::Sibling(_) | Medium::Spool(_), _) => {
                let disk = fstatvfs(self.file())?;
                let free = disk.f_bfree.saturating_mul(disk.f_frsize);
                // Some virtual file systems count no blocks at all.
                if disk.f_blocks > 0 && bytes > free {
                    return Err(Errno::NOSPC.into());
                }
                Ok(())
            }
        }
    }

    /// Makes what was written the file's content.
    pub(super) fn commit(mut self) -> Result<Written> {
        let path = self.path.clone();
        let in_place = match &self.medium {
            Medium::Direct(file) => {
                self.settle_direct(file).attempt(ACTION, &path)?;
                true
            }
            Medium::Spool(_) => {
                self.check_again()?;
                self.copy_in_place().attempt(ACTION, &path)?;
                true
            }
            Medium::Sibling(_) => self.replace()?,
        };
        self.shared.sweep_once(&self.target.dir);
        Ok(Written {
            created: self.target.existing.is_none(),
            in_place,
        })
    }

    /// Renames the sibling over the target. Returns whether it had to be copied instead.
    fn replace(&mut self) -> Result<bool> {
        let shared = Arc::clone(&self.shared);
        let path = self.path.clone();
        let dressed = self.dress();
        self.file().sync_all().attempt(ACTION, &path)?;
        let (dir, name) = (self.target.dir.clone(), self.target.name.clone());
        let renamed = shared.commits.alone(&dir, &name, || {
            self.check_again()?;
            Ok(match (&mut self.medium, dressed) {
                (Medium::Sibling(temp), Ok(())) => temp.rename(&name),
                (_, dressed) => dressed,
            })
        });
        match renamed? {
            Ok(()) => Ok(false),
            // A mount point (a bind-mounted file), or an owner that this process cannot give.
            Err(Errno::BUSY | Errno::XDEV | Errno::PERM) if self.target.existing.is_some() => {
                self.copy_in_place().attempt(ACTION, &path)?;
                Ok(true)
            }
            Err(errno) => Err(Error::os(ACTION, &path, errno)),
        }
    }

    /// Gives the sibling the owner and mode of what it will replace.
    fn dress(&self) -> rustix::io::Result<()> {
        let file = self.file();
        let mut mode = Mode::FILE;
        if let Some(existing) = &self.target.existing {
            mode = Mode::of(existing.mode());
            let own = file.metadata().map_err(|_| Errno::IO)?;
            if (own.uid(), own.gid()) != (existing.uid(), existing.gid()) {
                let (uid, gid) = (existing.uid(), existing.gid());
                fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
            }
        }
        let mode = self.options.mode.unwrap_or(mode);
        rustix::fs::fchmod(file, rustix::fs::Mode::from_raw_mode(mode.bits()))?;
        // The kernel's own clock of files ticks every few milliseconds: two writes in one tick
        // could otherwise have the same entity tag, where the second gets the inode of the first.
        let omit = Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        };
        let now = Timestamps {
            last_access: omit,
            last_modification: clock_gettime(ClockId::Realtime),
        };
        futimens(file, &now)
    }

    fn check_again(&self) -> Result<()> {
        if matches!(self.options.precondition, Precondition::None) {
            return Ok(());
        }
        let now = std::fs::metadata(self.target.path()).ok();
        self.options.precondition.check(&self.path, now.as_ref())
    }

    /// Copies the finished bytes over the target's own.
    fn copy_in_place(&self) -> io::Result<()> {
        let mut from = self.file();
        let bytes = from.seek(SeekFrom::End(0))?;
        let mut to = OpenOptions::new()
            .write(true)
            .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
            .open(self.target.path())?;
        // Before the old content is touched, all blocks of the new must be there.
        room(&to, 0, bytes)?;
        from.rewind()?;
        copy_in_steps(from, &mut to)?;
        if to.metadata()?.len() > bytes {
            to.set_len(bytes)?;
        }
        self.settle_direct(&to)
    }

    fn settle_direct(&self, file: &File) -> io::Result<()> {
        let created = self.target.existing.is_none();
        if let Some(mode) = self.options.mode.or_else(|| created.then_some(Mode::FILE)) {
            file.set_permissions(Permissions::from_mode(mode.bits()))?;
        }
        match file.sync_all() {
            // Devices and kernel files have nothing to sync.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            other => other,
        }
    }
}

impl Sink for Draft {
    fn write_all(&self, chunks: &[Bytes]) -> Result<()> {
        write_chunks(self.file(), chunks).attempt(ACTION, &self.path)
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

/// Writes all chunks behind what is written already.
pub(crate) fn write_chunks(mut file: &File, chunks: &[Bytes]) -> io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = chunks.iter().map(|it| IoSlice::new(it)).collect();
    let mut left = slices.as_mut_slice();
    // Empty slices at the front would make a write of nothing look like a failure.
    IoSlice::advance_slices(&mut left, 0);
    while !left.is_empty() {
        let some = left.len().min(MAX_SLICES);
        match file.write_vectored(&left[..some]) {
            Ok(0) => return Err(Errno::IO.into()),
            Ok(written) => IoSlice::advance_slices(&mut left, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl Precondition {
    fn check(&self, path: &Path, existing: Option<&Metadata>) -> Result<()> {
        let (met, what) = match (self, existing) {
            (Self::None, _) => return Ok(()),
            (Self::Absent, existing) => (existing.is_none(), "it exists"),
            (Self::Present, existing) => (existing.is_some(), "it does not exist"),
            (Self::Matches(_), None) => (false, "it does not exist"),
            (Self::Matches(tags), Some(metadata)) => {
                let tag = info::etag(metadata);
                (tags.contains(&tag), "its entity tag is another one")
            }
        };
        if met {
            return Ok(());
        }
        Err(Error::Precondition {
            path: path.to_owned(),
            what,
        })
    }
}

fn open_direct(target: &Target, options: &WriteOptions) -> io::Result<File> {
    let mut open = OpenOptions::new();
    // Without NONBLOCK a device may wait for a carrier.
    open.custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed());
    open.create(target.existing.is_none());
    match options.placement {
        Placement::Append => open.append(true),
        Placement::Replace | Placement::At(_) => open.write(true),
    };
    let mut file = open.open(target.path())?;
    if let Placement::At(offset) = options.placement {
        file.seek(SeekFrom::Start(offset))?;
    }
    Ok(file)
}

fn open_beside(shared: &Shared, target: &Target) -> io::Result<Medium> {
    let dir = open_dir(&target.dir)?;
    match TempFile::create(dir) {
        Ok(temp) => Ok(Medium::Sibling(temp)),
        // The directory takes no new file, but the file itself may be writable: a file mounted
        // into a read-only image, or one of the kernel's.
        Err(
            Errno::ROFS
            | Errno::ACCESS
            | Errno::PERM
            | Errno::NOENT
            | Errno::OPNOTSUPP
            | Errno::INVAL
            | Errno::NOSYS,
        ) if target.existing.is_some() => {
            OpenOptions::new().write(true).open(target.path())?;
            let spool = TempFile::create(open_dir(&shared.config.spool_dir)?)?;
            Ok(Medium::Spool(spool.unnamed()?))
        }
        Err(errno) => Err(errno.into()),
    }
}

/// Makes sure that the blocks are there, without changing the file's size.
pub(crate) fn room(file: &File, offset: u64, bytes: u64) -> io::Result<()> {
    if bytes == 0 || !file.metadata()?.is_file() {
        return Ok(());
    }
    match fallocate(file, FallocateFlags::KEEP_SIZE, offset, bytes) {
        Ok(())
        | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::PERM | Errno::NODEV) => {
            Ok(())
        }
        Err(errno) => Err(errno.into()),
    }
}
