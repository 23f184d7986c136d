//! When the API port opens: at once, or when the machine can be used.

use std::{io, time::Duration};

use browserd_display::Display;
use tokio::{
    net::{TcpListener, TcpSocket},
    time::{sleep, timeout},
};

use crate::{app::App, readiness};

/// How long the port stays closed at most: a machine that does not become ready has to be asked
/// why.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
/// The pause between two looks at the display.
const PAUSE: Duration = Duration::from_millis(100);
/// How many connections may wait to be accepted, per port.
const BACKLOG: u32 = 1024;

/// When the API port opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OpenWhen {
    /// At once. What needs a part that is coming up waits for it.
    #[default]
    Start,
    /// When the browser and the display answer, for clients that take an open port for that.
    Ready,
}

/// A port that is ours. Nobody else can bind it, whether it is open or not.
#[derive(Debug)]
pub(crate) enum Port {
    Open(TcpListener),
    /// Whoever connects is refused.
    Closed(TcpSocket),
}

impl Port {
    pub(crate) fn new(socket: TcpSocket, open_when: OpenWhen) -> io::Result<Self> {
        match open_when {
            OpenWhen::Start => socket.listen(BACKLOG).map(Self::Open),
            OpenWhen::Ready => Ok(Self::Closed(socket)),
        }
    }

    /// Opens it, where that is still to be done, once the machine can be used or `limit` is over.
    pub(crate) async fn open(self, app: &App, limit: Duration) -> io::Result<TcpListener> {
        match self {
            Self::Open(listener) => Ok(listener),
            Self::Closed(socket) => {
                app.until_usable(limit).await;
                socket.listen(BACKLOG)
            }
        }
    }
}

impl App {
    /// Waits until the browser and the display answer, and says in the log how that went.
    async fn until_usable(&self, limit: Duration) {
        let upstream = &self.domains.upstream;
        let both = async {
            let display = async {
                if let Some(desktop) = &self.domains.desktop {
                    answers(&desktop.display).await;
                }
            };
            tokio::join!(upstream.wait(limit), display)
        };
        if let Ok((Ok(_), ())) = timeout(limit, both).await {
            tracing::info!("the browser and the display answer: the API port opens");
            return;
        }
        let parts = readiness::check(self).await.parts;
        tracing::warn!(
            devtools = parts.devtools.detail,
            display = parts.display.detail,
            supervisor = parts.supervisor.detail,
            waited_s = limit.as_secs(),
            "the browser and the display do not both answer: the API port opens all the same"
        );
    }
}

async fn answers(display: &Display) {
    while display.probe().await.is_err() {
        sleep(PAUSE).await;
    }
}
