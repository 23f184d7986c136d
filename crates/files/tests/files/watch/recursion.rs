//! Directories that come under a recursive watch, and what comes in them at once.

use super::*;

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
        config.watch_limits.queued = 0;
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
                    *created.entry(event.path).or_insert(0) += 1;
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
                *created.entry(event.path).or_insert(0) += 1;
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
                *created.entry(event.path).or_insert(0) += 1;
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
