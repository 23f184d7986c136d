//! A follower against real files and real inotify: reading, appearing, vanishing.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use browserd_follow::{Config, Error, Event, Follower, Line, Start, State};
use tempfile::TempDir;
use tokio::time::timeout;

/// Longer than any machine needs; reached only when something is lost.
const PATIENCE: Duration = Duration::from_secs(20);

fn scratch() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    (dir, path)
}

fn append(path: &Path, text: impl AsRef<[u8]>) {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    file.write_all(text.as_ref()).unwrap();
}

fn follower(path: &Path, start: Start) -> Follower {
    Follower::new(Config::new(path).start(start)).unwrap()
}

async fn event(follower: &mut Follower) -> Event {
    timeout(PATIENCE, follower.next())
        .await
        .expect("an event in time")
        .unwrap()
        .expect("the follower goes on")
}

/// The next line, past what became of the file.
async fn line(follower: &mut Follower) -> Line {
    loop {
        match event(follower).await {
            Event::Line(line) => return line,
            Event::State(_) => {}
            gap @ Event::Gap { .. } => panic!("unexpected {gap:?}"),
        }
    }
}

async fn text(follower: &mut Follower) -> String {
    String::from_utf8(line(follower).await.bytes.to_vec()).unwrap()
}

async fn state(follower: &mut Follower) -> State {
    match event(follower).await {
        Event::State(state) => state,
        other => panic!("expected a state, got {other:?}"),
    }
}

/// Nothing comes; used only where a line would come at once.
async fn quiet(follower: &mut Follower) {
    let next = timeout(Duration::from_millis(100), follower.next()).await;
    assert!(next.is_err(), "unexpected {next:?}");
}

/// All lines of a file that is not followed.
async fn once(path: &Path, start: Start) -> Vec<String> {
    let mut follower = Follower::new(Config::new(path).start(start).once()).unwrap();
    let mut lines = Vec::new();
    while let Some(event) = timeout(PATIENCE, follower.next()).await.unwrap().unwrap() {
        if let Event::Line(line) = event {
            lines.push(String::from_utf8(line.bytes.to_vec()).unwrap());
        }
    }
    lines
}

#[tokio::test]
async fn lines_carry_the_place_behind_them() {
    let (_dir, path) = scratch();
    append(&path, "one\n\nthree\n");
    let mut follower = follower(&path, Start::Beginning);
    let inode = fs::metadata(&path).unwrap().ino();
    for (text, offset) in [("one", 4), ("", 5), ("three", 11)] {
        let line = line(&mut follower).await;
        assert_eq!((&line.bytes[..], line.offset), (text.as_bytes(), offset));
        assert_eq!((line.inode, line.continued), (inode, false));
    }
}

#[tokio::test]
async fn a_partial_line_waits_for_its_newline() {
    let (_dir, path) = scratch();
    append(&path, "DevTools listening on ws://127.0.");
    let mut follower = follower(&path, Start::Beginning);
    assert_eq!(state(&mut follower).await, State::Reading);
    quiet(&mut follower).await;
    append(&path, "0.1:9223/x\n");
    assert_eq!(
        text(&mut follower).await,
        "DevTools listening on ws://127.0.0.1:9223/x"
    );
}

#[tokio::test]
async fn a_100_kib_line_is_one_and_a_longer_one_than_the_limit_is_split() {
    let (_dir, path) = scratch();
    let mut follower = follower(&path, Start::Beginning);
    append(&path, format!("{}\n", "x".repeat(100 * 1024)));
    assert_eq!(text(&mut follower).await.len(), 100 * 1024);

    let long = "0123456789abcdef".repeat(200_000);
    append(&path, format!("{long}\nnext\n"));
    let mut joined = Vec::new();
    loop {
        let piece = line(&mut follower).await;
        assert!(piece.bytes.len() <= 1024 * 1024);
        joined.extend_from_slice(&piece.bytes);
        if !piece.continued {
            break;
        }
    }
    assert_eq!(joined, long.as_bytes());
    assert_eq!(text(&mut follower).await, "next");
}

#[tokio::test]
async fn starts() {
    let (_dir, path) = scratch();
    append(&path, "a\nb url\nc\nd\npart");
    assert_eq!(
        once(&path, Start::Beginning).await,
        ["a", "b url", "c", "d", "part"]
    );
    assert_eq!(once(&path, Start::End).await, [""; 0]);
    assert_eq!(once(&path, Start::LastLines(2)).await, ["d", "part"]);
    assert_eq!(once(&path, Start::LastLines(5)).await.len(), 5);
    assert_eq!(once(&path, Start::LastLines(99)).await.len(), 5);
    assert_eq!(
        once(&path, Start::LastMatch(b"url".to_vec())).await,
        ["b url", "c", "d", "part"]
    );

    let mut at_end = follower(&path, Start::End);
    assert_eq!(state(&mut at_end).await, State::Reading);
    append(&path, "ial\ne\n");
    assert_eq!(
        text(&mut at_end).await,
        "partial",
        "a line begun before comes whole"
    );
    assert_eq!(text(&mut at_end).await, "e");
    assert_eq!(once(&path, Start::LastLines(1)).await, ["e"]);
}

#[tokio::test]
async fn starts_reach_back_over_many_blocks() {
    let (_dir, path) = scratch();
    let filler = format!("{}\n", "y".repeat(999));
    append(&path, "early url\n");
    append(&path, filler.repeat(3000));
    let lines = once(&path, Start::LastLines(2500)).await;
    assert_eq!(lines.len(), 2500);
    let lines = once(&path, Start::LastMatch(b"url".to_vec())).await;
    assert_eq!((lines.len(), lines[0].as_str()), (3001, "early url"));
}

#[tokio::test]
async fn the_last_match_is_found_in_a_rotated_file() {
    let (_dir, path) = scratch();
    append(&path.with_extension("2"), "url old\n");
    append(&path.with_extension("1"), "x\nurl new\ny\n");
    append(&path, "z\n");
    let mut follower = follower(&path, Start::LastMatch(b"url".to_vec()));
    for expected in ["url new", "y", "z"] {
        assert_eq!(text(&mut follower).await, expected);
    }
}

#[tokio::test]
async fn reading_resumes_where_it_stopped_even_in_a_rotated_file() {
    let (_dir, path) = scratch();
    append(&path, "one\ntwo\n");
    let mut first = follower(&path, Start::Beginning);
    let one = line(&mut first).await;
    drop(first);
    fs::rename(&path, path.with_extension("2")).unwrap();
    append(&path.with_extension("1"), "three\n");
    append(&path, "four\n");
    let resume = one.behind();
    assert_eq!(once(&path, resume.clone()).await, ["two", "three", "four"]);

    let mut again = follower(&path, resume);
    for expected in ["two", "three", "four"] {
        assert_eq!(text(&mut again).await, expected);
    }
}

#[tokio::test]
async fn a_resume_that_cannot_be_had_tells_a_gap() {
    let (_dir, path) = scratch();
    append(&path, "one\n");
    let inode = fs::metadata(&path).unwrap().ino();
    for resume in [
        Start::Resume {
            inode: inode + 1_000_000,
            born_ns: None,
            offset: 2,
        },
        // Another file had the number.
        Start::Resume {
            inode,
            born_ns: Some(1),
            offset: 2,
        },
        Start::Resume {
            inode,
            born_ns: None,
            offset: 999,
        },
    ] {
        let mut follower = follower(&path, resume);
        assert_eq!(event(&mut follower).await, Event::Gap { lost_bytes: None });
        assert_eq!(text(&mut follower).await, "one");
    }
}

#[tokio::test]
async fn a_file_and_its_directories_may_come_late() {
    let (dir, _) = scratch();
    let path = dir.path().join("a/b/log");
    let mut follower = follower(&path, Start::End);
    assert_eq!(state(&mut follower).await, State::Missing);
    fs::create_dir(dir.path().join("a")).unwrap();
    quiet(&mut follower).await;
    fs::create_dir(dir.path().join("a/b")).unwrap();
    quiet(&mut follower).await;
    append(&path, "first\n");
    assert_eq!(text(&mut follower).await, "first");
}

#[tokio::test]
async fn a_directory_may_be_deleted_and_made_again() {
    let (dir, _) = scratch();
    let path = dir.path().join("a/b/log");
    for round in 0..3 {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        append(&path, format!("{round}\n"));
        let mut follower = follower(&path, Start::Beginning);
        assert_eq!(text(&mut follower).await, round.to_string());
        fs::remove_dir_all(dir.path().join("a")).unwrap();
        while event(&mut follower).await != Event::State(State::Missing) {}
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        quiet(&mut follower).await;
        append(&path, "again\n");
        assert_eq!(text(&mut follower).await, "again");
        // Renamed away and replaced, which leaves the old directory watched unless it is noticed.
        fs::rename(dir.path().join("a/b"), dir.path().join("a/old")).unwrap();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        while event(&mut follower).await != Event::State(State::Missing) {}
        quiet(&mut follower).await;
        append(&path, "replaced\n");
        assert_eq!(text(&mut follower).await, "replaced");
        fs::remove_dir_all(dir.path().join("a")).unwrap();
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_told_and_read_once_it_can() {
    let (_dir, path) = scratch();
    symlink("log", &path).unwrap();
    let mut looped = follower(&path, Start::Beginning);
    let State::Unreadable(reason) = state(&mut looped).await else {
        panic!("it can be read")
    };
    assert!(reason.contains("symbolic links"), "{reason}");
    fs::remove_file(&path).unwrap();
    assert_eq!(state(&mut looped).await, State::Missing);
    fs::create_dir(&path).unwrap();
    assert_eq!(
        state(&mut looped).await,
        State::Unreadable("not a regular file".into())
    );
    fs::remove_dir(&path).unwrap();
    append(&path, "now\n");
    assert_eq!(text(&mut looped).await, "now");
}

#[tokio::test]
async fn a_pipe_is_refused_without_waiting_for_a_writer() {
    let (_dir, path) = scratch();
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, 0o600.into()).unwrap();
    let mut follower = follower(&path, Start::Beginning);
    assert!(matches!(state(&mut follower).await, State::Unreadable(_)));
}

#[tokio::test]
async fn without_follow_a_missing_file_is_an_error() {
    let (_dir, path) = scratch();
    let mut follower = Follower::new(Config::new(&path).once()).unwrap();
    let error = timeout(PATIENCE, follower.next())
        .await
        .unwrap()
        .unwrap_err();
    assert!(matches!(error, Error::Open { .. }), "{error}");
    assert_eq!(follower.next().await.unwrap(), None);
}

#[tokio::test]
async fn a_symbolic_link_is_followed_to_where_the_writer_writes() {
    let (dir, path) = scratch();
    let real = dir.path().join("elsewhere");
    fs::create_dir(&real).unwrap();
    symlink(real.join("out"), &path).unwrap();
    let mut follower = follower(&path, Start::Beginning);
    assert_eq!(state(&mut follower).await, State::Missing);
    append(&real.join("out"), "one\n");
    assert_eq!(text(&mut follower).await, "one");
    append(&real.join("out"), "two\n");
    assert_eq!(text(&mut follower).await, "two");
    fs::rename(real.join("out"), real.join("out.1")).unwrap();
    append(&real.join("out"), "three\n");
    assert_eq!(text(&mut follower).await, "three");
}

#[tokio::test]
async fn dropping_next_loses_nothing() {
    let (_dir, path) = scratch();
    let mut follower = follower(&path, Start::Beginning);
    let writer = {
        let path = path.clone();
        tokio::task::spawn_blocking(move || {
            for number in 0..20_000 {
                append(&path, format!("{number}\n"));
            }
        })
    };
    let mut expected = 0;
    let mut dropped = 0;
    while expected < 20_000 {
        // A future that is polled once and dropped, again and again.
        let polled = tokio::select! {
            biased;
            event = follower.next() => Some(event.unwrap().unwrap()),
            () = tokio::task::yield_now() => None,
        };
        match polled {
            Some(Event::Line(line)) => {
                assert_eq!(line.bytes, expected.to_string());
                expected += 1;
            }
            Some(_) => {}
            None => dropped += 1,
        }
    }
    writer.await.unwrap();
    assert!(dropped > 100, "only {dropped} futures were dropped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_arrives_without_a_pause() {
    let (_dir, path) = scratch();
    append(&path, "");
    let mut follower = follower(&path, Start::Beginning);
    assert_eq!(state(&mut follower).await, State::Reading);
    let mut delays = Vec::new();
    for number in 0..200 {
        let written = Instant::now();
        append(&path, format!("{number}\n"));
        assert_eq!(text(&mut follower).await, number.to_string());
        delays.push(written.elapsed());
    }
    delays.sort_unstable();
    println!("median {:?}, 99 % {:?}", delays[100], delays[198]);
    // The bench has the figure; a follower that looked every so often would take longer than this.
    assert!(
        delays[100] < Duration::from_millis(100),
        "median {:?}",
        delays[100]
    );
}
