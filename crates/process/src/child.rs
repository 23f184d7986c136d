//! The lower half: a program that runs, with raw pipes, its end and its group, and no store.

use std::sync::Arc;
use std::time::SystemTime;

use crate::children::{Exit, Watched};
use crate::group::Group;
use crate::launch::{Launched, launch};
use crate::streams::{Ends, Streams};
use crate::switch::Switch;
use crate::{Environment, Error, Program, Signal, pool};

/// Starts programs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Starter {
    shared: Arc<(Environment, Switch)>,
}

/// A program that runs. Dropped, its group is killed, and it is reaped in the background.
#[derive(Debug)]
pub struct Child {
    pub(crate) watched: Watched,
    pub(crate) reins: Reins,
    started_at: SystemTime,
    /// Our ends of its streams. What is taken out of it is the taker's.
    pub ends: Ends,
}

/// Kills a group when dropped.
#[derive(Debug)]
pub(crate) struct Reins {
    group: Group,
    kept: bool,
}

impl Reins {
    /// Whoever calls this sees to the group's end.
    pub(crate) fn keep(mut self) -> Group {
        self.kept = true;
        self.group.clone()
    }
}

impl Drop for Reins {
    fn drop(&mut self) {
        if !self.kept {
            // Gone already, or not ours to signal: nothing more can be done.
            let _ = self.group.signal(Signal::KILL);
        }
    }
}

impl Starter {
    /// What it starts inherits the environment, and becomes another user by the switch.
    ///
    /// # Errors
    ///
    /// When the system gives no thread to start programs on.
    pub fn new(environment: Environment, switch: Switch) -> Result<Self, Error> {
        pool::start().map_err(Error::system("start a thread"))?;
        Ok(Self {
            shared: Arc::new((environment, switch)),
        })
    }

    /// Starts a program, and returns when it runs. Must be called within a runtime.
    ///
    /// # Errors
    ///
    /// Nothing is left then.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, the process is killed if it was started.
    pub async fn start(&self, program: Program, streams: Streams) -> Result<Child, Error> {
        let shared = Arc::clone(&self.shared);
        let start = move || {
            let (environment, switch) = &*shared;
            let launched = launch(environment, switch, &program, streams)?;
            let group = Group::new(launched.own.pid(), launched.own.pidfd().clone());
            Ok((launched, Reins { group, kept: false }))
        };
        let (launched, reins) = pool::run(start).await.ok_or(Error::Stopping)??;
        let Launched {
            own,
            started_at,
            ends,
        } = launched;
        let watched = own.watch().map_err(Error::system("watch a process"))?;
        Ok(Child {
            watched,
            reins,
            started_at,
            ends,
        })
    }
}

impl Child {
    /// Its number, which is also that of its group and session.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.reins.group.number()
    }

    /// When it was started.
    #[must_use]
    pub const fn started_at(&self) -> SystemTime {
        self.started_at
    }

    /// The process group that it leads.
    #[must_use]
    pub const fn group(&self) -> &Group {
        &self.reins.group
    }

    /// Waits for its end and reaps it. What it has left of its group runs on until it is
    /// terminated, or this is dropped.
    ///
    /// # Cancel safety
    ///
    /// Safe: it is reaped in the same poll that returns its exit.
    pub async fn wait(&mut self) -> Exit {
        self.watched.wait().await
    }
}
