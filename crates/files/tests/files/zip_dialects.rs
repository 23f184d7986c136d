//! What writers and readers of zip archives expect of each other.

use std::{fs, os::unix::fs::MetadataExt};

use browserd_files::{ArchiveKind, Error, PackFormat};

use crate::{
    forge::{FILE, LINK, ZipEntry, zip},
    support::{Place, noise, pack, unpack},
};

async fn unpacked(archive: &[u8]) -> Place {
    let place = Place::new();
    let done = unpack(&place.files, archive, &place.root(), ArchiveKind::Zip).await;
    done.unwrap();
    place
}

async fn refused(archive: &[u8]) -> String {
    let place = Place::new();
    let done = unpack(&place.files, archive, &place.root(), ArchiveKind::Zip).await;
    assert!(place.names().is_empty());
    match done {
        Err(error @ Error::BadArchive { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

/// Readers that cannot seek find the end of an entry by its size, or by what deflate says.
#[tokio::test]
async fn a_packed_archive_can_be_read_as_a_stream() {
    let place = Place::new();
    fs::create_dir_all(place.path("src/dir")).unwrap();
    fs::write(place.path("src/empty"), "").unwrap();
    fs::write(place.path("src/noise"), noise(10_000, 1)).unwrap();
    fs::write(place.path("src/text"), "text ".repeat(1000)).unwrap();
    fs::write(place.path("src/large"), noise(3_000_000, 1)).unwrap();
    std::os::unix::fs::symlink("text", place.path("src/link")).unwrap();
    let archive = pack(&place.files, &place.path("src"), PackFormat::Zip)
        .await
        .unwrap();
    let mut stream = &archive[..];
    let mut names = Vec::new();
    while let Some(entry) = zip::read::read_zipfile_from_stream(&mut stream).unwrap_or_else(|_| {
        // The crate streams no entry whose sizes are behind it.
        None
    }) {
        names.push(entry.name().unwrap().into_owned());
    }
    assert_eq!(names, ["dir/", "empty"], "and then the large one");
    let mut whole = zip::ZipArchive::new(std::io::Cursor::new(&archive)).unwrap();
    for index in 0..whole.len() {
        let entry = whole.by_index_raw(index).unwrap();
        let at = usize::try_from(entry.header_start()).unwrap();
        let behind = archive[at + 6] & 8 != 0;
        let name = entry.name().unwrap().into_owned();
        assert_eq!(behind, name == "large", "{name}");
        let stored = entry.compression() == zip::CompressionMethod::Stored;
        let expected = !matches!(name.as_str(), "text" | "large");
        assert_eq!(stored, expected, "{name}");
    }
}

/// As `unzip` has it: the last end record counts, wherever what it says is.
#[tokio::test]
async fn of_two_end_records_the_last_counts() {
    let one = zip(&[ZipEntry::new("one", FILE, b"1")]);
    let end = &one[one.len() - 22..];
    let twice = [&one[..], end].concat();
    assert_eq!(unpacked(&twice).await.names(), ["one"]);
    let two = zip(&[ZipEntry::new("two", FILE, b"2")]);
    let both = [&one[..], &two].concat();
    assert_eq!(unpacked(&both).await.names(), ["two"]);
    let junk = [&one[..one.len() - 22], b"junk", end].concat();
    assert_eq!(unpacked(&junk).await.names(), ["one"]);
}

#[tokio::test]
async fn the_last_of_many_counts_in_whatever_words() {
    let place = unpacked(&zip(&[
        ZipEntry::new("d/f", FILE, b"one"),
        ZipEntry::new("./d//f", FILE, b"two"),
        ZipEntry::new("d/f", FILE, b"three"),
        ZipEntry::new("d\\g", FILE, b"one").on_dos(),
        ZipEntry::new("d/g", LINK, b"f"),
        ZipEntry::new("d/g", FILE, b"last"),
    ]))
    .await;
    assert_eq!(place.names(), ["d", "d/f", "d/g"]);
    assert_eq!(fs::read(place.path("d/f")).unwrap(), b"three");
    assert_eq!(fs::read(place.path("d/g")).unwrap(), b"last");
}

#[tokio::test]
async fn names_and_modes_are_those_of_where_it_was_made() {
    let place = unpacked(&zip(&[
        ZipEntry::new(b"caf\x82", 0, b"x").on_dos().with_flags(0),
        ZipEntry::new("tool", 0o104_755, b"x"),
    ]))
    .await;
    assert_eq!(place.names(), ["café", "tool"]);
    let mode = |name: &str| fs::metadata(place.path(name)).unwrap().mode() & 0o7777;
    assert_eq!((mode("café"), mode("tool")), (0o644, 0o4755));
}

#[tokio::test]
async fn what_is_not_supported_is_named() {
    for (method, name) in [
        (9, "Deflate64"),
        (12, "bzip2"),
        (14, "LZMA"),
        (93, "Zstandard"),
        (99, "encrypted"),
        (77, "method 77"),
    ] {
        let mut entry = ZipEntry::new("f", FILE, b"x");
        entry.method = method;
        let said = refused(&zip(&[ZipEntry::new("good", FILE, b"x"), entry])).await;
        assert!(
            said.contains(name) && said.contains("not supported"),
            "{said}"
        );
    }
    let encrypted = ZipEntry::new("f", FILE, b"x").with_flags(1);
    let said = refused(&zip(&[encrypted])).await;
    assert!(said.contains("encrypted, which is not supported"), "{said}");
}
