//! Everything that a screen offers, on one display.

use futures_util::future;
use tokio_util::sync::CancellationToken;

use crate::{
    Clipboard, Cursor, Display, Error, Screen,
    input::{self, Backend, Input},
};

/// Handles to all parts of one display. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Desktop {
    /// Its size.
    pub display: Display,
    /// Its pixels.
    pub screen: Screen,
    /// Its cursor's visibility.
    pub cursor: Cursor,
    /// Its clipboard.
    pub clipboard: Clipboard,
    /// Its mouse and keyboard.
    pub input: Input,
}

impl Desktop {
    /// The handles, and the future that does their work until the token is cancelled. The
    /// display need not be there yet, and may come and go.
    pub fn spawn(
        display: Display,
        backend: Backend,
        token: &CancellationToken,
    ) -> Result<(Self, impl Future<Output = ()> + Send + use<>), Error> {
        let (cursor, hiding) = Cursor::spawn(display.clone(), token.clone())?;
        let (screen, grabbing) = Screen::spawn(display.clone(), &cursor, token.clone());
        let (clipboard, sharing) = Clipboard::spawn(display.clone(), token.clone())?;
        let switched = cursor.clone();
        let config = input::Config {
            display: Some(display.clone()),
            backend,
            cursor: Some(std::sync::Arc::new(move |hidden| {
                switched.set_hidden_blocking(hidden)
            })),
            plain_clients: false,
            seed: None,
        };
        let (input, pressing) =
            input::start(config, token.clone()).map_err(|source| Error::Wake {
                source: std::sync::Arc::new(source),
            })?;
        let run = async {
            future::join4(hiding, grabbing, sharing, pressing).await;
        };
        let desktop = Self {
            display,
            screen,
            cursor,
            clipboard,
            input,
        };
        Ok((desktop, run))
    }
}
