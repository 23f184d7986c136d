//! Moves and copies, also from one file system to another.

use super::*;

#[tokio::test]
async fn moves_replace_files_and_nothing_else() {
    let place = Place::new();
    sample(&place);
    let path = |name: &str| fs_path(&place.path(name));
    let before = tree(&place.path("dir"));
    place
        .files
        .move_to(&path("dir"), &path("new/place"))
        .await
        .unwrap();
    assert_eq!(tree(&place.path("new/place")), before);
    fs::write(place.path("a"), "a").unwrap();
    fs::write(place.path("b"), "b").unwrap();
    place.files.move_to(&path("a"), &path("b")).await.unwrap();
    assert_eq!(fs::read(place.path("b")).unwrap(), b"a");
    place.files.move_to(&path("b"), &path("b")).await.unwrap();

    fs::create_dir_all(place.path("full/x")).unwrap();
    assert_os(
        place.files.move_to(&path("b"), &path("full")).await,
        OsKind::IsDirectory,
    );
    assert_os(
        place.files.move_to(&path("new"), &path("full")).await,
        OsKind::NotEmpty,
    );
    assert_os(
        place.files.move_to(&path("new"), &path("b")).await,
        OsKind::NotDirectory,
    );
    assert_os(
        place.files.move_to(&path("missing"), &path("x/y")).await,
        OsKind::NotFound,
    );
    assert!(!place.path("x").exists());
    let inside = place.files.move_to(&path("new"), &path("new/inner")).await;
    assert!(
        matches!(inside, Err(Error::InvalidPath { .. })),
        "{inside:?}"
    );
}

#[tokio::test]
async fn moves_go_from_one_file_system_to_another() {
    let (disk, memory) = (Place::new(), Place::in_memory());
    sample(&disk);
    let _socket = UnixListener::bind(disk.path("dir/socket")).unwrap();
    let before = tree(&disk.path("dir"));
    let (from, to) = (
        fs_path(&disk.path("dir")),
        fs_path(&memory.path("deep/dir")),
    );
    disk.files.move_to(&from, &to).await.unwrap();
    assert_eq!(tree(&memory.path("deep/dir")), before);
    assert!(disk.names().is_empty());

    fs::write(disk.path("file"), "old").unwrap();
    let (from, to) = (
        fs_path(&memory.path("deep/dir/file")),
        fs_path(&disk.path("file")),
    );
    disk.files.move_to(&from, &to).await.unwrap();
    assert_eq!(fs::read(disk.path("file")).unwrap(), noise(100_000, 1));
    assert!(!memory.path("deep/dir/file").exists());
    assert_eq!(disk.names(), ["file"]);

    // A destination that cannot be replaced leaves both sides as they are.
    fs::create_dir_all(disk.path("full/x")).unwrap();
    let (from, to) = (
        fs_path(&memory.path("deep/dir")),
        fs_path(&disk.path("full")),
    );
    assert_os(disk.files.move_to(&from, &to).await, OsKind::NotEmpty);
    assert!(memory.path("deep/dir/sub/ünï").exists());
    assert_eq!(disk.names(), ["file", "full", "full/x"]);
}

#[tokio::test]
async fn a_move_onto_a_mounted_file_overwrites_it() {
    if !may_mount() {
        return;
    }
    let place = Place::new();
    fs::write(place.path("outer"), "old and long").unwrap();
    fs::write(place.path("inner"), "").unwrap();
    fs::write(place.path("new"), "new").unwrap();
    let mount = Mount::bind(&place.path("outer"), &place.path("inner"));
    let (from, to) = (fs_path(&place.path("new")), fs_path(&place.path("inner")));
    place.files.move_to(&from, &to).await.unwrap();
    assert_eq!(fs::read(place.path("outer")).unwrap(), b"new");
    drop(mount);
    assert_eq!(place.names(), ["inner", "outer"]);
}

#[tokio::test]
async fn a_full_disk_leaves_the_source_of_a_move() {
    if !may_mount() {
        return;
    }
    let place = Place::new();
    fs::create_dir(place.path("small")).unwrap();
    let _mount = Mount::tmpfs(&place.path("small"), "64k");
    sample(&place);
    let (from, to) = (
        fs_path(&place.path("dir")),
        fs_path(&place.path("small/dir")),
    );
    assert_os(place.files.move_to(&from, &to).await, OsKind::NoSpace);
    assert_os(place.files.copy(&from, &to).await, OsKind::NoSpace);
    assert_eq!(fs::read_dir(place.path("small")).unwrap().count(), 0);
    assert!(place.path("dir/file").exists());
}

#[tokio::test]
async fn copies_are_equal() {
    let place = Place::new();
    sample(&place);
    let path = |name: &str| fs_path(&place.path(name));
    let before = tree(&place.path("dir"));
    place
        .files
        .copy(&path("dir"), &path("x/copy"))
        .await
        .unwrap();
    assert_eq!(tree(&place.path("x/copy")), before);
    assert_eq!(tree(&place.path("dir")), before);
    place
        .files
        .copy(&path("dir/sub/ünï"), &path("x/copy/file"))
        .await
        .unwrap();
    assert_eq!(fs::read(place.path("x/copy/file")).unwrap(), b"content");

    assert_os(
        place.files.copy(&path("dir"), &path("x/copy")).await,
        OsKind::Exists,
    );
    assert_os(
        place.files.copy(&path("dir/file"), &path("x")).await,
        OsKind::IsDirectory,
    );
    assert_os(
        place.files.copy(&path("dir"), &path("x/copy/file")).await,
        OsKind::NotDirectory,
    );
    symlink("dir/sub", place.path("way")).unwrap();
    for to in ["dir", "dir/inner", "way/inner"] {
        let inside = place.files.copy(&path("dir"), &path(to)).await;
        assert!(
            matches!(inside, Err(Error::InvalidPath { .. })),
            "{to}: {inside:?}"
        );
    }
    assert_eq!(tree(&place.path("dir")), before);
}

#[tokio::test]
async fn a_file_that_is_moved_to_another_name_of_it_has_that_name_alone() {
    let place = Place::new();
    let path = |name: &str| fs_path(&place.path(name));
    fs::create_dir(place.path("dir")).unwrap();
    symlink("dir", place.path("alias")).unwrap();
    fs::write(place.path("dir/one"), "content").unwrap();
    fs::hard_link(place.path("dir/one"), place.path("dir/two")).unwrap();
    place
        .files
        .move_to(&path("dir/one"), &path("dir/two"))
        .await
        .unwrap();
    assert_eq!(place.names(), ["alias", "dir", "dir/two"]);
    // One name in two spellings is the one there is.
    fs::hard_link(place.path("dir/two"), place.path("other")).unwrap();
    place
        .files
        .move_to(&path("alias/two"), &path("dir/two"))
        .await
        .unwrap();
    assert_eq!(fs::read(place.path("dir/two")).unwrap(), b"content");
}
