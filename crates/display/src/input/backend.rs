//! What a way to the mouse and the keyboard must be able to do.

use std::{
    convert::Infallible,
    sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError},
    time::{Duration, Instant},
};

use super::{names::Key, path::Bounds, request::Point, typing::Tap};
use crate::Error;

/// A way to the mouse and the keyboard. It blocks, and remembers what it holds down.
pub(super) trait Backend: Send {
    /// Makes sure that there is a screen, and says how large it is. Precedes everything else.
    fn begin(&mut self) -> Result<Bounds, Error>;

    /// Where the pointer is.
    fn position(&mut self) -> Result<Point, Error>;

    /// Puts the pointer there.
    fn motion(&mut self, to: Point) -> Result<(), Error>;

    /// Presses or releases a button.
    fn button(&mut self, number: u8, down: bool) -> Result<(), Error>;

    /// Makes sure that these keys can be pressed; needed before [`Self::press`].
    fn prepare(&mut self, keys: &[Key]) -> Result<(), Error>;

    /// Presses the keys in this order.
    fn press(&mut self, keys: &[Key]) -> Result<(), Error>;

    /// Releases the keys in the opposite order.
    fn release(&mut self, keys: &[Key]) -> Result<(), Error>;

    /// Types.
    fn type_taps(&mut self, taps: &[Tap], clock: &Clock) -> Result<(), Error>;

    /// Sees to it that the server has done what it was told so far.
    fn flush(&mut self) -> Result<(), Error>;

    /// Ends what [`Self::begin`] began, and undoes what was lent for it. Unless it went well,
    /// everything is released that is still down; else that was asked for.
    fn end(&mut self, went_well: bool) -> Result<(), Error>;
}

/// Time, as long as somebody still waits for the outcome.
#[derive(Debug)]
pub(super) struct Clock {
    /// Never says anything, but tells when the other side is dropped.
    caller: Receiver<Infallible>,
}

impl Clock {
    pub(super) fn new(caller: Receiver<Infallible>) -> Self {
        Self { caller }
    }

    /// Fails once nobody waits any more.
    pub(super) fn check(&self) -> Result<(), Error> {
        match self.caller.try_recv() {
            Err(TryRecvError::Disconnected) => Err(Error::Interrupted),
            Ok(_) | Err(TryRecvError::Empty) => Ok(()),
        }
    }

    /// Waits, and fails at once when nobody waits any more.
    pub(super) fn pause(&self, duration: Duration) -> Result<(), Error> {
        if duration.is_zero() {
            return self.check();
        }
        match self.caller.recv_timeout(duration) {
            Err(RecvTimeoutError::Disconnected) => Err(Error::Interrupted),
            Ok(_) | Err(RecvTimeoutError::Timeout) => Ok(()),
        }
    }

    /// As [`Self::pause`], until a moment. Pauses that follow each other so do not add up
    /// their delays.
    pub(super) fn until(&self, moment: Instant) -> Result<(), Error> {
        self.pause(moment.saturating_duration_since(Instant::now()))
    }
}
