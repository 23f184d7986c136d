//! Pools on real threads, and a mount whose server never answers.

use std::{
    path::Path,
    sync::mpsc,
    time::{Duration, Instant},
};

use browserd_blocking::{Counts, Error, Limits, Pool, progress, waiting};

/// Nobody gets near it, but when what is tested hangs.
const LONG: Duration = Duration::from_secs(120);
const PLACE: &str = "/";

fn limits() -> Limits {
    Limits {
        threads: 4,
        threads_each: 2,
        queue_each: 2,
        queue: 8,
        deadline: LONG,
    }
}

fn soon() -> Limits {
    Limits {
        deadline: Duration::from_millis(50),
        ..limits()
    }
}

/// A call that goes on until it is told.
fn hanging(pool: &Pool, place: &str) -> (mpsc::Sender<()>, browserd_blocking::Work<()>) {
    let (release, held) = mpsc::channel::<()>();
    let work = pool.run(place, move || {
        let _ = held.recv();
    });
    (release, work)
}

async fn until(pool: &Pool, is_so: impl Fn(Counts) -> bool) {
    let begun = Instant::now();
    while !is_so(pool.counts()) {
        assert!(begun.elapsed() < LONG, "{:?}", pool.counts());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_call_is_done_and_its_outcome_comes_back() {
    let pool = Pool::new("test", limits());
    assert_eq!(pool.run(PLACE, || 7).await, Ok(7));
    until(&pool, |counts| counts == Counts::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_a_thousand_calls_are_done() {
    let roomy = Limits {
        queue: 1000,
        queue_each: 1000,
        ..limits()
    };
    let pool = Pool::new("test", roomy);
    let works: Vec<_> = (0..1000).map(|n| pool.run(PLACE, move || n)).collect();
    for (n, work) in works.into_iter().enumerate() {
        assert_eq!(work.await, Ok(n));
    }
}

#[tokio::test]
#[should_panic(expected = "as it was meant")]
async fn a_panic_goes_to_who_waits() {
    let pool = Pool::new("test", limits());
    let _ = pool.run(PLACE, || panic!("as it was meant")).await;
}

#[tokio::test]
async fn a_file_system_has_its_share_of_threads_and_of_the_queue() {
    let pool = Pool::new("test", limits());
    let held: Vec<_> = (0..4).map(|_| hanging(&pool, PLACE)).collect();
    until(&pool, |counts| counts.busy == 2 && counts.queued == 2).await;
    let place = PLACE.into();
    assert_eq!(pool.run(PLACE, || ()).await, Err(Error::Full { place }));
    assert_eq!(pool.counts().refused, 1);
    // Another file system has its own.
    assert_eq!(pool.run("/proc", || 1).await, Ok(1));
    for (release, work) in held {
        drop(release);
        assert_eq!(work.await, Ok(()));
    }
}

#[tokio::test]
async fn past_the_deadline_nobody_waits_and_the_thread_is_stuck_until_it_is_back() {
    let pool = Pool::new("test", soon());
    let (first, work) = hanging(&pool, PLACE);
    let no_answer = Error::NoAnswer {
        place: PLACE.into(),
        within: soon().deadline,
    };
    assert_eq!(work.await, Err(no_answer.clone()));
    until(&pool, |counts| counts.stuck == 1 && counts.busy == 1).await;
    let (second, work) = hanging(&pool, PLACE);
    assert_eq!(work.await, Err(no_answer));
    // Its whole share is gone: no need to wait.
    let place = PLACE.into();
    assert_eq!(pool.run(PLACE, || ()).await, Err(Error::Stuck { place }));
    drop((first, second));
    until(&pool, |counts| counts.busy == 0).await;
    assert_eq!(pool.run(PLACE, || 1).await, Ok(1));
}

#[tokio::test]
async fn a_call_that_gets_on_or_waits_for_others_has_no_deadline() {
    let pool = Pool::new("test", soon());
    let begun = Instant::now();
    let work = pool.run(PLACE, move || {
        // Each time longer than nothing, all together longer than the deadline.
        while begun.elapsed() < soon().deadline * 4 {
            progress();
            std::thread::yield_now();
        }
        waiting(|| {
            while begun.elapsed() < soon().deadline * 8 {
                std::thread::yield_now();
            }
        });
        1
    });
    assert_eq!(work.await, Ok(1));
}

#[tokio::test]
async fn an_abandoned_call_that_has_not_begun_never_does() {
    let pool = Pool::new("test", limits());
    let held: Vec<_> = (0..2).map(|_| hanging(&pool, PLACE)).collect();
    until(&pool, |counts| counts.busy == 2).await;
    let (sender, done) = mpsc::channel::<()>();
    drop(pool.run(PLACE, move || sender.send(())));
    drop(held);
    until(&pool, |counts| counts.busy == 0 && counts.queued == 0).await;
    assert_eq!(done.try_recv(), Err(mpsc::TryRecvError::Disconnected));
}

#[tokio::test]
async fn what_is_let_go_is_never_refused() {
    let pool = Pool::new("test", limits());
    let held: Vec<_> = (0..2).map(|_| hanging(&pool, PLACE)).collect();
    let (sender, dropped) = mpsc::channel::<()>();
    for _ in 0..100 {
        pool.let_go(PLACE, sender.clone());
    }
    drop((held, sender));
    let gone = tokio::task::spawn_blocking(move || dropped.recv_timeout(LONG));
    let disconnected = mpsc::RecvTimeoutError::Disconnected;
    assert_eq!(gone.await.unwrap(), Err(disconnected));
}

/// A link onto another file system costs that file system's share.
#[tokio::test]
async fn a_link_counts_for_the_file_system_that_it_leads_to() {
    let pool = Pool::new("test", soon());
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink("/proc", &link).unwrap();
    let inside = link.join("self");
    let held: Vec<_> = (0..2)
        .map(|_| hanging(&pool, inside.to_str().unwrap()))
        .collect();
    let mut releases = Vec::new();
    for (release, work) in held {
        assert!(matches!(work.await, Err(Error::NoAnswer { .. })));
        releases.push(release);
    }
    assert!(matches!(
        pool.run(Path::new("/proc/version"), || ()).await,
        Err(Error::Stuck { .. })
    ));
    assert_eq!(pool.run(folder.path(), || 1).await, Ok(1));
}
