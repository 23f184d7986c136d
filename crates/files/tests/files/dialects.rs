//! Archives as other programs write them, which are unpacked as those programs would.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use browserd_files::ArchiveKind;
use tar::EntryType;

use crate::{
    forge::{FILE, TarEntry, ZipEntry, compress, tar, zip},
    support::{Place, unpack},
};

const TAR_KIND: ArchiveKind = ArchiveKind::TarZst {
    strip_components: 0,
};

/// Unpacks a tar archive into a place of its own.
async fn unpacked(entries: &[TarEntry]) -> Place {
    let place = Place::new();
    let archive = compress(&tar(entries));
    let done = unpack(&place.files, &archive, &place.root(), TAR_KIND).await;
    done.unwrap();
    place
}

fn file(name: &str, data: &[u8]) -> TarEntry {
    TarEntry::new(name, EntryType::Regular, data)
}

#[tokio::test]
async fn of_entries_with_one_name_the_last_counts() {
    let link = |name, target| TarEntry::link(name, EntryType::Symlink, target);
    let hard = |name, target| TarEntry::link(name, EntryType::Link, target);
    let place = unpacked(&[
        file("file", b"one"),
        file("file", b"second"),
        // Where it leads does not count, as it does not stay.
        link("link", "/etc/passwd"),
        file("link", b"a file now"),
        file("self", b"same"),
        hard("self", "self"),
        link("away", "file"),
        hard("also", "away"),
        file("over", b"gone"),
        hard("over", "file"),
        link("over", "self"),
    ])
    .await;
    let read = |name: &str| fs::read(place.path(name)).unwrap();
    assert_eq!(read("file"), b"second");
    assert_eq!(read("link"), b"a file now");
    assert!(!place.path("link").is_symlink());
    assert_eq!(read("self"), b"same");
    assert_eq!(
        fs::read_link(place.path("also")).unwrap(),
        Path::new("file")
    );
    assert_eq!(
        fs::read_link(place.path("over")).unwrap(),
        Path::new("self")
    );
}

#[tokio::test]
async fn times_before_1970_are_kept() {
    for seconds in [-1i64, -315_619_200] {
        let mut field = [0xff; 12];
        field[4..].copy_from_slice(&seconds.to_be_bytes());
        let place = unpacked(&[file("old", b"x").modified(field)]).await;
        assert_eq!(fs::metadata(place.path("old")).unwrap().mtime(), seconds);
    }
}

#[tokio::test]
async fn labels_increments_and_unknown_types() {
    let place = unpacked(&[
        TarEntry::new("backup of home", EntryType::new(b'V'), b""),
        TarEntry::new("dir/", EntryType::new(b'D'), b"Yf\0\0"),
        file("dir/f", b"x"),
        TarEntry::new("other", EntryType::new(b'Z'), b"data"),
    ])
    .await;
    assert_eq!(place.names(), ["dir", "dir/f", "other"]);
    assert_eq!(fs::read(place.path("dir/f")).unwrap(), b"x");
    assert_eq!(fs::read(place.path("other")).unwrap(), b"data");
}

async fn unzipped(entries: &[ZipEntry]) -> Place {
    let place = Place::new();
    let archive = zip(entries);
    let done = unpack(&place.files, &archive, &place.root(), ArchiveKind::Zip).await;
    done.unwrap();
    place
}

#[tokio::test]
async fn of_zip_entries_with_one_name_the_last_counts() {
    let place = unzipped(&[
        ZipEntry::new("d/", 0o040_755, b""),
        ZipEntry::new("d/f", FILE, b"one"),
        ZipEntry::new("d/", 0o040_755, b""),
        ZipEntry::new("d/f", FILE, b"second"),
    ])
    .await;
    assert_eq!(fs::read(place.path("d/f")).unwrap(), b"second");
    let place = unzipped(&[
        ZipEntry::new("g", FILE, b"one"),
        ZipEntry::new("./g", FILE, b"second"),
    ])
    .await;
    assert_eq!(fs::read(place.path("g")).unwrap(), b"second");
}

#[tokio::test]
async fn a_slash_makes_a_directory_of_zip() {
    for mode in [FILE, 0xffff, 0, 0o040_755] {
        let place = unzipped(&[
            ZipEntry::new("/", 0, b"").on_dos(),
            ZipEntry::new("empty/", mode, b""),
        ])
        .await;
        assert_eq!(place.names(), ["empty"]);
        let mode = fs::metadata(place.path("empty")).unwrap().mode();
        assert_eq!(mode & 0o177_777, 0o040_755);
    }
}

#[tokio::test]
async fn backslashes_of_dos_are_slashes() {
    let place = unzipped(&[
        ZipEntry::new("folder\\sub\\", 0, b"").on_dos(),
        ZipEntry::new("folder\\sub\\f.txt", 0, b"x").on_dos(),
        ZipEntry::new("of\\unix", FILE, b"x"),
    ])
    .await;
    assert_eq!(
        place.names(),
        ["folder", "folder/sub", "folder/sub/f.txt", "of\\unix"]
    );
}

#[tokio::test]
async fn what_is_not_supported_is_not_called_damaged() {
    let place = Place::new();
    let mut entry = ZipEntry::new("f", FILE, b"x");
    entry.method = 12;
    let archive = zip(&[entry]);
    let refused = unpack(&place.files, &archive, &place.root(), ArchiveKind::Zip).await;
    let said = refused.unwrap_err().to_string();
    assert!(
        said.contains("\"f\"") && said.contains("not supported"),
        "{said}"
    );
    assert!(!said.contains("damaged"), "{said}");
}
