//! What the tests share: directories, contents, mounts.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use browserd_files::{
    ArchiveKind, Config, Error, Files, FsPath, OsKind, PackFormat, Unpacked, WriteOptions, Written,
};
use bytes::Bytes;
use futures_util::TryStreamExt;
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, unmount};
use tempfile::TempDir;

/// A directory of the test's own, and files that spool into it.
pub(crate) struct Place {
    pub(crate) files: Files,
    dir: TempDir,
}

impl Place {
    /// On the disk.
    pub(crate) fn new() -> Self {
        Self::on(TempDir::new().unwrap())
    }

    /// In memory: another file system than [`Self::new`] is on.
    pub(crate) fn in_memory() -> Self {
        Self::on(TempDir::new_in("/dev/shm").unwrap())
    }

    /// On the disk, with other settings.
    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut place = Self::new();
        let mut config = Config::new(place.dir.path().join("spool"));
        change(&mut config);
        place.files = Files::new(config);
        place
    }

    fn on(dir: TempDir) -> Self {
        fs::create_dir(dir.path().join("root")).unwrap();
        fs::create_dir(dir.path().join("spool")).unwrap();
        let config = Config::new(dir.path().join("spool"));
        Self {
            files: Files::new(config),
            dir,
        }
    }

    /// The directory to work in.
    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    /// All names in the directory and below, hidden ones too.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = tree(&self.root()).into_keys().collect();
        assert_eq!(
            fs::read_dir(self.dir.path().join("spool")).unwrap().count(),
            0
        );
        names.sort();
        names
    }

    pub(crate) async fn write(&self, name: &str, content: &[u8]) -> Result<Written, Error> {
        write(
            &self.files,
            &self.path(name),
            content,
            WriteOptions::default(),
        )
        .await
    }
}

pub(crate) fn fs_path(path: &Path) -> FsPath {
    FsPath::parse(path).unwrap()
}

pub(crate) async fn write(
    files: &Files,
    path: &Path,
    content: &[u8],
    options: WriteOptions,
) -> Result<Written, Error> {
    let mut writer = files.write(&fs_path(path), options).await?;
    for chunk in content.chunks(10_000) {
        writer.write(Bytes::copy_from_slice(chunk)).await?;
    }
    writer.finish().await
}

pub(crate) async fn read(files: &Files, path: &Path) -> Result<Vec<u8>, Error> {
    let content = files.read(&fs_path(path)).await?.content(None);
    let chunks: Vec<Bytes> = content.try_collect().await?;
    Ok(chunks.concat())
}

/// Uploads an archive and unpacks it.
pub(crate) async fn unpack(
    files: &Files,
    archive: &[u8],
    dest: &Path,
    kind: ArchiveKind,
) -> Result<Unpacked, Error> {
    let mut spool = files.spool().await?;
    for chunk in archive.chunks(100_000) {
        spool.write(Bytes::copy_from_slice(chunk)).await?;
    }
    files
        .unpack(spool.finish().await?, &fs_path(dest), kind)
        .await
}

/// Packs a directory.
pub(crate) async fn pack(files: &Files, dir: &Path, format: PackFormat) -> Result<Vec<u8>, Error> {
    let packed = files.pack(&fs_path(dir), format).await?;
    let chunks: Vec<Bytes> = packed.try_collect().await?;
    Ok(chunks.concat())
}

/// Bytes that differ from place to place and from seed to seed.
pub(crate) fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

/// What a tree holds.
pub(crate) type Tree = BTreeMap<String, (u32, i128, Vec<u8>)>;

/// What a tree holds: for each path the mode, the modification time in nanoseconds, and the
/// content or the link's target.
pub(crate) fn tree(root: &Path) -> Tree {
    let mut found = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(dir) = left.pop() {
        // A name may go between being listed and being looked at: what a broken write or a refused
        // archive leaves is taken away by another thread. Gone is gone; anything else fails the
        // test.
        for path in present(list(&dir)).unwrap_or_default() {
            let Some((metadata, content)) = present(look(&path)) else {
                continue;
            };
            let time = i128::from(metadata.mtime()) * 1_000_000_000;
            let time = time + i128::from(metadata.mtime_nsec());
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            found.insert(name, (metadata.mode(), time, content));
            if metadata.is_dir() {
                left.push(path);
            }
        }
    }
    found
}

fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect()
}

/// What is at a path, and its content or its link's target.
fn look(path: &Path) -> io::Result<(fs::Metadata, Vec<u8>)> {
    let metadata = fs::symlink_metadata(path)?;
    let content = if metadata.is_symlink() {
        fs::read_link(path)?.into_os_string().into_encoded_bytes()
    } else if metadata.is_file() {
        fs::read(path)?
    } else {
        Vec::new()
    };
    Ok((metadata, content))
}

fn present<T>(result: io::Result<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => panic!("{error}"),
    }
}

/// What a tree holds, but for the times of directories: those tell that something was there for
/// a moment.
pub(crate) fn contents(root: &Path) -> Tree {
    let mut found = tree(root);
    for (mode, time, _) in found.values_mut() {
        if *mode & 0o170_000 == 0o040_000 {
            *time = 0;
        }
    }
    found
}

/// What zip keeps of the times.
pub(crate) fn whole_seconds(mut tree: Tree) -> Tree {
    for (_, time, _) in tree.values_mut() {
        *time -= time.rem_euclid(1_000_000_000);
    }
    tree
}

#[track_caller]
pub(crate) fn assert_same(one: &Tree, other: &Tree) {
    let names = |tree: &Tree| tree.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(one), names(other));
    for (path, (mode, time, content)) in one {
        let (other_mode, other_time, other_content) = &other[path];
        assert_eq!((mode, time), (other_mode, other_time), "{path}");
        assert!(content == other_content, "{path} has another content");
    }
}

#[track_caller]
pub(crate) fn assert_os<T: std::fmt::Debug>(result: Result<T, Error>, kind: OsKind) {
    match result {
        Err(error) => assert_eq!(error.os_kind(), Some(kind), "{error}"),
        Ok(value) => panic!("{value:?} instead of {kind:?}"),
    }
}

/// Waits until a condition holds that another thread brings about.
#[track_caller]
pub(crate) fn assert_eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let patience = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < patience, "{what}");
        std::thread::yield_now();
    }
}

/// Whether the test may mount; it says so where not.
pub(crate) fn may_mount() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("not root: skipped");
    }
    root
}

/// Something mounted, until it is dropped.
pub(crate) struct Mount(PathBuf);

impl Mount {
    pub(crate) fn tmpfs(at: &Path, size: &str) -> Self {
        let options = std::ffi::CString::new(format!("size={size}")).unwrap();
        mount(
            "tmpfs",
            at,
            "tmpfs",
            MountFlags::empty(),
            options.as_c_str(),
        )
        .unwrap();
        Self(at.to_owned())
    }

    pub(crate) fn bind(from: &Path, at: &Path) -> Self {
        mount_bind(from, at).unwrap();
        Self(at.to_owned())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        unmount(&self.0, UnmountFlags::DETACH).unwrap();
    }
}
