//! Archives made from lines of text, and the directory that they are unpacked in.
//!
//! Shared with the fuzz targets. A line is an entry: its kind (`f` a file, `d` a directory, `l` a
//! symbolic link, `h` a hard link, `x` a device), its name, a tab, and its content or target.

use std::{
    cell::Cell,
    collections::BTreeMap,
    fs, io,
    os::unix::fs::{MetadataExt, symlink},
    path::{Path, PathBuf},
};

use browserd_files::{ArchiveKind, Config, Error, Files, FsPath, is_temporary};
use bytes::Bytes;
use tar::EntryType;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use crate::forge::{FILE, LINK, TarEntry, ZipEntry, compress, tar, zip};

const MAX_LINES: usize = 40;
const MAX_ENTRIES: usize = 30;
const MAX_BYTES: u64 = 1024 * 1024;
/// More than a name field of tar holds.
const LONG: usize = 100;

struct Line<'a> {
    kind: u8,
    name: &'a [u8],
    rest: &'a [u8],
}

fn lines(script: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let lines = script.split(|byte| *byte == b'\n').take(MAX_LINES);
    lines.filter_map(|line| {
        let (kind, line) = line.split_first()?;
        let tab = line.iter().position(|byte| *byte == b'\t');
        let (name, rest) = tab.map_or((line, &b""[..]), |at| (&line[..at], &line[at + 1..]));
        Some(Line {
            kind: *kind,
            name,
            rest,
        })
    })
}

/// The archive of a script, compressed.
pub(crate) fn script_tar(script: &[u8]) -> Vec<u8> {
    let mut entries = Vec::new();
    for line in lines(script) {
        let (kind, data) = match line.kind {
            b'd' => (EntryType::Directory, &b""[..]),
            b'l' => (EntryType::Symlink, &b""[..]),
            b'h' => (EntryType::Link, &b""[..]),
            b'x' => (EntryType::Char, &b""[..]),
            _ => (EntryType::Regular, line.rest),
        };
        let is_link = matches!(kind, EntryType::Symlink | EntryType::Link);
        let mut long = |kind, text: &[u8]| {
            if text.len() > LONG {
                entries.push(TarEntry::new(b"././@LongLink", kind, text));
            }
        };
        long(EntryType::GNULongName, line.name);
        let short = |text: &'_ [u8]| text[..text.len().min(LONG)].to_vec();
        if is_link {
            long(EntryType::GNULongLink, line.rest);
            entries.push(TarEntry::link(short(line.name), kind, short(line.rest)));
        } else {
            entries.push(TarEntry::new(short(line.name), kind, data));
        }
    }
    compress(&tar(&entries))
}

/// The archive of a script.
pub(crate) fn script_zip(script: &[u8]) -> Vec<u8> {
    let entries: Vec<ZipEntry> = lines(script)
        .filter(|line| line.name.len() < usize::from(u16::MAX))
        .map(|line| match line.kind {
            b'd' => ZipEntry::new([line.name, b"/"].concat(), 0o040_755, b""),
            b'l' => ZipEntry::new(line.name, LINK, line.rest),
            b'x' => ZipEntry::new(line.name, 0o020_666, b""),
            _ => ZipEntry::new(line.name, FILE, line.rest),
        })
        .collect();
    zip(&entries)
}

/// A destination beside something that must not be touched.
pub(crate) struct Sandbox {
    runtime: Runtime,
    files: Files,
    dir: TempDir,
    /// Whether the destination is not as it was at the beginning.
    used: Cell<bool>,
    outside: BTreeMap<PathBuf, (u32, Vec<u8>)>,
    dest: BTreeMap<PathBuf, (u32, Vec<u8>)>,
}

impl Sandbox {
    /// In `base`, which had better be in memory: each archive is synced.
    pub(crate) fn new(base: &Path) -> Self {
        let dir = TempDir::new_in(base).unwrap();
        let path = |name: &str| dir.path().join(name);
        for name in ["outside/dir", "spool"] {
            fs::create_dir_all(path(name)).unwrap();
        }
        fs::write(path("outside/file"), "outside").unwrap();
        let mut config = Config::new(path("spool"));
        config.archive_limits.entries = MAX_ENTRIES;
        config.archive_limits.unpacked_bytes = MAX_BYTES;
        let mut sandbox = Self {
            runtime: Builder::new_current_thread().enable_time().build().unwrap(),
            files: Files::new(config),
            used: Cell::new(false),
            outside: BTreeMap::new(),
            dest: BTreeMap::new(),
            dir,
        };
        sandbox.prepare();
        sandbox.outside = sandbox.around();
        sandbox.dest = snapshot(&sandbox.path("dest"));
        sandbox
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn prepare(&self) {
        fs::create_dir_all(self.path("dest/dir")).unwrap();
        fs::write(self.path("dest/file"), "old").unwrap();
        symlink("../outside", self.path("dest/way")).unwrap();
        symlink("dir", self.path("dest/inner")).unwrap();
    }

    /// All that is not the destination.
    fn around(&self) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
        let mut found = snapshot(self.dir.path());
        found.retain(|path, _| !path.starts_with("dest/"));
        found
    }

    /// Unpacks, and fails if anything is not as it must be then. Returns whether it was taken.
    pub(crate) fn try_archive(&self, archive: &[u8], kind: ArchiveKind) -> bool {
        if self.used.replace(true) {
            remove(&self.path("dest"));
            self.prepare();
        }
        let dest = FsPath::parse(self.path("dest")).unwrap();
        let result = self.runtime.block_on(async {
            let mut spool = self.files.spool().await?;
            spool.write(Bytes::copy_from_slice(archive)).await?;
            self.files.unpack(spool.finish().await?, &dest, kind).await
        });
        assert!(self.around() == self.outside, "something outside changed");
        let after = snapshot(&self.path("dest"));
        match &result {
            Ok(done) => {
                assert!(done.entries <= MAX_ENTRIES, "{} entries", done.entries);
                self.check(&after);
            }
            Err(error) => {
                let refused = matches!(
                    error,
                    Error::BadArchive { .. } | Error::ArchiveTooLarge { .. } | Error::Os { .. }
                );
                assert!(refused, "{error:?}");
                assert!(after == self.dest, "refused, and changed: {error}");
                self.used.set(false);
            }
        }
        result.is_ok()
    }

    /// What may be in the destination when an archive was taken.
    fn check(&self, after: &BTreeMap<PathBuf, (u32, Vec<u8>)>) {
        let root = fs::canonicalize(self.path("dest")).unwrap();
        let mut bytes = 0;
        for (path, (mode, content)) in after {
            let name = path.file_name().unwrap();
            assert!(!is_temporary(name), "{} was left", path.display());
            match mode & 0o170_000 {
                0o100_000 => bytes += content.len() as u64,
                0o120_000 if path != Path::new("way") => {
                    // One that leads to nothing leads nowhere.
                    if let Ok(real) = fs::canonicalize(root.join(path)) {
                        let way = fs::canonicalize(self.path("outside")).unwrap();
                        assert!(
                            real.starts_with(&root),
                            "{} leads to {}",
                            path.display(),
                            real.display()
                        );
                        assert!(!real.starts_with(way));
                    }
                }
                0o040_000 | 0o120_000 => {}
                other => panic!("{} is {other:o}", path.display()),
            }
        }
        assert!(bytes <= MAX_BYTES + 3, "{bytes} bytes");
        assert!(after.len() <= 2 * MAX_ENTRIES + 2100, "{}", after.len());
    }
}

/// What is in a directory: modes, contents and targets.
fn snapshot(root: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let content = if metadata.is_symlink() {
                fs::read_link(&path)
                    .unwrap()
                    .into_os_string()
                    .into_encoded_bytes()
            } else if metadata.is_file() {
                fs::read(&path).unwrap()
            } else {
                Vec::new()
            };
            if metadata.is_dir() {
                left.push(path.clone());
            }
            let inner = path.strip_prefix(root).unwrap().to_owned();
            found.insert(inner, (metadata.mode(), content));
        }
    }
    found
}

/// Also what an archive has locked for users that are not root.
fn remove(dir: &Path) {
    if let Err(error) = fs::remove_dir_all(dir) {
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}");
        for path in snapshot(dir).keys() {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
            let _ = fs::set_permissions(dir.join(path), mode);
        }
        fs::remove_dir_all(dir).unwrap();
    }
}
