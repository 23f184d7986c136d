//! Archives that are odd and do no harm: they pass.

use super::*;

/// What is odd and does no harm.
#[tokio::test]
async fn odd_zip_archives_pass() {
    let place = prepared();
    let archive = zip(&[
        ZipEntry::new("./a//b", FILE, b"b"),
        ZipEntry::new("a/", 0o040_700, b""),
        ZipEntry::new("...", FILE, b""),
        ZipEntry::new("no mode", 0, b"plain"),
        ZipEntry::new("no mode dir/", 0, b""),
        ZipEntry::new("circle", LINK, b"circle"),
        ZipEntry::new(
            "inner",
            LINK,
            format!("{}/dest/a", place.root().display()).as_bytes(),
        ),
        ZipEntry::new("%2e%2e%2fa", FILE, b""),
    ]);
    unpack(
        &place.files,
        &archive,
        &place.path("dest"),
        ArchiveKind::Zip,
    )
    .await
    .unwrap();
    assert_eq!(fs::read(place.path("dest/inner/b")).unwrap(), b"b");
    assert_eq!(fs::read(place.path("dest/no mode")).unwrap(), b"plain");
    assert!(place.path("dest/no mode dir").is_dir());
}

#[tokio::test]
async fn odd_tar_archives_pass() {
    let place = prepared();
    let file = |name: &str| TarEntry::new(name, EntryType::Regular, b"content");
    let entries = [
        TarEntry::new("./", EntryType::Directory, b""),
        TarEntry::new("d", EntryType::Directory, b""),
        TarEntry::new("d/", EntryType::Directory, b""),
        file("d/f"),
        TarEntry::link("d/same", EntryType::Link, "./d/f"),
        TarEntry::link("d/up", EntryType::Symlink, "../d/f"),
    ];
    unpack(
        &place.files,
        &compress(&tar(&entries)),
        &place.path("tar"),
        TAR_KIND,
    )
    .await
    .unwrap();
    for name in ["f", "same", "up"] {
        assert_eq!(
            fs::read(place.path("tar/d").join(name)).unwrap(),
            b"content"
        );
    }
    // An empty archive makes an empty directory.
    let empty = pack(&place.files, &place.path("tar/empty"), PackFormat::Zip).await;
    assert!(empty.is_err());
    unpack(
        &place.files,
        &zip(&[]),
        &place.path("empty"),
        ArchiveKind::Zip,
    )
    .await
    .unwrap();
    unpack(
        &place.files,
        &compress(&tar(&[])),
        &place.path("empty"),
        TAR_KIND,
    )
    .await
    .unwrap();
    assert_eq!(fs::read_dir(place.path("empty")).unwrap().count(), 0);
    assert_eq!(fs::read(place.path("outside/file")).unwrap(), b"outside");
    assert!(Path::new("/etc/passwd").exists());
}
