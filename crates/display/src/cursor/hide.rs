//! Hiding the cursor.
//!
//! The X server counts hiding by client and undoes it when the client leaves (fixesproto,
//! `HideCursor`). So it lasts as long as the connection, and ends with the daemon by itself.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use x11rb::protocol::{Event, xfixes::ConnectionExt as _};

use super::enable;
use crate::{
    Connection, Display, Error,
    error::Attempt as _,
    keeper::{Concern, Keeper},
};

/// Hides the cursor, and shows it again. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Cursor {
    keeper: Keeper<Wish>,
    hidden: Hidden,
}

/// Whether the cursor is hidden here. The X server does not tell: its `GetCursorImage` gives the
/// picture of a hidden cursor too.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hidden(Arc<AtomicBool>);

impl Hidden {
    pub(crate) fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn set(&self, hidden: bool) {
        self.0.store(hidden, Ordering::Release);
    }
}

impl Cursor {
    /// The handle, and the future that does its work until the token is cancelled or the last
    /// handle is dropped; then the cursor is shown again.
    pub fn spawn(
        display: Display,
        token: CancellationToken,
    ) -> Result<(Self, impl Future<Output = ()> + Send), Error> {
        let hidden = Hidden::default();
        let hiding = Hiding {
            hidden: hidden.clone(),
        };
        let (keeper, run) = Keeper::spawn(display, hiding, token)?;
        Ok((Self { keeper, hidden }, run))
    }

    pub(crate) fn hidden(&self) -> Hidden {
        self.hidden.clone()
    }

    /// Hides the cursor or shows it; doing so twice does nothing more. A hidden cursor is hidden
    /// again after a restart of the X server.
    ///
    /// # Errors
    /// Where there is no X server, nothing changes, also not later.
    ///
    /// # Cancel safety
    /// Dropping the future may or may not stop the change.
    pub async fn set_hidden(&self, hidden: bool) -> Result<(), Error> {
        let (answer, done) = oneshot::channel();
        self.keeper.send(Wish { hidden, answer }).await?;
        done.await.unwrap_or(Err(Error::Interrupted))
    }

    /// As [`Self::set_hidden`], for threads that may block.
    pub fn set_hidden_blocking(&self, hidden: bool) -> Result<(), Error> {
        let (answer, done) = oneshot::channel();
        self.keeper.send_blocking(Wish { hidden, answer })?;
        done.blocking_recv().unwrap_or(Err(Error::Interrupted))
    }
}

#[derive(Debug)]
struct Wish {
    hidden: bool,
    answer: oneshot::Sender<Result<(), Error>>,
}

#[derive(Debug)]
struct Hiding {
    hidden: Hidden,
}

impl Drop for Hiding {
    fn drop(&mut self) {
        // The connection ends with it.
        self.hidden.set(false);
    }
}

impl Hiding {
    fn set(&mut self, connection: &Connection, hidden: bool) -> Result<(), Error> {
        if self.hidden.get() == hidden {
            return connection.round_trip();
        }
        apply(connection, hidden)?;
        self.hidden.set(hidden);
        Ok(())
    }
}

fn apply(connection: &Connection, hidden: bool) -> Result<(), Error> {
    let (x, root) = (&connection.x, connection.root);
    let (what, cookie) = if hidden {
        ("hide the cursor", x.xfixes_hide_cursor(root))
    } else {
        ("show the cursor", x.xfixes_show_cursor(root))
    };
    cookie.attempt(what)?.check().attempt(what)
}

impl Concern for Hiding {
    type Mail = Wish;

    fn holds(&self) -> bool {
        self.hidden.get()
    }

    fn connected(&mut self, connection: &Connection) -> Result<(), Error> {
        enable(connection)?;
        if self.hidden.get() {
            apply(connection, true)?;
        }
        Ok(())
    }

    fn mail(&mut self, connection: Result<&Connection, Error>, mail: Wish) -> Option<Error> {
        let done = connection.and_then(|connection| self.set(connection, mail.hidden));
        let failed = done.as_ref().err().cloned();
        // Whoever asked may have left.
        let _ = mail.answer.send(done);
        failed
    }

    fn event(&mut self, _connection: &Connection, _event: Event) -> Result<(), Error> {
        Ok(())
    }

    fn lost(&mut self, _error: &Error) {}
}
