//! Zip archives that are larger than zip was made for, and those that lie about how large.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::Path,
};

use browserd_files::{ArchiveKind, Error, PackFormat, Unpacked};
use futures_util::TryStreamExt;
use tokio::process::Command;

use crate::{
    forge::{FILE, ZipEntry, zip},
    support::{Place, fs_path, unpack},
};

/// The end record without a comment, the locator of zip64 and its record.
const END: usize = 22;
const LOCATOR: usize = 20;
const END64: usize = 56;

async fn unpacked(place: &Place, archive: &[u8]) -> Result<Unpacked, Error> {
    unpack(&place.files, archive, &place.path("dest"), ArchiveKind::Zip).await
}

fn small() -> Vec<u8> {
    zip(&["a", "b", "c"].map(|name| ZipEntry::new(name, FILE, name.as_bytes())))
}

/// The same with records of zip64, and an end record that leaves everything to them.
fn small64(entries: u64) -> Vec<u8> {
    let mut archive = small();
    let end = archive.split_off(archive.len() - END);
    let field = |at: usize| u64::from(u32::from_le_bytes(end[at..at + 4].try_into().unwrap()));
    let position = archive.len() as u64;
    archive.extend(b"PK\x06\x06");
    archive.extend(44u64.to_le_bytes());
    archive.extend([45, 3, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for value in [entries, entries, field(12), field(16)] {
        archive.extend(value.to_le_bytes());
    }
    archive.extend(b"PK\x06\x07\0\0\0\0");
    archive.extend(position.to_le_bytes());
    archive.extend(1u32.to_le_bytes());
    archive.extend(b"PK\x05\x06\0\0\0\0");
    archive.extend([0xff; 12]);
    archive.extend([0; 2]);
    archive
}

/// Writes a number over what an archive says at a place counted from its end.
fn with(mut archive: Vec<u8>, from_end: usize, bytes: &[u8]) -> Vec<u8> {
    let at = archive.len() - from_end;
    archive[at..at + bytes.len()].copy_from_slice(bytes);
    archive
}

#[tokio::test]
async fn directories_that_are_not_what_they_say() {
    let place = Place::new();
    let counted = |count: u16| with(small(), END - 8, &[count.to_le_bytes(); 2].concat());
    let mut both = small64(3);
    both.extend([0; 7]);
    let mut commented = with(small(), 2, &9u16.to_le_bytes());
    commented.extend(b"PK\x05\x06 then");
    for (what, archive) in [
        ("as it is", small()),
        ("in the words of zip64", small64(3)),
        (
            "with something before it",
            [b"#!/bin/sh\n".to_vec(), small()].concat(),
        ),
        ("both", [b"#!/bin/sh\n".to_vec(), both].concat()),
        ("with a comment", commented),
    ] {
        let done = unpacked(&place, &archive).await;
        assert_eq!(done.expect(what).entries, 3, "{what}");
    }
    let before = place.names();
    let second = END + LOCATOR + END64;
    for (what, archive) in [
        ("fewer entries", counted(2)),
        ("no entries", counted(0)),
        ("more entries", counted(4)),
        ("many more entries", counted(60_000)),
        ("fewer entries of zip64", small64(2)),
        ("more entries of zip64", small64(99_999)),
        (
            "a longer directory",
            with(small(), END - 12, &[0xf0, 0xff, 0, 0]),
        ),
        (
            "a shorter directory",
            with(small(), END - 12, &[60, 0, 0, 0]),
        ),
        (
            "a directory elsewhere",
            with(small(), END - 16, &[0xff, 0, 0, 0]),
        ),
        ("another disk", with(small(), END - 4, &[1, 0])),
        (
            "a record elsewhere",
            with(small64(3), END + LOCATOR - 8, &[0; 8]),
        ),
        ("a long record", with(small64(3), second - 4, &[0xff; 8])),
        ("two counts", {
            let counts = [2u16.to_le_bytes(); 2].concat();
            let zero = with(small64(3), END - 8, &counts);
            with(zero, END - 12, &[0; 8])
        }),
    ] {
        let refused = unpacked(&place, &archive).await;
        assert!(
            matches!(refused, Err(Error::BadArchive { .. })),
            "{what}: {refused:?}"
        );
        assert_eq!(place.names(), before, "{what}");
    }
}

/// What an archive says to have is believed to its disadvantage: these have three entries only,
/// and would be refused as damaged if anything of their directory were looked at.
#[tokio::test]
async fn counts_past_the_limit_are_refused_before_the_directory_is_read() {
    let place = Place::new();
    let few = Place::with(|config| config.archive_limits.entries = 2);
    for archive in [u64::MAX, 1 << 40, 200_000, 100_001].map(small64) {
        let refused = unpacked(&place, &archive).await;
        assert!(
            matches!(refused, Err(Error::ArchiveTooLarge { .. })),
            "{refused:?}"
        );
    }
    for archive in [small(), small64(3)] {
        let refused = unpacked(&few, &archive).await;
        assert!(
            matches!(refused, Err(Error::ArchiveTooLarge { .. })),
            "{refused:?}"
        );
    }
    // A directory that is long for its comments, which stand in the archive as they are.
    let mut archive = small();
    archive.truncate(archive.len() - END);
    let long = 80 * 1024 * 1024u32;
    let start = u32::try_from(archive.len()).unwrap();
    archive.resize(archive.len() + long as usize, b'x');
    archive.extend(b"PK\x05\x06\0\0\0\0\x05\0\x05\0");
    archive.extend(long.to_le_bytes());
    archive.extend(start.to_le_bytes());
    archive.extend([0; 2]);
    let refused = unpacked(&place, &archive).await;
    assert!(
        matches!(refused, Err(Error::ArchiveTooLarge { .. })),
        "{refused:?}"
    );
    assert!(place.names().is_empty());
}

fn names(dir: &Path) -> BTreeSet<std::ffi::OsString> {
    let entries = fs::read_dir(dir).unwrap();
    entries.map(|entry| entry.unwrap().file_name()).collect()
}

async fn run(program: &str, args: &[&str], dir: &Path) {
    let mut command = Command::new(program);
    let status = command.args(args).current_dir(dir).status().await.unwrap();
    assert!(status.success(), "{program} {args:?}: {status}");
}

/// Zip counts to 65,534; zip64 goes on.
#[tokio::test]
async fn more_entries_than_zip_can_count() {
    let place = Place::in_memory();
    fs::create_dir(place.path("src")).unwrap();
    for index in 0..65_600 {
        File::create(place.path(&format!("src/{index}"))).unwrap();
    }
    let expected = names(&place.path("src"));
    let packed = place
        .files
        .pack(&fs_path(&place.path("src")), PackFormat::Zip)
        .await
        .unwrap();
    let chunks: Vec<bytes::Bytes> = packed.try_collect().await.unwrap();
    let ours = chunks.concat();
    fs::write(place.path("ours.zip"), &ours).unwrap();
    fs::create_dir(place.path("theirs")).unwrap();
    run("unzip", &["-q", "../ours.zip"], &place.path("theirs")).await;
    assert!(names(&place.path("theirs")) == expected);
    assert_eq!(unpacked(&place, &ours).await.unwrap().entries, 65_600);
    assert!(names(&place.path("dest")) == expected);

    fs::remove_dir_all(place.path("dest")).unwrap();
    let args = ["-q", "-1", "-r", "../theirs.zip", "."];
    run("zip", &args, &place.path("src")).await;
    let theirs = fs::read(place.path("theirs.zip")).unwrap();
    unpacked(&place, &theirs).await.unwrap();
    assert!(names(&place.path("dest")) == expected);
}

/// Sizes of zip have 32 bits; the extra field 1 has what is larger, or could have been.
#[tokio::test]
async fn sizes_are_taken_from_the_fields_of_zip64() {
    let place = Place::new();
    let content = b"not that large after all";
    let mut archive = zip(&[ZipEntry::new("large", FILE, content)]);
    let start = archive.len() - END - 46 - "large".len();
    let size = (content.len() as u64).to_le_bytes();
    let field = [&[1, 0, 16, 0][..], &size, &size].concat();
    // In the header of the directory: both sizes, and the length of the extra fields.
    archive[start + 20..start + 28].fill(0xff);
    archive[start + 30] = 20;
    let end = archive.len() - END;
    archive.splice(end..end, field);
    let length = u32::try_from(46 + "large".len() + 20).unwrap();
    let archive = with(archive, END - 12, &length.to_le_bytes());
    unpacked(&place, &archive).await.unwrap();
    assert_eq!(fs::read(place.path("dest/large")).unwrap(), content);
}

/// As above with a file that is as large: it takes more than a minute and 4 GiB of disk.
#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "it is the tests' own variable, not a setting"
)]
async fn a_file_larger_than_zip_can_say() {
    const BYTES: u64 = (4 << 30) + 5;
    if std::env::var_os("TEST_LONG").is_none() {
        eprintln!("TEST_LONG is not set: skipped");
        return;
    }
    let place = Place::new();
    fs::create_dir(place.path("src")).unwrap();
    let large = File::create(place.path("src/large")).unwrap();
    large.set_len(BYTES).unwrap();
    fs::write(place.path("src/next"), "behind it").unwrap();
    let packed = place
        .files
        .pack(&fs_path(&place.path("src")), PackFormat::Zip)
        .await
        .unwrap();
    let chunks: Vec<bytes::Bytes> = packed.try_collect().await.unwrap();
    let ours = chunks.concat();
    fs::write(place.path("ours.zip"), &ours).unwrap();
    run("unzip", &["-qq", "-t", "ours.zip"], &place.root()).await;
    unpacked(&place, &ours).await.unwrap();
    let unpacked = place.path("dest/large");
    assert_eq!(fs::metadata(&unpacked).unwrap().size(), BYTES);
    assert_eq!(fs::read(place.path("dest/next")).unwrap(), b"behind it");
}
