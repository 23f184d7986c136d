//! Retention, and the shutdown.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use browserd_process::{Config, Error, KeepAwake, Process, Program, Signal};
use tokio::time::timeout;

use super::support::*;

#[tokio::test]
async fn the_newest_exits_stay_visible() {
    let handle = running_with(Config {
        retained: 3,
        ..config()
    });
    let runs = handle
        .spawn(Program::new("sleep").args(["1000"]), None)
        .await
        .unwrap();
    let mut ids = Vec::new();
    for _ in 0..5 {
        let process = handle.spawn(Program::new("true"), None).await.unwrap();
        ended(&process).await;
        ids.push(process.id());
    }
    eventually("the oldest are forgotten", || handle.list().len() == 4).await;
    assert!(handle.get(runs.id()).is_ok());
    assert!(matches!(handle.get(ids[1]), Err(Error::Unknown { .. })));
    assert!(handle.get(ids[2]).is_ok());
    runs.kill(Signal::KILL).unwrap();
}

#[tokio::test]
async fn an_exit_is_forgotten_after_a_while() {
    let handle = running_with(Config {
        retention: Duration::from_millis(300),
        ..config()
    });
    let process = handle.spawn(sh("echo hi"), None).await.unwrap();
    let mut reader = from_start(&process);
    ended(&process).await;
    assert!(handle.get(process.id()).is_ok());
    eventually("it is forgotten", || handle.get(process.id()).is_err()).await;
    // Who reads it already goes on.
    assert_eq!(read_to_end(&mut reader).await.stdout, b"hi\n");
}

#[tokio::test]
async fn the_list_has_the_oldest_first() {
    let handle = running();
    let first = handle
        .spawn(Program::new("true").args(["a"]), None)
        .await
        .unwrap();
    let second = handle
        .spawn(Program::new("true").args(["b"]), None)
        .await
        .unwrap();
    let list = handle.list();
    assert_eq!(
        list.iter().map(Process::id).collect::<Vec<_>>(),
        [first.id(), second.id()]
    );
    assert_eq!(
        (list[1].command(), list[1].args()),
        ("true", &["b".to_owned()][..])
    );
    assert_eq!(list[0].pid(), first.pid());
}

#[derive(Debug, Default)]
struct Holds(Arc<AtomicUsize>);

struct Hold(Arc<AtomicUsize>);

impl KeepAwake for Holds {
    fn hold(&self) -> Box<dyn Any + Send> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::new(Hold(Arc::clone(&self.0)))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn the_machine_is_kept_awake_while_processes_run() {
    let count = Arc::new(AtomicUsize::new(0));
    let keep_awake: Option<Arc<dyn KeepAwake>> = Some(Arc::new(Holds(Arc::clone(&count))));
    let handle = running_with(Config {
        keep_awake,
        ..config()
    });
    let process = handle
        .spawn(Program::new("sleep").args(["1000"]), None)
        .await
        .unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 1);
    handle
        .exec(Program::new("no-such-command"))
        .await
        .unwrap_err();
    handle.exec(Program::new("true")).await.unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 1);
    process.kill(Signal::KILL).unwrap();
    eventually("nothing is held", || count.load(Ordering::SeqCst) == 0).await;
}

#[tokio::test]
async fn a_shutdown_ends_everything_within_its_bound() {
    let running = running_with(Config {
        stop_within: Duration::from_secs(6),
        ..config()
    });
    let script = "trap '' TERM; echo ready; while true; do sleep 0.1; done";
    let stubborn = running.spawn(sh(script), None).await.unwrap();
    read_until(&mut from_start(&stubborn), "ready").await;
    let willing = running
        .spawn(sh("sleep 1000 & sleep 1000"), None)
        .await
        .unwrap();
    let handle = running.handle.clone();
    let exec =
        tokio::runtime::Handle::current().spawn(async move { handle.exec(sh("sleep 1000")).await });
    eventually("all are started", || session(willing.pid()).len() == 3).await;

    let started = Instant::now();
    running.token.cancel();
    assert_eq!(ended(&willing).await, 143);
    assert!(matches!(
        running.exec(Program::new("true")).await,
        Err(Error::Stopping)
    ));
    timeout(PATIENCE, running.work).await.unwrap().unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(6),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(ended(&stubborn).await, 137);
    for leader in [stubborn.pid(), willing.pid()] {
        assert_eq!(session(leader), [] as [u32; 0]);
    }
    // Told of, if it had started before; refused, if not.
    match exec.await.unwrap() {
        Ok(outcome) => assert_eq!(outcome.exit.code(), 143),
        Err(error) => assert!(matches!(error, Error::Stopping), "{error:?}"),
    }
}
