//! Directories that take the place of others, and those that are too many.

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::*;

/// What an installer's last step is: the new one over an empty one.
#[tokio::test]
async fn a_directory_renamed_over_an_empty_one_goes_on_being_watched() {
    let place = Place::new();
    for dir in ["new/deep", "old"] {
        fs::create_dir_all(place.path(dir)).unwrap();
    }
    fs::write(place.path("new/f"), "1").unwrap();
    let (_, mut events) = watch(&place, DEEP).await;
    fs::rename(place.path("new"), place.path("old")).unwrap();
    assert_eq!(told(&place, &mut events, "m1").await, ["Rename new -> old"]);
    fs::write(place.path("old/g"), "").unwrap();
    fs::write(place.path("old/deep/h"), "").unwrap();
    fs::remove_file(place.path("old/f")).unwrap();
    assert_eq!(
        told(&place, &mut events, "m2").await,
        ["Create old/g", "Create old/deep/h", "Delete old/f"]
    );
    // From where nobody looks, over an empty one again.
    let outside = Place::new();
    fs::create_dir_all(outside.path("guest/in")).unwrap();
    fs::create_dir(place.path("host")).unwrap();
    fs::rename(outside.path("guest"), place.path("host")).unwrap();
    let lines = told(&place, &mut events, "m3").await;
    assert_eq!(lines.last().unwrap(), "Create host/in", "{lines:?}");
    fs::write(place.path("host/in/x"), "").unwrap();
    let lines = told(&place, &mut events, "m4").await;
    assert_eq!(lines, ["Create host/in/x"]);
}

#[tokio::test]
async fn two_that_are_exchanged_go_on_being_watched() {
    let place = Place::new();
    for dir in ["a/one", "b/two"] {
        fs::create_dir_all(place.path(dir)).unwrap();
    }
    for file in ["f", "g"] {
        fs::write(place.path(file), file).unwrap();
    }
    let (_, mut events) = watch(&place, DEEP).await;
    let exchange = |one: &str, other: &str| {
        let (one, other) = (place.path(one), place.path(other));
        renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
    };
    exchange("a", "b");
    exchange("f", "g");
    assert_eq!(
        told(&place, &mut events, "m1").await,
        [
            "Rename a -> b",
            "Rename b -> a",
            "Rename f -> g",
            "Rename g -> f"
        ]
    );
    fs::write(place.path("a/two/x"), "").unwrap();
    fs::write(place.path("b/one/y"), "").unwrap();
    fs::remove_file(place.path("f")).unwrap();
    fs::remove_file(place.path("g")).unwrap();
    assert_eq!(
        told(&place, &mut events, "m2").await,
        ["Create a/two/x", "Create b/one/y", "Delete f", "Delete g"]
    );
    // A file for a directory, and there and back.
    fs::write(place.path("file"), "").unwrap();
    exchange("a", "file");
    exchange("a", "file");
    told(&place, &mut events, "m3").await;
    fs::write(place.path("a/two/z"), "").unwrap();
    assert_eq!(told(&place, &mut events, "m4").await, ["Create a/two/z"]);
}

#[tokio::test]
async fn a_directory_moved_into_a_new_one_goes_on_being_watched() {
    let place = Place::new();
    fs::create_dir_all(place.path("old/deep")).unwrap();
    let (_, mut events) = watch(&place, DEEP).await;
    for round in 0..20 {
        let new = place.path(&format!("new{round}"));
        fs::create_dir(&new).unwrap();
        fs::rename(place.path("old"), new.join("old")).unwrap();
        told(&place, &mut events, &format!("m{round}")).await;
        fs::write(new.join("old/deep/x"), "").unwrap();
        let lines = told(&place, &mut events, &format!("n{round}")).await;
        assert_eq!(lines, [format!("Create new{round}/old/deep/x")]);
        fs::remove_file(new.join("old/deep/x")).unwrap();
        fs::rename(new.join("old"), place.path("old")).unwrap();
        told(&place, &mut events, &format!("o{round}")).await;
    }
}

/// Past the limit nothing would be told of the rest: so the watch ends, and says why.
#[tokio::test]
async fn a_limit_in_the_middle_of_a_watch_is_told() {
    let place = Place::with(|config| config.watch_limits.directories = 3);
    fs::create_dir(place.path("there")).unwrap();
    let (_, mut events) = watch(&place, DEEP).await;
    for dir in ["one", "two", "three"] {
        fs::create_dir(place.path(dir)).unwrap();
    }
    let error = loop {
        let next = tokio::time::timeout(PATIENCE, events.next()).await;
        match next.expect("nothing happened") {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error.to_string(),
            None => panic!("it ended without a word"),
        }
    };
    assert!(error.contains("limit of inotify watches"), "{error}");
    let refused = place.files.watch(&fs_path(&place.root()), DEEP).await;
    assert!(
        matches!(refused, Err(Error::WatchLimit { .. })),
        "{refused:?}"
    );
}
