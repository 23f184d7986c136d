//! Listing, making, deleting, moving, copying, permissions.

mod moves;

use std::{
    fs::{self, Permissions},
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt, symlink},
        net::UnixListener,
    },
    path::{Path, PathBuf},
};

use browserd_files::{Error, ListOptions, Mode, OsKind};

use crate::support::{Mount, Place, assert_os, fs_path, may_mount, noise, tree};

fn sample(place: &Place) {
    fs::create_dir_all(place.path("dir/sub/empty")).unwrap();
    fs::write(place.path("dir/file"), noise(100_000, 1)).unwrap();
    fs::write(place.path("dir/sub/ünï"), "content").unwrap();
    fs::set_permissions(place.path("dir/file"), Permissions::from_mode(0o4751)).unwrap();
    fs::set_permissions(place.path("dir/sub"), Permissions::from_mode(0o700)).unwrap();
    symlink("../nowhere", place.path("dir/link")).unwrap();
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, 5);
    fs::File::open(place.path("dir/sub/ünï"))
        .unwrap()
        .set_modified(old)
        .unwrap();
    fs::File::open(place.path("dir/sub/empty"))
        .unwrap()
        .set_modified(old)
        .unwrap();
}

async fn listed(place: &Place, options: ListOptions) -> Vec<String> {
    let listing = place
        .files
        .list(&fs_path(&place.root()), options)
        .await
        .unwrap();
    let root = format!("{}/", place.root().display());
    let relative = |path: PathBuf| {
        let path = path.to_string_lossy();
        path.strip_prefix(&root).unwrap().to_owned()
    };
    listing
        .entries
        .into_iter()
        .map(|info| relative(info.path))
        .collect()
}

#[tokio::test]
async fn a_listing_tells_what_is_there() {
    let place = Place::new();
    assert!(listed(&place, ListOptions::default()).await.is_empty());
    sample(&place);
    fs::write(
        place.path(&format!(".browserd-part-{}", "a1".repeat(16))),
        "",
    )
    .unwrap();
    fs::write(place.root().join(std::ffi::OsStr::from_bytes(b"\xff")), "").unwrap();
    assert_eq!(
        listed(&place, ListOptions::default()).await,
        ["dir", "\u{fffd}"]
    );
    let all = ListOptions {
        recursive: true,
        ..Default::default()
    };
    let expected = [
        "dir",
        "dir/file",
        "dir/link",
        "dir/sub",
        "dir/sub/empty",
        "dir/sub/ünï",
        "\u{fffd}",
    ];
    assert_eq!(listed(&place, all).await, expected);

    let dir = fs_path(&place.path("dir"));
    let listing = place.files.list(&dir, ListOptions::default());
    let listing = listing.await.unwrap();
    assert!(listing.next_cursor.is_none());
    let [file, link, sub] = &listing.entries[..] else {
        panic!("{listing:?}")
    };
    assert_eq!(
        (file.size_bytes, file.mode.as_str()),
        (100_000, "-rwsr-x--x")
    );
    assert_eq!(
        file.inode,
        fs::metadata(place.path("dir/file")).unwrap().ino()
    );
    assert!(link.is_symlink && !link.is_dir);
    assert_eq!(
        link.symlink_target.as_deref(),
        Some(Path::new("../nowhere"))
    );
    assert!(sub.is_dir && sub.size_bytes == 0 && sub.mode == "drwx------");
    let own = fs::metadata(place.path("dir")).unwrap().uid();
    assert_eq!(sub.uid, own);
    assert!(own != 0 || sub.owner.as_deref() == Some("root"));
}

#[tokio::test]
async fn what_is_known_of_a_path() {
    let place = Place::new();
    sample(&place);
    symlink("dir", place.path("to-dir")).unwrap();
    let info = |name: &str| {
        let path = fs_path(&place.path(name));
        let files = place.files.clone();
        async move { files.info(&path).await }
    };
    let dir = info("to-dir").await.unwrap();
    assert!(
        dir.is_dir && dir.is_symlink && dir.symlink_target.as_deref() == Some(Path::new("dir"))
    );
    assert_eq!(dir.name, "to-dir");
    let dangling = info("dir/link").await.unwrap();
    assert!(dangling.is_symlink && dangling.mode.starts_with('l'));
    assert_os(info("missing").await, OsKind::NotFound);
    let root = place.files.info(&fs_path("/".as_ref())).await.unwrap();
    assert!(root.is_dir && root.name == "/" && root.path == Path::new("/"));
}

/// A user without the right to search a directory sees its names and nothing more.
#[tokio::test]
async fn an_unreadable_entry_does_not_fail_the_list() {
    const INNER: &str = "BROWSERD_FILES_TEST_UNREADABLE";
    if !may_mount() {
        return;
    }
    let place = Place::in_memory();
    if let Some(root) = option_from_child(INNER) {
        let path = fs_path(root.as_ref());
        let all = ListOptions {
            recursive: true,
            ..Default::default()
        };
        let listing = place.files.list(&path, all).await.unwrap();
        let names: Vec<_> = listing
            .entries
            .iter()
            .map(|it| (it.name.to_str().unwrap(), it.mode.as_str()))
            .collect();
        assert_eq!(
            names,
            [
                ("closed", "drw-r--r--"),
                ("file", "?---------"),
                ("plain", "-rw-r--r--")
            ]
        );
        return;
    }
    fs::create_dir(place.path("closed")).unwrap();
    fs::write(place.path("closed/file"), "").unwrap();
    fs::write(place.path("plain"), "").unwrap();
    fs::set_permissions(place.path("plain"), Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(place.path("closed"), Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(
        place.root().parent().unwrap(),
        Permissions::from_mode(0o755),
    )
    .unwrap();
    let exe = format!("{}/test", place.root().parent().unwrap().display());
    fs::copy(std::env::current_exe().unwrap(), &exe).unwrap();
    let mut child = tokio::process::Command::new(exe);
    child
        .args([
            "--exact",
            "operations::an_unreadable_entry_does_not_fail_the_list",
            "--nocapture",
        ])
        .env(INNER, place.root())
        .uid(65534)
        .gid(65534);
    let output = child.output().await.unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// What the test passes to itself when it runs itself as another user.
#[expect(
    clippy::disallowed_methods,
    reason = "it is the test's own variable, not a setting"
)]
fn option_from_child(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name)
}

#[tokio::test]
async fn directories_are_made_and_deleted() {
    let place = Place::new();
    let path = |name: &str| fs_path(&place.path(name));
    let mode = Mode::parse("700").unwrap();
    place
        .files
        .create_directory(&path("a/b/c"), mode)
        .await
        .unwrap();
    let got = |name| fs::metadata(place.path(name)).unwrap().mode() & 0o7777;
    assert_eq!((got("a"), got("a/b"), got("a/b/c")), (0o755, 0o755, 0o700));
    place
        .files
        .create_directory(&path("a"), mode)
        .await
        .unwrap();
    assert_eq!(got("a"), 0o755);
    fs::write(place.path("file"), "").unwrap();
    assert_os(
        place.files.create_directory(&path("file"), mode).await,
        OsKind::Exists,
    );
    assert_os(
        place.files.create_directory(&path("file/x"), mode).await,
        OsKind::NotDirectory,
    );

    symlink("a", place.path("link")).unwrap();
    assert_os(
        place.files.delete_directory(&path("link")).await,
        OsKind::NotDirectory,
    );
    assert_os(
        place.files.delete_directory(&path("file")).await,
        OsKind::NotDirectory,
    );
    assert_os(
        place.files.delete_directory(&path("missing")).await,
        OsKind::NotFound,
    );
    assert_os(
        place.files.delete_file(&path("a")).await,
        OsKind::IsDirectory,
    );
    assert_os(
        place.files.delete_file(&path("missing")).await,
        OsKind::NotFound,
    );
    place.files.delete_file(&path("link")).await.unwrap();
    place.files.delete_file(&path("file")).await.unwrap();
    place.files.delete_directory(&path("a")).await.unwrap();
    assert!(place.names().is_empty());
}

#[tokio::test]
async fn permissions_and_owners_are_set() {
    let place = Place::new();
    fs::write(place.path("file"), "").unwrap();
    let path = fs_path(&place.path("file"));
    let mode = Mode::parse("4711").unwrap();
    place
        .files
        .set_permissions(&path, mode, None, None)
        .await
        .unwrap();
    let after = fs::metadata(place.path("file")).unwrap();
    assert_eq!(after.mode() & 0o7777, 0o4711);
    let unknown = place
        .files
        .set_permissions(&path, mode, Some("no-such-user"), None)
        .await;
    assert!(matches!(unknown, Err(Error::UnknownOwner { .. })));
    let unknown = place
        .files
        .set_permissions(&path, mode, None, Some("no-such-group"))
        .await;
    assert!(matches!(unknown, Err(Error::UnknownGroup { .. })));
    if may_mount() {
        place
            .files
            .set_permissions(&path, mode, Some("daemon"), Some("4242"))
            .await
            .unwrap();
        let after = fs::metadata(place.path("file")).unwrap();
        // The set-id bit survives the change of the owner.
        assert_eq!(
            (after.mode() & 0o7777, after.uid(), after.gid()),
            (0o4711, 1, 4242)
        );
    }
}
