//! What callers get wrong, and what they are told.

use std::{fs, os::unix::fs::symlink, path::Path};

use browserd_files::{Error, FsPath, ListOptions, OsKind, PathProblem, WriteOptions};

use crate::support::{Place, assert_os, fs_path};

#[test]
fn paths_that_no_operation_takes() {
    let long = format!("/{}", "n".repeat(5000));
    for (path, problem) in [
        ("", PathProblem::Empty),
        ("relative/path", PathProblem::Relative),
        ("/a/../b", PathProblem::Parent),
        ("/a\0b", PathProblem::Nul),
        (long.as_str(), PathProblem::NameTooLong),
    ] {
        let error = FsPath::parse(path).unwrap_err();
        assert!(matches!(error, Error::InvalidPath { problem: it, .. } if it == problem));
    }
}

#[tokio::test]
async fn directories_where_files_are_meant_and_the_reverse() {
    let place = Place::new();
    fs::create_dir(place.path("dir")).unwrap();
    fs::write(place.path("file"), "").unwrap();
    let path = |name: &str| fs_path(&place.path(name));
    assert_os(place.files.read(&path("dir")).await, OsKind::IsDirectory);
    assert_os(
        place.files.read(&path("file/x")).await,
        OsKind::NotDirectory,
    );
    assert_os(place.files.read(&path("missing")).await, OsKind::NotFound);
    assert_os(place.write("dir", b"").await, OsKind::IsDirectory);
    assert_os(place.write("file/x", b"").await, OsKind::NotDirectory);
    assert_os(
        place
            .files
            .list(&path("file"), ListOptions::default())
            .await,
        OsKind::NotDirectory,
    );
    assert_os(
        place
            .files
            .list(&path("missing"), ListOptions::default())
            .await,
        OsKind::NotFound,
    );
    assert_eq!(place.names(), ["dir", "file"]);
}

#[tokio::test]
async fn a_loop_of_links() {
    let place = Place::new();
    symlink("two", place.path("one")).unwrap();
    symlink("one", place.path("two")).unwrap();
    let path = fs_path(&place.path("one"));
    assert_os(place.files.read(&path).await, OsKind::SymlinkLoop);
    assert_os(place.files.info(&path).await, OsKind::SymlinkLoop);
    assert_os(place.write("one", b"").await, OsKind::SymlinkLoop);
    assert_os(place.write("one/x", b"").await, OsKind::SymlinkLoop);
}

#[tokio::test]
async fn what_is_no_regular_file() {
    let place = Place::new();
    let pipe = place.path("pipe");
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, rustix::fs::Mode::RWXU, 0).unwrap();
    assert_os(place.files.read(&fs_path(&pipe)).await, OsKind::NotFile);
    assert_os(place.write("pipe", b"").await, OsKind::NotFile);
    assert_os(
        place.files.read(&fs_path(Path::new("/dev/zero"))).await,
        OsKind::NotFile,
    );
}

#[tokio::test]
async fn the_root_directory_stays() {
    let place = Place::new();
    let root = fs_path(Path::new("/"));
    let is_root = |error| {
        matches!(
            error,
            Error::InvalidPath {
                problem: PathProblem::Root,
                ..
            }
        )
    };
    assert!(is_root(
        place.files.delete_directory(&root).await.unwrap_err()
    ));
    assert!(is_root(place.files.delete_file(&root).await.unwrap_err()));
    assert!(is_root(
        place
            .files
            .move_to(&root, &fs_path(&place.path("x")))
            .await
            .unwrap_err()
    ));
    assert!(is_root(
        place
            .files
            .write(&root, WriteOptions::default())
            .await
            .unwrap_err()
    ));
}

#[tokio::test]
async fn a_message_names_the_path_and_what_was_wrong() {
    let place = Place::new();
    let path = place.path("missing");
    let error = place.files.read(&fs_path(&path)).await.unwrap_err();
    let expected = format!("cannot read {}: no such file or directory", path.display());
    assert_eq!(error.to_string(), expected);
}
