//! Watches tell what happens, once, and say so where they cannot.

mod places;
mod readers;
mod recursion;

use std::{
    collections::{HashMap, HashSet},
    fs,
    io::Write,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use browserd_files::{
    ChangeKind, Error, OsKind, WatchEvent, WatchEvents, WatchItem, WatchOptions, WriteOptions,
};

use crate::support::{Place, assert_os, fs_path, noise};

const DEEP: WatchOptions = WatchOptions { recursive: true };
const FLAT: WatchOptions = WatchOptions { recursive: false };
const PATIENCE: Duration = Duration::from_secs(30);

async fn watch(place: &Place, options: WatchOptions) -> (String, WatchEvents) {
    let id = place
        .files
        .watch(&fs_path(&place.root()), options)
        .await
        .unwrap();
    let events = place.files.watch_events(&id, None).unwrap();
    (id, events)
}

async fn next(events: &mut WatchEvents) -> Option<WatchItem> {
    let next = tokio::time::timeout(PATIENCE, events.next()).await;
    next.expect("nothing happened").map(Result::unwrap)
}

/// The events until one is about `last`, without gaps.
async fn until(events: &mut WatchEvents, last: &Path) -> Vec<WatchEvent> {
    let mut seen = Vec::new();
    loop {
        match next(events).await {
            Some(WatchItem::Event { event, .. }) if Path::new(&event.path) == last => return seen,
            Some(WatchItem::Event { event, .. }) => seen.push(event),
            other => panic!("{other:?} after {seen:?}"),
        }
    }
}

/// What happened, in short; the end is marked by a file of its own.
async fn told(place: &Place, events: &mut WatchEvents, mark: &str) -> Vec<String> {
    fs::create_dir(place.path(mark)).unwrap();
    let root = format!("{}/", place.root().display());
    let short = |path: &Path| {
        let path = path.to_str().unwrap();
        path.strip_prefix(&root).unwrap_or(path).to_owned()
    };
    let events = until(events, &place.path(mark)).await;
    let line = |event: WatchEvent| {
        let to = event
            .dest_path
            .map(|it| format!(" -> {}", short(&it)))
            .unwrap_or_default();
        format!("{:?} {}{to}", event.kind, short(&event.path))
    };
    events.into_iter().map(line).collect()
}

fn once(mut lines: Vec<String>) -> Vec<String> {
    lines.dedup();
    lines
}

#[tokio::test]
async fn what_happens_is_told() {
    let place = Place::new();
    fs::write(place.path("there"), "before").unwrap();
    let (_, mut events) = watch(&place, FLAT).await;
    fs::write(place.path("new"), "12345").unwrap();
    let lines = told(&place, &mut events, "m1").await;
    assert_eq!(once(lines), ["Create new", "Write new"]);
    fs::rename(place.path("new"), place.path("newer")).unwrap();
    fs::remove_file(place.path("there")).unwrap();
    assert_eq!(
        told(&place, &mut events, "m2").await,
        ["Rename new -> newer", "Delete there"]
    );
    fs::write(place.path("newer"), "123").unwrap();
    fs::create_dir(place.path("dir")).unwrap();
    fs::write(place.path("dir/unseen"), "").unwrap();
    let lines = told(&place, &mut events, "m3").await;
    assert_eq!(once(lines), ["Write newer", "Create dir"]);
}

#[tokio::test]
async fn events_carry_what_is_known_of_the_file() {
    let place = Place::new();
    let (_, mut events) = watch(&place, FLAT).await;
    // Written in one step: what is told is what the file is when the watch looks at it, and to
    // make it empty first would be a change of its own.
    let mut half = fs::File::create_new(place.path("half")).unwrap();
    half.write_all(b"12345").unwrap();
    let seen = until_kind(&mut events, ChangeKind::Write).await;
    assert_eq!((seen.name.to_str().unwrap(), seen.is_dir), ("half", false));
    assert_eq!(seen.size_bytes, Some(5));
    let modified = fs::metadata(place.path("half"))
        .unwrap()
        .modified()
        .unwrap();
    assert_eq!(seen.mod_time, Some(modified));
    fs::create_dir(place.path("dir")).unwrap();
    let seen = until_kind(&mut events, ChangeKind::Create).await;
    assert!(seen.is_dir && seen.size_bytes == Some(0));
    fs::remove_dir(place.path("dir")).unwrap();
    let seen = until_kind(&mut events, ChangeKind::Delete).await;
    assert!(seen.is_dir && seen.size_bytes.is_none() && seen.mod_time.is_none());
}

async fn until_kind(events: &mut WatchEvents, kind: ChangeKind) -> WatchEvent {
    loop {
        match next(events).await {
            Some(WatchItem::Event { event, .. }) if event.kind == kind => return event,
            Some(WatchItem::Event { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Our own writes are one change, whatever goes on behind it.
#[tokio::test]
async fn temporary_names_are_not_told_of() {
    let place = Place::new();
    let (_, mut events) = watch(&place, DEEP).await;
    place.write("file", &noise(2_000_000, 1)).await.unwrap();
    place.write("file", &noise(1_000_000, 2)).await.unwrap();
    let mut broken = place
        .files
        .write(&fs_path(&place.path("file")), WriteOptions::default())
        .await
        .unwrap();
    broken.write(noise(1_000_000, 3).into()).await.unwrap();
    drop(broken);
    assert_eq!(
        told(&place, &mut events, "m").await,
        ["Create file", "Write file"]
    );

    let memory = Place::in_memory();
    fs::create_dir_all(memory.path("dir/sub")).unwrap();
    fs::write(memory.path("dir/sub/file"), "").unwrap();
    let from = fs_path(&memory.path("dir"));
    place
        .files
        .move_to(&from, &fs_path(&place.path("moved")))
        .await
        .unwrap();
    let lines = told(&place, &mut events, "m2").await;
    assert_eq!(
        lines,
        ["Create moved", "Create moved/sub", "Create moved/sub/file"]
    );
}

#[tokio::test]
async fn renames_carry_both_paths_when_both_are_known() {
    let place = Place::new();
    let outside = Place::new();
    fs::create_dir_all(place.path("a/deep/er")).unwrap();
    fs::create_dir_all(place.path("b")).unwrap();
    fs::write(place.path("a/file"), "").unwrap();
    fs::write(outside.path("guest"), "").unwrap();
    let (_, mut events) = watch(&place, DEEP).await;
    fs::rename(place.path("a/file"), place.path("b/file")).unwrap();
    fs::rename(place.path("a"), place.path("b/a")).unwrap();
    // What is in a directory that was moved is told by its new name.
    fs::write(place.path("b/a/deep/er/new"), "").unwrap();
    let lines = told(&place, &mut events, "m1").await;
    assert_eq!(lines[..2], ["Rename a/file -> b/file", "Rename a -> b/a"]);
    assert_eq!(lines[2], "Create b/a/deep/er/new");
    fs::rename(outside.path("guest"), place.path("guest")).unwrap();
    assert_eq!(told(&place, &mut events, "m2").await, ["Create guest"]);
    fs::rename(place.path("guest"), outside.path("guest")).unwrap();
    let gone = until_kind(&mut events, ChangeKind::Rename).await;
    assert_eq!(
        (gone.name.to_str().unwrap(), gone.dest_path),
        ("guest", None)
    );
    fs::rename(place.path("b/a"), outside.path("a")).unwrap();
    until_kind(&mut events, ChangeKind::Rename).await;
    fs::write(outside.path("a/deep/er/unseen"), "").unwrap();
    assert!(told(&place, &mut events, "m3").await.is_empty());
}

/// Whatever comes into a new directory before anybody looks is told all the same, once.
#[tokio::test]
async fn a_watch_ends_with_its_directory() {
    let place = Place::new();
    fs::create_dir(place.path("dir")).unwrap();
    let path = fs_path(&place.path("dir"));
    let id = place.files.watch(&path, DEEP).await.unwrap();
    let mut events = place.files.watch_events(&id, None).unwrap();
    fs::remove_dir(place.path("dir")).unwrap();
    let gone = until_kind(&mut events, ChangeKind::Delete).await;
    assert_eq!((gone.path.as_path(), gone.is_dir), (path.as_path(), true));
    assert_eq!(next(&mut events).await, None);
}

#[tokio::test]
async fn a_file_is_watched_by_its_name() {
    let place = Place::new();
    fs::write(place.path("file"), "").unwrap();
    let id = place
        .files
        .watch(&fs_path(&place.path("file")), FLAT)
        .await
        .unwrap();
    let mut events = place.files.watch_events(&id, None).unwrap();
    fs::write(place.path("other"), "").unwrap();
    // Replaced by a rename, which is another file to the kernel.
    place.write("file", b"one").await.unwrap();
    let event = until_kind(&mut events, ChangeKind::Write).await;
    assert_eq!(
        (event.name.to_str().unwrap(), event.size_bytes),
        ("file", Some(3))
    );
    fs::rename(place.path("file"), place.path("away")).unwrap();
    let event = until_kind(&mut events, ChangeKind::Rename).await;
    assert_eq!(event.dest_path, Some(place.path("away")));
}

#[tokio::test]
async fn a_link_is_told_of_by_the_callers_path() {
    let place = Place::new();
    fs::create_dir(place.path("real")).unwrap();
    symlink("real", place.path("link")).unwrap();
    let id = place
        .files
        .watch(&fs_path(&place.path("link")), DEEP)
        .await
        .unwrap();
    let mut events = place.files.watch_events(&id, None).unwrap();
    fs::write(place.path("real/file"), "").unwrap();
    let event = until_kind(&mut events, ChangeKind::Create).await;
    assert_eq!(event.path, place.path("link/file"));
}

#[tokio::test]
async fn what_cannot_be_watched() {
    let place = Place::new();
    assert_os(
        place
            .files
            .watch(&fs_path(&place.path("missing")), FLAT)
            .await,
        OsKind::NotFound,
    );
    let refused = place
        .files
        .watch(&fs_path(Path::new("/proc/self")), FLAT)
        .await;
    assert!(
        matches!(
            refused,
            Err(Error::Unwatchable {
                file_system: "proc",
                ..
            })
        ),
        "{refused:?}"
    );
    // Neither counts as a watch.
    let place = Place::with(|config| config.watch_limits.watches = 1);
    assert_os(
        place
            .files
            .watch(&fs_path(&place.path("missing")), FLAT)
            .await,
        OsKind::NotFound,
    );
    watch(&place, FLAT).await;
}
