//! The clipboard: the text of the X selection `CLIPBOARD`.
//!
//! X keeps no clipboard. A client owns the selection and hands its text to whoever asks, in
//! pieces where it is large (ICCCM, sections 2.1 to 2.7). So a thread of the daemon stays
//! connected: it owns what was written here, and asks other owners for what they have.
//!
//! ```text
//! write ─► own CLIPBOARD ─► answer every SelectionRequest until someone else owns it
//! read  ─► own text? else ConvertSelection ─► property, or INCR piece by piece ─► text
//! ```

mod atoms;
mod incoming;
mod outgoing;
mod owner;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::{Display, Error, keeper::Keeper};
use owner::Owner;

/// The longest text that is taken from another client, in bytes.
pub const CLIPBOARD_MAX: usize = 64 * 1024 * 1024;

/// What the thread is asked.
#[derive(Debug)]
enum Wish {
    Read(oneshot::Sender<Result<String, Error>>),
    Write(String, oneshot::Sender<Result<(), Error>>),
}

/// Reads and writes the clipboard. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Clipboard(Keeper<Wish>);

impl Clipboard {
    /// The handle, and the future that does its work until the token is cancelled or the last
    /// handle is dropped.
    pub fn spawn(
        display: Display,
        token: CancellationToken,
    ) -> Result<(Self, impl Future<Output = ()> + Send), Error> {
        let (keeper, run) = Keeper::spawn(display, Owner::default(), token)?;
        Ok((Self(keeper), run))
    }

    /// The clipboard's text; empty when nobody owns it, and when what it holds is no text.
    ///
    /// # Errors
    /// [`Error::ClipboardSilent`] when its owner stays silent, and those of a server that cannot
    /// be reached.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn read(&self) -> Result<String, Error> {
        let (answer, text) = oneshot::channel();
        self.0.send(Wish::Read(answer)).await?;
        text.await.unwrap_or(Err(Error::Interrupted))
    }

    /// Makes `text` the clipboard's, until another client takes it over. After a restart of the
    /// X server it is offered again as soon as the server is back.
    ///
    /// # Cancel safety
    /// Dropping the future may or may not stop the change.
    pub async fn write(&self, text: String) -> Result<(), Error> {
        let (answer, done) = oneshot::channel();
        self.0.send(Wish::Write(text, answer)).await?;
        done.await.unwrap_or(Err(Error::Interrupted))
    }
}
