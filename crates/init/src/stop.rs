//! The orderly end: the daemon, the services, the rest. All inside ten seconds, which is what
//! container engines wait before they kill.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use browserd_supervisor::Client;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    signal::unix::Signal as Caught,
    time::{MissedTickBehavior, interval, timeout, timeout_at},
};

use crate::{
    children::{self, Kept, Reaped},
    machine,
};

/// How long the daemon may take before the services are told to stop as well. It says good-bye
/// to its clients first, which takes milliseconds unless one of them does not listen.
const DAEMON: Duration = Duration::from_secs(4);
/// When the daemon and the services must have ended.
const SERVICES: Duration = Duration::from_millis(8_500);
/// How long what is then left may take to end by itself.
const REST: Duration = Duration::from_millis(400);
/// How long the kernel may take to end what was killed.
const KILLED: Duration = Duration::from_millis(300);
/// How often supervisord is woken while it stops: its loop does not notice the end of a program
/// before something happens on a descriptor, for up to a second.
const WAKE: Duration = Duration::from_millis(50);

/// What is to be stopped.
#[derive(Debug)]
pub(crate) struct Stopping<'a> {
    pub(crate) daemon: &'a mut Kept,
    pub(crate) services: &'a mut Kept,
    pub(crate) supervisor: &'a Client,
    /// SIGCHLD.
    pub(crate) child: &'a mut Caught,
}

impl Stopping<'_> {
    /// Ends everything.
    pub(crate) async fn run(mut self) {
        let started = Instant::now();
        self.daemon.signal(Signal::SIGTERM);
        self.wait(started + DAEMON, |all| all.daemon.pid().is_none())
            .await;
        self.services.signal(Signal::SIGTERM);
        let supervisor = self.supervisor.clone();
        let ended = self.wait(started + SERVICES, |all| {
            all.daemon.pid().is_none() && all.services.pid().is_none()
        });
        while_waking(&supervisor, ended).await;
        self.end_rest().await;
        let duration_ms = started.elapsed().as_secs_f64() * 1000.0;
        tracing::info!(duration_ms, "all ended");
    }

    async fn end_rest(&mut self) {
        for (signal, patience) in [(Signal::SIGTERM, REST), (Signal::SIGKILL, KILLED)] {
            if self.reap() {
                return;
            }
            signal_all(signal);
            self.wait(Instant::now() + patience, |_| false).await;
        }
    }

    /// Reaps until `done`, or nobody is left, or it is too late.
    async fn wait(&mut self, deadline: Instant, done: impl Fn(&Self) -> bool) {
        while !self.reap() && !done(self) {
            if timeout_at(deadline.into(), self.child.recv())
                .await
                .is_err()
            {
                return;
            }
        }
    }

    /// Reaps what has ended; says whether nobody is left.
    fn reap(&mut self) -> bool {
        loop {
            match children::reap() {
                Reaped::One(pid, how) => {
                    for kept in [&mut *self.daemon, &mut *self.services] {
                        if kept.pid() == Some(pid) {
                            kept.stopped(how);
                        }
                    }
                }
                Reaped::StillRunning => return false,
                Reaped::NobodyLeft => return true,
            }
        }
    }
}

/// Wakes supervisord's loop again and again.
async fn while_waking(supervisor: &Client, work: impl Future<Output = ()>) {
    let waking = async {
        let mut ticks = interval(WAKE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // Only the connection counts; a supervisord that is gone needs no waking.
            let _ = timeout(WAKE, supervisor.state()).await;
        }
    };
    tokio::select! {
        biased;
        () = work => {}
        () = waking => {}
    }
}

/// Signals every process of the machine; where this is not its first, the orphans it has.
fn signal_all(signal: Signal) {
    if machine::is_first() {
        // Nobody left is no failure.
        let _ = kill(Pid::from_raw(-1), signal);
    } else {
        for orphan in children::orphans(&[]) {
            orphan.signal(signal);
        }
    }
}
