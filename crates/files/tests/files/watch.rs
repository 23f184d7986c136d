//! Watches tell what happens, once, and say so where they cannot.

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
    let short = |path: &str| path.strip_prefix(&root).unwrap_or(path).to_owned();
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
    assert_eq!((seen.name.as_str(), seen.is_dir), ("half", false));
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
    assert_eq!((gone.name.as_str(), gone.dest_path), ("guest", None));
    fs::rename(place.path("b/a"), outside.path("a")).unwrap();
    until_kind(&mut events, ChangeKind::Rename).await;
    fs::write(outside.path("a/deep/er/unseen"), "").unwrap();
    assert!(told(&place, &mut events, "m3").await.is_empty());
}

/// Whatever comes into a new directory before anybody looks is told all the same, once.
#[tokio::test]
async fn new_directories_are_followed_without_a_race() {
    let place = Place::new();
    let (_, mut events) = watch(&place, DEEP).await;
    let mut expected = HashSet::new();
    for outer in 0..20 {
        let dir = place.path(&format!("{outer}/x/y/z"));
        fs::create_dir_all(&dir).unwrap();
        for file in 0..10 {
            fs::write(dir.join(file.to_string()), "").unwrap();
            expected.insert(dir.join(file.to_string()));
        }
        expected.extend(dir.ancestors().take(4).map(Path::to_owned));
    }
    let created = creations(&mut events, expected.len()).await;
    assert_once(&created, &expected);
    fs::remove_dir_all(place.path("0")).unwrap();
    fs::create_dir_all(place.path("0/x")).unwrap();
    let lines = told(&place, &mut events, "m").await;
    let deleted = lines
        .iter()
        .filter(|line| line.starts_with("Delete 0"))
        .count();
    assert_eq!(deleted, 14, "{lines:?}");
    assert_eq!(lines[lines.len() - 2..], ["Create 0", "Create 0/x"]);
}

/// The kernel's queue holds 16,384 events: some of these may be lost there, and are found again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_is_told_of_once_each() {
    const DIRS: usize = 100;
    const FILES: usize = 200;
    // So many that a reader on a busy machine is not the one that loses them.
    let place = Place::with(|config| config.watch_limits.events = 1_000_000);
    let (_, mut events) = watch(&place, DEEP).await;
    let mut expected = HashSet::new();
    let dirs: Vec<PathBuf> = (0..DIRS)
        .map(|dir| place.path(&format!("{}/{}/{dir}", dir % 5, dir % 20)))
        .collect();
    for dir in &dirs {
        expected.extend((0..FILES).map(|file| dir.join(file.to_string())));
        let inner = dir.strip_prefix(place.root()).unwrap();
        let up = dir.ancestors().take(inner.iter().count());
        expected.extend(up.map(Path::to_owned));
    }
    let maker = tokio::task::spawn_blocking(move || {
        for dir in dirs {
            fs::create_dir_all(&dir).unwrap();
            for file in 0..FILES {
                fs::write(dir.join(file.to_string()), "x").unwrap();
            }
        }
    });
    let mut created = creations(&mut events, expected.len()).await;
    maker.await.unwrap();
    late_creations(&place, &mut events, &mut created).await;
    assert_once(&created, &expected);
}

/// As above with a queue that is full for sure.
#[tokio::test]
async fn a_loss_is_told_and_made_good() {
    let place = Place::with(|config| {
        config.watch_limits.events = 1_000_000;
        config.watch_limits.queued = 8;
    });
    fs::create_dir(place.path("dir")).unwrap();
    for file in 0..200 {
        fs::write(place.path(&format!("dir/old{file}")), "").unwrap();
    }
    let (_, mut events) = watch(&place, DEEP).await;
    for file in 0..200 {
        fs::remove_file(place.path(&format!("dir/old{file}"))).unwrap();
    }
    let mut expected = HashSet::new();
    for file in 0..30_000 {
        let path = place.path(&format!("dir/new{file}"));
        fs::write(&path, "").unwrap();
        expected.insert(path);
    }
    let (mut created, mut deleted, mut gaps) = (HashMap::new(), 0, 0);
    while created.len() < expected.len() || deleted < 200 {
        match next(&mut events).await {
            Some(WatchItem::Gap { lost_events, .. }) => {
                assert_eq!(lost_events, None);
                gaps += 1;
            }
            Some(WatchItem::Event { event, .. }) => match event.kind {
                ChangeKind::Create => {
                    *created.entry(PathBuf::from(event.path)).or_insert(0) += 1;
                }
                ChangeKind::Delete => deleted += 1,
                ChangeKind::Write => {}
                ChangeKind::Rename => panic!("{event:?}"),
            },
            None => panic!("the watch ended"),
        }
    }
    late_creations(&place, &mut events, &mut created).await;
    assert_once(&created, &expected);
    assert_eq!(deleted, 200);
    assert!(gaps > 0);
}

/// What is told until all that happened has been: the last thing is a directory that is made now.
async fn late_creations(
    place: &Place,
    events: &mut WatchEvents,
    created: &mut HashMap<PathBuf, usize>,
) {
    let last = place.path("last");
    fs::create_dir(&last).unwrap();
    while created.remove(&last).is_none() {
        match next(events).await {
            Some(WatchItem::Event { event, .. }) if event.kind == ChangeKind::Create => {
                *created.entry(PathBuf::from(event.path)).or_insert(0) += 1;
            }
            Some(_) => {}
            None => panic!("the watch ended"),
        }
    }
}

async fn creations(events: &mut WatchEvents, expected: usize) -> HashMap<PathBuf, usize> {
    let mut created = HashMap::new();
    while created.len() < expected {
        match next(events).await {
            Some(WatchItem::Event { event, .. }) if event.kind == ChangeKind::Create => {
                *created.entry(PathBuf::from(event.path)).or_insert(0) += 1;
            }
            Some(
                WatchItem::Event { .. }
                | WatchItem::Gap {
                    lost_events: None, ..
                },
            ) => {}
            other => panic!("{other:?} after {} creations", created.len()),
        }
    }
    created
}

#[track_caller]
fn assert_once(created: &HashMap<PathBuf, usize>, expected: &HashSet<PathBuf>) {
    let paths: HashSet<PathBuf> = created.keys().cloned().collect();
    assert!(
        paths == *expected,
        "{:?}",
        paths
            .symmetric_difference(expected)
            .take(5)
            .collect::<Vec<_>>()
    );
    let twice: Vec<_> = created
        .iter()
        .filter(|(_, times)| **times != 1)
        .take(5)
        .collect();
    assert!(twice.is_empty(), "{twice:?}");
}

#[tokio::test]
async fn readers_resume_and_are_told_what_they_missed() {
    let place = Place::with(|config| config.watch_limits.events = 10);
    let (id, mut first) = watch(&place, FLAT).await;
    let mut sequences = Vec::new();
    for index in 0..5 {
        fs::create_dir(place.path(&index.to_string())).unwrap();
        if let Some(WatchItem::Event { sequence, .. }) = next(&mut first).await {
            sequences.push(sequence);
        }
    }
    assert_eq!(sequences, [1, 2, 3, 4, 5]);
    let mut again = place.files.watch_events(&id, Some(3)).unwrap();
    assert!(matches!(
        next(&mut again).await,
        Some(WatchItem::Event { sequence: 4, .. })
    ));
    // A slow reader does not hold up another, and is told how many it lost.
    let mut slow = place.files.watch_events(&id, Some(2)).unwrap();
    for index in 5..30 {
        fs::create_dir(place.path(&index.to_string())).unwrap();
        assert!(matches!(
            next(&mut first).await,
            Some(WatchItem::Event { .. })
        ));
    }
    let gap = WatchItem::Gap {
        sequence: 20,
        lost_events: Some(18),
    };
    assert_eq!(next(&mut slow).await, Some(gap));
    for expected in 21..=30 {
        let got = next(&mut slow).await;
        assert!(matches!(got, Some(WatchItem::Event { sequence, .. }) if sequence == expected));
    }
    // A new reader gets what is kept, and has missed nothing that it knew of.
    let mut new = place.files.watch_events(&id, None).unwrap();
    assert!(matches!(
        next(&mut new).await,
        Some(WatchItem::Event { sequence: 21, .. })
    ));
    // A number that was not given yet is the newest.
    let mut ahead = place.files.watch_events(&id, Some(9999)).unwrap();
    fs::create_dir(place.path("last")).unwrap();
    assert!(matches!(
        next(&mut ahead).await,
        Some(WatchItem::Event { sequence: 31, .. })
    ));
}

#[tokio::test]
async fn watches_end() {
    let place = Place::with(|config| config.watch_limits.watches = 2);
    let (id, mut events) = watch(&place, FLAT).await;
    let (_, _other) = watch(&place, FLAT).await;
    let root = fs_path(&place.root());
    let third = place.files.watch(&root, FLAT).await;
    assert!(
        matches!(third, Err(Error::TooManyWatches { limit: 2 })),
        "{third:?}"
    );
    fs::create_dir(place.path("dir")).unwrap();
    assert!(matches!(
        next(&mut events).await,
        Some(WatchItem::Event { .. })
    ));
    place.files.end_watch(&id).unwrap();
    assert_eq!(next(&mut events).await, None);
    assert!(matches!(
        place.files.end_watch(&id),
        Err(Error::UnknownWatch { .. })
    ));
    assert!(matches!(
        place.files.watch_events(&id, None),
        Err(Error::UnknownWatch { .. })
    ));

    // All of them, at the end.
    let (_, mut events) = watch(&place, FLAT).await;
    place.files.end_watches();
    assert_eq!(next(&mut events).await, None);
}

/// One that nobody reads goes by itself; one that is read stays.
#[tokio::test]
async fn an_idle_watch_ends() {
    // Long enough for a busy machine to begin to read in time.
    const IDLE: Duration = Duration::from_secs(3);
    let place = Place::with(|config| {
        config.watch_limits.watches = 1;
        config.watch_limits.idle = IDLE;
    });
    let (id, reader) = watch(&place, FLAT).await;
    // What is tested is that time passes.
    tokio::time::sleep(IDLE + IDLE / 2).await;
    drop(place.files.watch_events(&id, None).unwrap());
    drop(reader);
    // To look for it would be to read it: its place is looked at.
    let patience = tokio::time::Instant::now() + IDLE + PATIENCE;
    let root = fs_path(&place.root());
    while let Err(error) = place.files.watch(&root, FLAT).await {
        assert!(
            matches!(error, Error::TooManyWatches { limit: 1 }),
            "{error}"
        );
        assert!(tokio::time::Instant::now() < patience, "it did not end");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(place.files.watch_events(&id, None).is_err());
}

#[tokio::test]
async fn a_watch_ends_with_its_directory() {
    let place = Place::new();
    fs::create_dir(place.path("dir")).unwrap();
    let path = fs_path(&place.path("dir"));
    let id = place.files.watch(&path, DEEP).await.unwrap();
    let mut events = place.files.watch_events(&id, None).unwrap();
    fs::remove_dir(place.path("dir")).unwrap();
    let gone = until_kind(&mut events, ChangeKind::Delete).await;
    assert_eq!((gone.path, gone.is_dir), (path.to_string(), true));
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
    assert_eq!((event.name.as_str(), event.size_bytes), ("file", Some(3)));
    fs::rename(place.path("file"), place.path("away")).unwrap();
    let event = until_kind(&mut events, ChangeKind::Rename).await;
    assert_eq!(event.dest_path.as_deref(), place.path("away").to_str());
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
    assert_eq!(event.path, place.path("link/file").to_str().unwrap());
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
