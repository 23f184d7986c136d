//! The asynchronous side of a follower: waits for inotify and runs the steps of [`Tail`] where
//! they may block.

use std::mem;
use std::path::PathBuf;
use std::sync::Arc;

use browserd_blocking::{Pool, Work};
use tokio::sync::Notify;

use crate::tail::{Step, Tail};
use crate::{Config, Error, Event};

/// A reader of a growing file. See the [crate] for what it does at a rotation.
///
/// Each follower holds one inotify instance (the kernel allows 128 per user by default), one
/// thread that waits on it, and buffers bounded by [`Config::max_line_bytes`] and 64 KiB.
#[derive(Debug)]
pub struct Follower {
    phase: Phase,
    wake: Arc<Notify>,
    path: PathBuf,
    pool: Pool,
}

/// Where the reading stands. The [`Tail`] travels to a blocking thread for each step.
#[derive(Debug)]
enum Phase {
    /// There may be more to read.
    Ready(Box<Tail>),
    /// All is read; the next event tells.
    Idle(Box<Tail>),
    /// A step runs.
    Stepping(Work<(Box<Tail>, Result<Step, Error>)>),
    /// What is left in the buffers is the last.
    Ending(Box<Tail>),
    /// Nothing more comes.
    Ended,
}

impl Follower {
    /// Make a follower. The file is touched first by [`Follower::next`].
    ///
    /// # Errors
    ///
    /// [`Error::Watch`] if the kernel gives no inotify instance.
    pub fn new(config: Config) -> Result<Self, Error> {
        let wake = Arc::new(Notify::new());
        let (path, pool) = (config.path.clone(), config.pool.clone());
        let tail = Tail::new(config, &wake)?;
        Ok(Self {
            phase: Phase::Ready(Box::new(tail)),
            wake,
            path,
            pool,
        })
    }

    /// The next event; `None` when the end is reached and more is not waited for.
    ///
    /// # Errors
    ///
    /// The follower has ended then, and yields `None` from there on. With `follow` this is
    /// [`Error::Watch`] alone, if the kernel gives no more inotify watches.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped before it is done.
    pub async fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            match &mut self.phase {
                Phase::Ready(tail) | Phase::Idle(tail) | Phase::Ending(tail) => {
                    if let Some(event) = tail.pop() {
                        return Ok(Some(event));
                    }
                }
                Phase::Stepping(step) => {
                    let joined = step.await;
                    self.phase = match joined {
                        Ok((tail, Ok(Step::Progress))) => Phase::Ready(tail),
                        Ok((tail, Ok(Step::Idle))) => Phase::Idle(tail),
                        Ok((tail, Ok(Step::Ended))) => Phase::Ending(tail),
                        Ok((tail, Err(error))) => {
                            self.phase = Phase::Ended;
                            self.pool.let_go(&self.path, tail);
                            return Err(error);
                        }
                        Err(source) => {
                            self.phase = Phase::Ended;
                            let path = self.path.clone();
                            return Err(Error::NoAnswer { path, source });
                        }
                    };
                    continue;
                }
                Phase::Ended => return Ok(None),
            }
            if matches!(self.phase, Phase::Idle(_)) {
                // An event from before the last step leaves a permit: at worst one step in vain.
                self.wake.notified().await;
            }
            self.phase = match mem::replace(&mut self.phase, Phase::Ended) {
                Phase::Ready(mut tail) | Phase::Idle(mut tail) => {
                    Phase::Stepping(self.pool.run(&self.path, move || {
                        let step = tail.step();
                        (tail, step)
                    }))
                }
                // Nothing is in its buffers any more.
                Phase::Ending(tail) => {
                    self.pool.let_go(&self.path, tail);
                    Phase::Ended
                }
                other => {
                    debug_assert!(!matches!(other, Phase::Stepping(_)));
                    Phase::Ended
                }
            };
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // Closing its files may block.
        match mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Ready(tail) | Phase::Idle(tail) | Phase::Ending(tail) => {
                self.pool.let_go(&self.path, tail);
            }
            Phase::Stepping(_) | Phase::Ended => {}
        }
    }
}
