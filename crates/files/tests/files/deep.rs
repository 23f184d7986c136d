//! Trees that are deeper than the stack, the limit of open files and the length of a path allow.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use browserd_files::{ArchiveKind, Compression, Error, ListOptions, PackFormat};

use crate::{
    forge,
    support::{Place, fs_path, pack, unpack},
};

const TAR_KIND: ArchiveKind = ArchiveKind::TarZst {
    strip_components: 0,
};

/// A chain of directories below `top`, each made from the one above it.
fn chain(top: &Path, depth: usize) {
    fs::create_dir(top).unwrap();
    // What is at hand is moved into a new directory, so that no path gets long.
    let (inner, outer) = (top.join("d"), top.with_extension("outer"));
    fs::create_dir(&inner).unwrap();
    fs::write(inner.join("file"), "end").unwrap();
    for _ in 1..depth {
        fs::create_dir(&outer).unwrap();
        fs::rename(&inner, outer.join("d")).unwrap();
        fs::rename(&outer, &inner).unwrap();
    }
}

/// How deep a chain is.
fn depth(top: &Path) -> usize {
    let mut depth = 0;
    let mut path = PathBuf::from(top);
    loop {
        path.push("d");
        if fs::symlink_metadata(&path).is_err() {
            return depth;
        }
        depth += 1;
    }
}

fn one_deep_entry(levels: usize) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_mode(0o755);
    header.set_size(0);
    let name = "d/".repeat(levels);
    tar.append_data(&mut header, name, std::io::empty())
        .unwrap();
    forge::compress(&tar.into_inner().unwrap())
}

#[tokio::test]
async fn a_deep_entry_is_unpacked_over_itself() {
    let place = Place::new();
    for _ in 0..3 {
        let archive = one_deep_entry(1900);
        let dest = place.path("dest");
        unpack(&place.files, &archive, &dest, TAR_KIND)
            .await
            .unwrap();
        assert_eq!(depth(&dest), 1900);
    }
    place
        .files
        .delete_directory(&fs_path(&place.path("dest")))
        .await
        .unwrap();
    assert!(place.names().is_empty());
}

#[tokio::test]
async fn an_entry_that_no_path_would_lead_to_is_refused() {
    let place = Place::new();
    // 4,080 bytes of its own, and those of the destination.
    let archive = one_deep_entry(2040);
    let refused = unpack(&place.files, &archive, &place.path("dest"), TAR_KIND).await;
    let Err(Error::BadArchive { reason }) = refused else {
        panic!("{refused:?}");
    };
    assert!(reason.contains("too long"), "{reason}");
    assert!(place.names().is_empty());
}

#[tokio::test]
async fn a_deep_tree_is_packed_copied_and_listed() {
    let place = Place::new();
    let top = place.path("top");
    chain(&top, 3000);
    let tar = pack(&place.files, &top, PackFormat::TarZst(Compression::Default)).await;
    let tar = zstd::decode_all(tar.unwrap().as_slice()).unwrap();
    let mut archive = tar::Archive::new(tar.as_slice());
    let last = archive.entries().unwrap().last().unwrap().unwrap();
    assert_eq!(
        &*last.path_bytes(),
        format!("{}file", "d/".repeat(3000)).as_bytes()
    );
    let zip = pack(&place.files, &top, PackFormat::Zip).await.unwrap();
    let zip = zip::ZipArchive::new(std::io::Cursor::new(zip)).unwrap();
    assert_eq!(zip.len(), 3001);

    let copy = place.path("copy");
    place
        .files
        .copy(&fs_path(&top), &fs_path(&copy))
        .await
        .unwrap();
    let all = ListOptions {
        recursive: true,
        ..ListOptions::default()
    };
    for dir in [&top, &copy] {
        let listing = place.files.list(&fs_path(dir), all.clone()).await.unwrap();
        assert_eq!(listing.entries.len(), 3001);
        assert_eq!(listing.entries[3000].name, "file");
        place.files.delete_directory(&fs_path(dir)).await.unwrap();
    }
    assert!(place.names().is_empty());
}

#[tokio::test]
async fn a_deep_tree_moves_to_another_file_system() {
    let (from, to) = (Place::in_memory(), Place::new());
    chain(&from.path("top"), 3000);
    let (src, dest) = (fs_path(&from.path("top")), fs_path(&to.path("moved")));
    from.files.move_to(&src, &dest).await.unwrap();
    assert!(from.names().is_empty());
    let all = ListOptions {
        recursive: true,
        ..ListOptions::default()
    };
    let listing = to.files.list(&dest, all).await.unwrap();
    assert_eq!(listing.entries.len(), 3001);
    to.files.delete_directory(&dest).await.unwrap();
}

#[tokio::test]
async fn a_copy_keeps_holes_and_linked_names() {
    let (place, other) = (Place::new(), Place::in_memory());
    let dir = place.path("dir");
    fs::DirBuilder::new().mode(0o755).create(&dir).unwrap();
    let file = fs::File::create(dir.join("sparse")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"middle", 32 << 20).unwrap();
    file.set_len(64 << 20).unwrap();
    fs::File::create(dir.join("hole"))
        .unwrap()
        .set_len(1 << 20)
        .unwrap();
    fs::create_dir(dir.join("inner")).unwrap();
    fs::write(dir.join("one"), "linked").unwrap();
    fs::hard_link(dir.join("one"), dir.join("inner/two")).unwrap();

    let copy = place.path("copy");
    place
        .files
        .copy(&fs_path(&dir), &fs_path(&copy))
        .await
        .unwrap();
    let moved = other.path("moved");
    place
        .files
        .move_to(&fs_path(&dir), &fs_path(&moved))
        .await
        .unwrap();
    for dir in [copy, moved] {
        let sparse = fs::read(dir.join("sparse")).unwrap();
        assert_eq!(sparse.len(), 64 << 20);
        assert_eq!(&sparse[32 << 20..][..6], b"middle");
        assert!(fs::metadata(dir.join("sparse")).unwrap().blocks() * 512 < 1 << 20);
        assert_eq!(fs::metadata(dir.join("hole")).unwrap().len(), 1 << 20);
        let (one, two) = (dir.join("one"), dir.join("inner/two"));
        assert_eq!(
            fs::metadata(one).unwrap().ino(),
            fs::metadata(two).unwrap().ino()
        );
    }
}
