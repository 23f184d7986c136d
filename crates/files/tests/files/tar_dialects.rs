//! The dialects of tar: what each says comes out as it was, or is refused by name.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{FileExt, MetadataExt},
    },
    path::Path,
    process::Stdio,
};

use browserd_files::{ArchiveKind, Error};
use tar::EntryType;
use tokio::process::Command;

use crate::{
    forge::{TarEntry, compress, pax, tar},
    support::{Place, contents, unpack},
};

const TAR_KIND: ArchiveKind = ArchiveKind::TarZst {
    strip_components: 0,
};

fn file(name: impl AsRef<[u8]>, data: &[u8]) -> TarEntry {
    TarEntry::new(name, EntryType::Regular, data)
}

fn global(records: &[(&str, &[u8])]) -> TarEntry {
    TarEntry::new("pax_global_header", EntryType::XGlobalHeader, &pax(records))
}

async fn unpacked(what: &str, entries: &[TarEntry]) -> Place {
    let place = Place::new();
    let archive = compress(&tar(entries));
    let done = unpack(&place.files, &archive, &place.root(), TAR_KIND).await;
    assert!(done.is_ok(), "{what}: {done:?}");
    place
}

/// Returns what the refusal says.
async fn refused(entries: &[TarEntry]) -> String {
    refused_bytes(&tar(entries)).await
}

async fn refused_bytes(archive: &[u8]) -> String {
    let place = Place::new();
    let before = contents(&place.root());
    let done = unpack(&place.files, &compress(archive), &place.root(), TAR_KIND).await;
    assert!(contents(&place.root()) == before, "{done:?}");
    match done {
        Err(error @ (Error::BadArchive { .. } | Error::ArchiveTooLarge { .. })) => {
            error.to_string()
        }
        other => panic!("{other:?}"),
    }
}

/// 512 bytes, a hole up to 12,288, 512 bytes, and a hole up to 20,000.
fn sparse() -> (Vec<u8>, Vec<u8>) {
    let mut whole = vec![0; 20_000];
    whole[..512].fill(b'a');
    whole[12_288..12_800].fill(b'z');
    let data = [&whole[..512], &whole[12_288..12_800]].concat();
    (whole, data)
}

/// The same sparse file, in each of the ways of saying where its data belongs.
fn sparse_forms() -> Vec<(&'static str, Vec<TarEntry>)> {
    let (_, data) = sparse();
    let inner = "GNUSparseFile.0/img";
    let mut list = b"2\n0\n512\n12288\n512\n".to_vec();
    list.resize(512, 0);
    list.extend(&data);
    let old = TarEntry::new("img", EntryType::GNUSparse, &data)
        .with(386, b"00000000000\x0000000001000\0")
        .with(410, b"00000030000\x0000000001000\0")
        .with(434, b"00000047040\x0000000000000\0")
        .with(483, b"00000047040\0");
    vec![
        (
            "1.0",
            vec![
                TarEntry::pax(&[
                    ("GNU.sparse.major", b"1"),
                    ("GNU.sparse.minor", b"0"),
                    ("GNU.sparse.name", b"img"),
                    ("GNU.sparse.realsize", b"20000"),
                ]),
                file(inner, &list),
            ],
        ),
        (
            "0.1",
            vec![
                TarEntry::pax(&[
                    ("GNU.sparse.size", b"20000"),
                    ("GNU.sparse.numblocks", b"2"),
                    ("GNU.sparse.name", b"img"),
                    ("GNU.sparse.map", b"0,512,12288,512"),
                ]),
                file(inner, &data),
            ],
        ),
        (
            "0.0",
            vec![
                TarEntry::pax(&[
                    ("GNU.sparse.size", b"20000"),
                    ("GNU.sparse.numblocks", b"2"),
                    ("GNU.sparse.offset", b"0"),
                    ("GNU.sparse.numbytes", b"512"),
                    ("GNU.sparse.offset", b"12288"),
                    ("GNU.sparse.numbytes", b"512"),
                ]),
                file("img", &data),
            ],
        ),
        ("old", vec![old]),
    ]
}

#[tokio::test]
async fn sparse_files_come_out_whole_with_their_holes() {
    let (whole, _) = sparse();
    for (form, mut entries) in sparse_forms() {
        entries.push(file("behind", b"it"));
        let place = unpacked(form, &entries).await;
        assert_eq!(place.names(), ["behind", "img"], "{form}");
        assert!(fs::read(place.path("img")).unwrap() == whole, "{form}");
        assert_eq!(fs::read(place.path("behind")).unwrap(), b"it", "{form}");
        let blocks = fs::metadata(place.path("img")).unwrap().blocks();
        assert!(blocks * 512 < 20_000, "{form}: {blocks} blocks");
    }
}

#[tokio::test]
async fn sparse_files_whose_parts_do_not_fit_are_refused() {
    let (_, data) = sparse();
    let records = |map: &'static [u8], size: &'static [u8]| {
        TarEntry::pax(&[("GNU.sparse.size", size), ("GNU.sparse.map", map)])
    };
    for (map, size) in [
        (&b"0,512,12288,511"[..], &b"20000"[..]),
        (b"0,512,511,512", b"20000"),
        (b"12288,512,0,512", b"20000"),
        (b"0,512,12288,512", b"12799"),
        (b"0,1024,18446744073709551615,1", b"20000"),
    ] {
        let said = refused(&[records(map, size), file("img", &data)]).await;
        assert!(said.contains("sparse"), "{said}");
    }
    // More lines than there is content.
    for list in [
        &b"9999999\n0\n"[..],
        b"x\n",
        b"\n",
        b"99999999999999999999999\n",
    ] {
        let mut list = list.to_vec();
        list.resize(512, 0);
        let records = TarEntry::pax(&[
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.realsize", b"5"),
        ]);
        refused(&[records, file("img", &list)]).await;
    }
    // Holes take no room, and still somebody may read them.
    let large = TarEntry::pax(&[
        ("GNU.sparse.size", b"99999999999999"),
        ("GNU.sparse.map", b""),
    ]);
    let said = refused(&[large, file("img", b"")]).await;
    assert!(said.contains("more than"), "{said}");
}

/// A sparse file is no zip bomb: its holes take no room.
#[tokio::test]
async fn a_large_hole_has_no_ratio() {
    let records = TarEntry::pax(&[
        ("GNU.sparse.size", b"1000000000"),
        ("GNU.sparse.map", b"999999999,1"),
    ]);
    let place = unpacked("a gigabyte", &[records, file("img", b"x")]).await;
    let metadata = fs::metadata(place.path("img")).unwrap();
    assert_eq!(metadata.len(), 1_000_000_000);
    assert!(metadata.blocks() < 10_000);
}

#[tokio::test]
async fn pax_values_may_have_any_bytes() {
    let evil = [b"x\n".to_vec(), pax(&[("path", b"evil")])].concat();
    let long = [b"d/".repeat(60), b"caf\xe9\n2".to_vec()].concat();
    let entries = [
        TarEntry::pax(&[
            ("SCHILY.xattr.security.capability", b"\x01\0\0\x02\x0a\0\0"),
            ("comment", &evil),
        ]),
        file("good", b"x"),
        TarEntry::pax(&[("path", &long), ("mtime", b"-1.5")]),
        file("short", b"y"),
        TarEntry::pax(&[("linkpath", b"to\nthere")]),
        TarEntry::link("link", EntryType::Symlink, "elsewhere"),
    ];
    let place = unpacked("bytes", &entries).await;
    let name = place.root().join(OsStr::from_bytes(&long));
    assert_eq!(fs::read(&name).unwrap(), b"y");
    let metadata = fs::metadata(&name).unwrap();
    assert_eq!((metadata.mtime(), metadata.mtime_nsec()), (-2, 500_000_000));
    assert_eq!(fs::read(place.path("good")).unwrap(), b"x");
    assert!(!place.path("evil").exists() && !place.path("short").exists());
    assert_eq!(
        fs::read_link(place.path("link")).unwrap(),
        Path::new("to\nthere")
    );
}

#[tokio::test]
async fn extended_headers_count_for_what_follows_them() {
    let size = TarEntry::pax(&[("size", b"3")]);
    let place = unpacked(
        "records",
        &[
            global(&[("comment", b"a commit"), ("mtime", b"77")]),
            // The size in the header itself does not count.
            size,
            file("sized", b"abc").with(124, b"00000000000\0"),
            TarEntry::pax(&[("mtime", b"99")]),
            file("timed", b""),
            TarEntry::new(
                "/tmp/PaxHeaders.1/f",
                EntryType::new(b'X'),
                &pax(&[("path", b"of Sun")]),
            ),
            file("f", b"data"),
            TarEntry::new("././@LongLink", EntryType::GNULongName, b"gnu\0"),
            file("f", b"data"),
        ],
    )
    .await;
    let time = |name: &str| fs::metadata(place.path(name)).unwrap().mtime();
    assert_eq!(fs::read(place.path("sized")).unwrap(), b"abc");
    assert_eq!((time("sized"), time("timed")), (77, 99));
    assert_eq!(place.names(), ["gnu", "of Sun", "sized", "timed"]);

    for key in [
        "path",
        "linkpath",
        "size",
        "GNU.sparse.map",
        "GNU.volume.offset",
    ] {
        let said = refused(&[global(&[(key, b"1")]), file("f", b"x")]).await;
        assert!(said.contains(key), "{said}");
    }
    let said = refused(&[file("f", b"x"), TarEntry::pax(&[("path", b"g")])]).await;
    assert!(said.contains("extended header"), "{said}");
    let damaged = TarEntry::new("x", EntryType::XHeader, b"12 path=g\n");
    let said = refused(&[damaged, file("f", b"x")]).await;
    assert!(said.contains("extended header"), "{said}");
}

#[tokio::test]
async fn old_headers_are_read() {
    let old = |entry: TarEntry| entry.with(257, &[0; 8]);
    let label = TarEntry::new("a volume", EntryType::new(b'V'), b"")
        .with(100, &[0; 24])
        .with(124, &[b' '; 12])
        .with(136, &[0; 12]);
    let place = unpacked(
        "old",
        &[
            label,
            file(b"caf\xe9", b"signed").with_signed_checksum(),
            old(TarEntry::new("d/", EntryType::new(0), b"")),
            // Behind its fields an old header may have anything.
            old(file("d/f", b"x")).with(345, b"no prefix"),
            file("of/ustar", b"x")
                .with(257, b"ustar\x0000")
                .with(345, b"front\0"),
            file("blank", b"x")
                .with(100, &[0; 24])
                .with(136, &[b' '; 12]),
            file("large number", b"x").with(124, b"\x80\0\0\0\0\0\0\0\0\0\0\x01"),
        ],
    )
    .await;
    let tree = crate::support::tree(&place.path("d"));
    assert_eq!(tree.keys().collect::<Vec<_>>(), ["f"]);
    let names: Vec<Vec<u8>> = fs::read_dir(place.root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_encoded_bytes())
        .collect();
    assert!(names.contains(&b"caf\xe9".to_vec()), "{names:?}");
    assert!(place.path("front/of/ustar").is_file());
    let blank = fs::metadata(place.path("blank")).unwrap();
    assert_eq!(blank.mode() & 0o7777, 0o644);
    assert!(blank.mtime() > 1_000_000_000);
    assert_eq!(fs::read(place.path("large number")).unwrap(), b"x");
}

/// Some writers give links the size of what they lead to, and directories one of their own.
#[tokio::test]
async fn sizes_of_what_has_no_content_are_passed_over() {
    let sized = |entry: TarEntry| entry.with(124, b"00000001000\0");
    let entries = [
        file("f", b"x"),
        sized(TarEntry::link("hard", EntryType::Link, "f")),
        sized(TarEntry::link("soft", EntryType::Symlink, "f")),
        sized(TarEntry::new("dir/", EntryType::Directory, b"")),
        file("last", b"y"),
    ];
    let place = unpacked("sizes", &entries).await;
    assert_eq!(place.names(), ["dir", "f", "hard", "last", "soft"]);
    // POSIX allows a hard link to have the content too.
    let mut entries = tar(&[
        file("f", b"content"),
        TarEntry::link("hard", EntryType::Link, "f").with(124, b"00000000007\0"),
    ]);
    entries.truncate(512 * 3);
    entries.extend(b"content");
    entries.resize(512 * 4, 0);
    entries.extend(tar(&[file("last", b"y")]));
    let place = Place::new();
    let archive = compress(&entries);
    unpack(&place.files, &archive, &place.root(), TAR_KIND)
        .await
        .unwrap();
    assert_eq!(place.names(), ["f", "hard", "last"]);
    assert_eq!(fs::read(place.path("hard")).unwrap(), b"content");
}

#[tokio::test]
async fn what_is_not_understood_is_refused_by_name() {
    let long = pax(&[("comment", &vec![b'x'; 2 << 20])]);
    let star = TarEntry::new("f", EntryType::new(b'S'), b"").with(257, b"ustar\x0000");
    for (entries, name) in [
        (vec![star], "star"),
        (
            vec![TarEntry::pax(&[("SCHILY.realsize", b"9")]), file("f", b"x")],
            "star",
        ),
        (vec![file("f/", b"content")], "has content"),
        (
            vec![
                TarEntry::new("x", EntryType::XHeader, &long),
                file("f", b""),
            ],
            "too long",
        ),
        (vec![file("f", b"x").with(124, b"9")], "size"),
        (vec![file("f", b"x").with(136, b"yesterday")], "time"),
        (
            vec![TarEntry::pax(&[("mtime", b"yesterday")]), file("f", b"x")],
            "time",
        ),
    ] {
        let said = refused(&entries).await;
        assert!(said.contains(name), "{name}: {said}");
    }
    let two = [tar(&[file("one", b"x")]), tar(&[file("two", b"x")])].concat();
    let said = refused_bytes(&two).await;
    assert!(said.contains("another archive"), "{said}");
}

/// The writers that people have agree with the reader.
#[tokio::test]
async fn what_gnu_tar_writes_is_read() {
    let place = Place::new();
    let (whole, _) = sparse();
    fs::create_dir(place.path("src")).unwrap();
    let image = fs::File::create(place.path("src/img")).unwrap();
    image.write_all_at(&[b'a'; 4096], 0).unwrap();
    for index in 1..40u64 {
        image.write_all_at(&whole[..512], index << 16).unwrap();
    }
    image.set_len(40 << 16).unwrap();
    drop(image);
    let name = OsStr::from_bytes(b"caf\xe9");
    fs::write(place.path("src").join(name), "latin").unwrap();
    fs::write(place.path("src").join("n".repeat(200)), "long").unwrap();
    let before = contents_of(&place.path("src"));
    for (index, options) in [
        &["--format=gnu", "-S", "-V", "a label"][..],
        &["--format=posix", "-S", "--sparse-version=0.0"],
        &["--format=posix", "-S", "--sparse-version=0.1"],
        &[
            "--format=posix",
            "-S",
            "--sparse-version=1.0",
            "-V",
            "a label",
        ],
        &["--format=gnu", "--listed-incremental=list"],
        &["--format=posix", "--listed-incremental=list", "-S"],
    ]
    .iter()
    .enumerate()
    {
        let archive = place.path("a.tar.zst");
        // An increment to nothing.
        let _ = fs::remove_file(place.path("list"));
        let made = Command::new("tar")
            .args(*options)
            .args(["--zstd", "-cf"])
            .arg(&archive)
            .args(["-C", "src", "."])
            .current_dir(place.root())
            .stderr(Stdio::null())
            .status()
            .await;
        assert!(made.unwrap().success(), "{options:?}");
        let out = place.path(&format!("out{index}"));
        let archive = fs::read(archive).unwrap();
        let done = unpack(&place.files, &archive, &out, TAR_KIND).await;
        assert!(done.is_ok(), "{options:?}: {done:?}");
        assert!(contents_of(&out) == before, "{options:?}");
    }
}

/// Names and contents, of a directory without others in it.
fn contents_of(dir: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            let name = entry.file_name().into_encoded_bytes();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect();
    found.sort();
    found
}
