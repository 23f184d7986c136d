//! Packing what changes meanwhile, and what cannot be read.

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use browserd_files::{
    ArchiveKind, Compression, Error, Omitted, OsKind, PackFormat, PackOptions, Packed,
};
use futures_util::StreamExt;

use crate::support::{Mount, Place, fs_path, may_mount, noise, tree, unpack};

const TAR: PackFormat = PackFormat::TarZst(Compression::Default);
const FORMATS: [(PackFormat, ArchiveKind); 2] = [
    (
        TAR,
        ArchiveKind::TarZst {
            strip_components: 0,
        },
    ),
    (PackFormat::Zip, ArchiveKind::Zip),
];

/// Reads the rest; returns the bytes, and what they lack.
async fn rest(packed: Packed) -> Result<(Vec<u8>, Omitted), Error> {
    rest_behind(Vec::new(), packed).await
}

async fn rest_behind(mut bytes: Vec<u8>, mut packed: Packed) -> Result<(Vec<u8>, Omitted), Error> {
    while let Some(chunk) = packed.next().await {
        bytes.extend_from_slice(&chunk?);
    }
    Ok((bytes, packed.omitted().clone()))
}

async fn unpacked(place: &Place, archive: &[u8], kind: ArchiveKind) -> Vec<String> {
    let out = place.path("out");
    let _ = fs::remove_dir_all(&out);
    unpack(&place.files, archive, &out, kind).await.unwrap();
    tree(&out).into_keys().collect()
}

/// Nobody reads until it has changed: so much is not held on the way.
#[tokio::test]
async fn what_vanishes_is_left_out_and_told() {
    for (format, kind) in FORMATS {
        let place = Place::new();
        let src = place.path("src");
        fs::create_dir_all(src.join("2/deep")).unwrap();
        fs::write(src.join("1"), noise(30_000_000, 1)).unwrap();
        fs::write(src.join("2/deep/file"), "").unwrap();
        fs::write(src.join("3"), "").unwrap();
        fs::write(src.join("4"), "stays").unwrap();
        let path = fs_path(&src);
        let mut lenient = place.files.pack(&path, format).await.unwrap();
        let strict = PackOptions {
            format,
            strict: true,
        };
        let mut strict = place.files.pack(&path, strict).await.unwrap();
        // From here on the directory has been listed.
        let first = lenient.next().await.unwrap().unwrap().to_vec();
        strict.next().await.unwrap().unwrap();
        fs::remove_file(src.join("3")).unwrap();
        fs::remove_dir_all(src.join("2")).unwrap();
        let (bytes, omitted) = rest_behind(first, lenient).await.unwrap();
        assert_eq!(omitted.count, 2);
        assert_eq!(omitted.names, [PathBuf::from("2"), PathBuf::from("3")]);
        assert_eq!(unpacked(&place, &bytes, kind).await, ["1", "4"]);
        match rest(strict).await {
            Err(error) => assert_eq!(error.os_kind(), Some(OsKind::NotFound)),
            Ok((_, omitted)) => panic!("{omitted:?}"),
        }
    }
}

/// Root can read everything but what the kernel does not give.
#[tokio::test]
async fn what_cannot_be_read_is_left_out_and_told() {
    let place = Place::new();
    let src = place.path("src");
    fs::create_dir_all(src.join("locked")).unwrap();
    fs::write(src.join("file"), "x").unwrap();
    fs::write(src.join("other"), "secret").unwrap();
    let root = may_mount();
    let mount = if root {
        // Whoever reads it is told that it cannot be.
        Some(Mount::bind(Path::new("/proc/self/mem"), &src.join("other")))
    } else {
        for name in ["locked", "other"] {
            fs::set_permissions(src.join(name), Permissions::from_mode(0o000)).unwrap();
        }
        None
    };
    for (format, kind) in FORMATS {
        let packed = place.files.pack(&fs_path(&src), format).await.unwrap();
        let (bytes, omitted) = rest(packed).await.unwrap();
        assert!(
            omitted.names.contains(&PathBuf::from("other")),
            "{omitted:?}"
        );
        assert_eq!(omitted.count, if root { 1 } else { 2 });
        assert_eq!(unpacked(&place, &bytes, kind).await, ["file", "locked"]);
    }
    drop(mount);
    let _ = fs::set_permissions(src.join("locked"), Permissions::from_mode(0o700));
}

/// It comes out as it is in the end, not filled up with anything.
#[tokio::test]
async fn a_file_that_becomes_shorter_is_packed_as_it_is_then() {
    for (format, kind) in FORMATS {
        let place = Place::new();
        let src = place.path("src");
        fs::create_dir(&src).unwrap();
        fs::write(src.join("0"), noise(1000, 1)).unwrap();
        let content = noise(40_000_000, 2);
        fs::write(src.join("large"), &content).unwrap();
        let mut packed = place.files.pack(&fs_path(&src), format).await.unwrap();
        let bytes = packed.next().await.unwrap().unwrap().to_vec();
        let large = File::options().write(true).open(src.join("large")).unwrap();
        large.set_len(100).unwrap();
        let (bytes, omitted) = rest_behind(bytes, packed).await.unwrap();
        assert_eq!(omitted.count, 0);
        assert_eq!(unpacked(&place, &bytes, kind).await, ["0", "large"]);
        let out = fs::read(place.path("out/large")).unwrap();
        assert!(content.starts_with(&out), "{format:?}: {} bytes", out.len());
        assert!(out.len() < content.len());
        // Tar has it from its beginning to its end; zip as far as it was read.
        assert!(format == PackFormat::Zip || out.len() == 100);
    }
}

/// Broken off, or nothing at all: never an archive that looks whole.
#[tokio::test]
async fn a_file_that_goes_in_the_middle_ends_the_tar() {
    let place = Place::new();
    let src = place.path("src");
    fs::create_dir(&src).unwrap();
    fs::write(src.join("large"), noise(40_000_000, 2)).unwrap();
    let mut packed = place.files.pack(&fs_path(&src), TAR).await.unwrap();
    let mut bytes = packed.next().await.unwrap().unwrap().to_vec();
    let large = File::options().write(true).open(src.join("large")).unwrap();
    fs::remove_file(src.join("large")).unwrap();
    large.set_len(100).unwrap();
    let mut failed = None;
    while let Some(chunk) = packed.next().await {
        match chunk {
            Ok(chunk) => bytes.extend_from_slice(&chunk),
            Err(error) => failed = Some(error),
        }
    }
    assert!(matches!(failed, Some(Error::Changed { .. })), "{failed:?}");
    let (_, kind) = FORMATS[0];
    let refused = unpack(&place.files, &bytes, &place.path("out"), kind).await;
    assert!(
        matches!(refused, Err(Error::BadArchive { .. })),
        "{refused:?}"
    );
    assert!(!place.path("out").exists());
}

/// Names are bytes, in both archives and both ways.
#[tokio::test]
async fn names_that_are_not_utf8_go_both_ways() {
    use std::os::unix::{ffi::OsStrExt, fs::symlink};
    let place = Place::new();
    let src = place.path("src");
    let latin = std::ffi::OsStr::from_bytes(b"caf\xe9");
    fs::create_dir_all(src.join(latin)).unwrap();
    fs::write(src.join(latin).join("naïve"), "x").unwrap();
    fs::write(src.join("plain"), "y").unwrap();
    symlink(latin, src.join("link")).unwrap();
    for (format, kind) in FORMATS {
        let packed = place.files.pack(&fs_path(&src), format).await.unwrap();
        let (bytes, omitted) = rest(packed).await.unwrap();
        assert_eq!(omitted, Omitted::default());
        let out = place.path("out");
        let _ = fs::remove_dir_all(&out);
        unpack(&place.files, &bytes, &out, kind).await.unwrap();
        assert_eq!(fs::read(out.join(latin).join("naïve")).unwrap(), b"x");
        assert_eq!(fs::read_link(out.join("link")).unwrap(), Path::new(latin));
        assert_eq!(fs::read_dir(&out).unwrap().count(), 3);
    }
}
