//! Readers that come late, and the ends of watches.

use super::*;

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
