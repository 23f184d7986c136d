//! Archives made to do harm: refused as a whole, with nothing changed anywhere.

mod odd;

use std::{fs, io::Write, os::unix::fs::symlink, path::Path};

use browserd_files::{ArchiveKind, Error, PackFormat};
use tar::EntryType;

use crate::{
    forge::{FILE, LINK, TarEntry, ZipEntry, compress, pax, tar, zip},
    support::{Place, contents, pack, unpack},
};

const TAR_KIND: ArchiveKind = ArchiveKind::TarZst {
    strip_components: 0,
};

/// Names that lead out, or would on another system.
const BAD_NAMES: [&str; 12] = [
    "../evil",
    "a/../../evil",
    "a/..",
    "/tmp/evil",
    "//evil",
    "..",
    "./../evil",
    "..\\evil",
    "a\\..\\..\\evil",
    "C:\\evil",
    "\\evil",
    "a/b/../../../evil",
];

/// A destination with something in it, beside something that must not be touched.
fn prepared() -> Place {
    prepared_in(Place::new())
}

fn prepared_in(place: Place) -> Place {
    fs::create_dir_all(place.path("dest/dir")).unwrap();
    fs::write(place.path("dest/file"), "old").unwrap();
    fs::create_dir(place.path("outside")).unwrap();
    fs::write(place.path("outside/file"), "outside").unwrap();
    symlink("../outside", place.path("dest/way")).unwrap();
    place
}

#[track_caller]
#[expect(
    clippy::needless_pass_by_value,
    reason = "what a call gave is given on"
)]
fn assert_bad<T: std::fmt::Debug>(what: &str, result: Result<T, Error>) {
    assert!(
        matches!(result, Err(Error::BadArchive { .. })),
        "{what}: {result:?}"
    );
}

#[track_caller]
#[expect(
    clippy::needless_pass_by_value,
    reason = "what a call gave is given on"
)]
fn assert_large<T: std::fmt::Debug>(what: &str, result: Result<T, Error>) {
    assert!(
        matches!(result, Err(Error::ArchiveTooLarge { .. })),
        "{what}: {result:?}"
    );
}

/// Each is refused and leaves everything as it was, without litter.
async fn all_refused(kind: ArchiveKind, archives: Vec<(String, Vec<u8>)>) {
    let place = prepared();
    let before = contents(&place.root());
    for (what, archive) in archives {
        assert_bad(
            &what,
            unpack(&place.files, &archive, &place.path("dest"), kind).await,
        );
        assert_bad(
            &what,
            unpack(&place.files, &archive, &place.path("new/deep"), kind).await,
        );
        assert!(
            contents(&place.root()) == before,
            "{what}: something was changed"
        );
    }
    assert!(!place.names().is_empty());
}

#[tokio::test]
async fn bad_zip_archives() {
    let good = || ZipEntry::new("good", FILE, b"good");
    let mut archives: Vec<(String, Vec<u8>)> = BAD_NAMES
        .iter()
        .map(|name| {
            (
                format!("name {name}"),
                zip(&[good(), ZipEntry::new(name, FILE, b"evil")]),
            )
        })
        .collect();
    let long = "n".repeat(300);
    let mut add = |what: &str, entries: &[ZipEntry]| archives.push((what.to_owned(), zip(entries)));
    let link = |name, target: &str| ZipEntry::new(name, LINK, target.as_bytes());
    let file = |name| ZipEntry::new(name, FILE, b"evil");
    add("a link out", &[good(), link("l", "../outside")]);
    add("an absolute link", &[link("l", "/etc/passwd")]);
    add(
        "a link out by another",
        &[
            ZipEntry::new("d/", 0o040_755, b""),
            link("d/top", ".."),
            link("l", "d/top/.."),
        ],
    );
    add("a link and through it", &[link("l", "dir"), file("l/evil")]);
    add("through it and a link", &[file("l/evil"), link("l", "dir")]);
    add("a file and below it", &[file("f"), file("f/evil")]);
    add("a name of a directory with content", &[file("d/")]);
    add(
        "a directory and a file",
        &[ZipEntry::new("d/", 0o040_755, b""), file("d")],
    );
    add("a device", &[ZipEntry::new("null", 0o020_666, b"")]);
    add("a pipe", &[ZipEntry::new("pipe", 0o010_666, b"")]);
    add("a link to nothing", &[link("l", "")]);
    add("a link with a NUL", &[link("l", "a\0b")]);
    add("a long name", &[file(&long)]);
    let wrong = |change: fn(&mut ZipEntry)| {
        let mut entry = ZipEntry::new("wrong", FILE, &[b'x'; 1000]);
        change(&mut entry);
        zip(&[good(), entry])
    };
    archives.push(("too long by its size".into(), wrong(|it| it.size = 10)));
    archives.push(("too short by its size".into(), wrong(|it| it.size = 2000)));
    archives.push(("another checksum".into(), wrong(|it| it.crc ^= 1)));
    archives.push(("encrypted".into(), wrong(|it| it.flags |= 1)));
    archives.push(("an unknown method".into(), wrong(|it| it.method = 77)));
    archives.push(("bzip2".into(), wrong(|it| it.method = 12)));
    let whole = zip(&[good(), file("other")]);
    for cut in [0, 1, 10, whole.len() / 2, whole.len() - 1] {
        archives.push((format!("{cut} bytes of it"), whole[..cut].to_vec()));
    }
    archives.push(("no archive".into(), vec![b'x'; 10_000]));
    all_refused(ArchiveKind::Zip, archives).await;
}

#[tokio::test]
async fn bad_tar_archives() {
    let good = || TarEntry::new("good", EntryType::Regular, b"good");
    let mut archives: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |what: &str, entries: &[TarEntry]| {
        archives.push((what.to_owned(), compress(&tar(entries))));
    };
    let file = |name: &str| TarEntry::new(name, EntryType::Regular, b"evil");
    let link = |name: &str, target: &str| TarEntry::link(name, EntryType::Symlink, target);
    let hard = |name: &str, target: &str| TarEntry::link(name, EntryType::Link, target);
    let dir = |name: &str| TarEntry::new(name, EntryType::Directory, b"");
    for name in BAD_NAMES {
        add(&format!("name {name}"), &[good(), file(name)]);
        add(&format!("hard link to {name}"), &[good(), hard("l", name)]);
    }
    add("a link out", &[good(), link("l", "../outside")]);
    add("an absolute link", &[link("l", "/etc/passwd")]);
    add(
        "a link out by another",
        &[dir("d"), link("d/top", ".."), link("l", "d/top/..")],
    );
    add(
        "a link and through it",
        &[dir("d"), link("l", "d"), file("l/evil")],
    );
    add("a file and below it", &[file("f"), file("f/evil")]);
    add("a file, then a directory", &[file("twice"), dir("twice")]);
    add("a directory, then a file", &[dir("twice"), file("twice")]);
    add(
        "a file, then a link out",
        &[file("twice"), link("twice", "../outside")],
    );
    add("a hard link to a directory", &[dir("d"), hard("b", "d")]);
    add("a hard link to what is not there", &[hard("l", "file")]);
    add(
        "a hard link to a link, which leads out from there",
        &[dir("d"), link("d/a", "../good"), hard("b", "d/a")],
    );
    for kind in [EntryType::Char, EntryType::Block, EntryType::Fifo] {
        add(
            &format!("{kind:?}"),
            &[good(), TarEntry::new("node", kind, b"")],
        );
    }
    let whole = tar(&[good(), file("other")]);
    let packed = compress(&whole);
    for cut in [0, 1, 10, packed.len() / 2, packed.len() - 1] {
        archives.push((format!("{cut} bytes of it"), packed[..cut].to_vec()));
    }
    // Whole as a compressed stream, but not as what is in it: also between two entries.
    for cut in [100, 512, 600, 1024, 1536, 2048] {
        archives.push((
            format!("{cut} bytes of the inner one"),
            compress(&whole[..cut]),
        ));
    }
    let mut flipped = packed.clone();
    flipped[packed.len() / 2] ^= 0x55;
    archives.push(("a changed byte".into(), flipped));
    archives.push(("no archive".into(), vec![b'x'; 10_000]));
    // An extended header as long as it likes.
    let long = TarEntry::new("x", EntryType::GNULongName, &vec![b'a'; 8 * 1024 * 1024]);
    archives.push(("a long header".into(), compress(&tar(&[long, good()]))));
    all_refused(TAR_KIND, archives).await;
}

/// What would come out as something else than it was.
#[tokio::test]
async fn tar_entries_that_are_not_supported() {
    let mut archives: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |what: &str, entries: &[TarEntry]| {
        archives.push((what.to_owned(), compress(&tar(entries))));
    };
    for kind in *b"AEIMN" {
        let kind = EntryType::new(kind);
        add(&format!("{kind:?}"), &[TarEntry::new("f", kind, b"")]);
    }
    let file = TarEntry::new("f", EntryType::Regular, b"packed");
    for key in ["major", "map", "size", "numblocks"] {
        let records = pax(&[(&format!("GNU.sparse.{key}"), b"1")]);
        let extended = TarEntry::new("PaxHeaders/x", EntryType::XHeader, &records);
        add(&format!("sparse by {key}"), &[extended, file.clone()]);
    }
    all_refused(TAR_KIND, archives).await;
}

/// The destination has a link that leads out, which the archive knows of.
#[tokio::test]
async fn links_that_are_there_are_not_followed() {
    let place = prepared();
    let before = contents(&place.root());
    let way = TarEntry::new("way/file", EntryType::Regular, b"evil");
    let dir = TarEntry::new("way", EntryType::Directory, b"");
    let link = TarEntry::link("l", EntryType::Symlink, "way/file");
    for entry in [way, dir, link] {
        let archive = compress(&tar(&[entry]));
        assert_bad(
            "tar",
            unpack(&place.files, &archive, &place.path("dest"), TAR_KIND).await,
        );
    }
    let archive = zip(&[ZipEntry::new("way/file", FILE, b"evil")]);
    let kind = ArchiveKind::Zip;
    assert_bad(
        "zip",
        unpack(&place.files, &archive, &place.path("dest"), kind).await,
    );
    assert!(contents(&place.root()) == before);
}

#[tokio::test]
async fn bombs() {
    let place = prepared();
    let before = contents(&place.root());
    // About 42 KB of deflate, or 4 KB of Zstandard.
    let zeros = vec![0; 43_000_000];
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_level(Some(9));
    zip.start_file("zeros", options).unwrap();
    zip.write_all(&zeros).unwrap();
    let zip = zip.finish().unwrap().into_inner();
    assert!(zip.len() < 45_000, "{}", zip.len());
    let tar = compress(&tar(&[TarEntry::new("zeros", EntryType::Regular, &zeros)]));
    for (archive, kind) in [(zip, ArchiveKind::Zip), (tar, TAR_KIND)] {
        let refused = unpack(&place.files, &archive, &place.path("dest"), kind).await;
        assert_large("a bomb", refused);
        assert!(contents(&place.root()) == before);
    }
}

#[tokio::test]
async fn archives_past_the_limits() {
    let place = prepared_in(Place::in_memory());
    let before = contents(&place.root());
    let names: Vec<String> = (0..200_000).map(|index| format!("{index}")).collect();
    let entries: Vec<ZipEntry> = names
        .iter()
        .map(|name| ZipEntry::new(name, FILE, b""))
        .collect();
    let refused = unpack(
        &place.files,
        &zip(&entries),
        &place.path("dest"),
        ArchiveKind::Zip,
    )
    .await;
    assert_large("200,000 entries of zip", refused);
    let directory = |name: &String| TarEntry::new(name, EntryType::Directory, b"");
    let entries: Vec<TarEntry> = names.iter().map(directory).collect();
    let refused = unpack(
        &place.files,
        &compress(&tar(&entries)),
        &place.path("dest"),
        TAR_KIND,
    )
    .await;
    assert_large("200,000 entries of tar", refused);
    // What is remembered of each: 70 MB, of which compression leaves next to nothing.
    let target = TarEntry::new("././@LongLink", EntryType::GNULongLink, &[b'x'; 4000]);
    let long: Vec<TarEntry> = names[..17_500]
        .iter()
        .flat_map(|name| {
            [
                target.clone(),
                TarEntry::link(name, EntryType::Symlink, "x"),
            ]
        })
        .collect();
    let refused = unpack(
        &place.files,
        &compress(&tar(&long)),
        &place.path("dest"),
        TAR_KIND,
    )
    .await;
    assert_large("long links", refused);
    assert!(contents(&place.root()) == before);

    let place = Place::with(|config| config.archive_limits.unpacked_bytes = 1000);
    let small = zip(&[
        ZipEntry::new("a", FILE, &[1; 600]),
        ZipEntry::new("b", FILE, &[1; 600]),
    ]);
    assert_large(
        "bytes",
        unpack(&place.files, &small, &place.path("dest"), ArchiveKind::Zip).await,
    );
    assert!(place.names().is_empty());
}
