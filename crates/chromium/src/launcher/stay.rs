//! Stays with Chromium until it ends, and lets it write its state when it has to.

use std::{
    convert::Infallible,
    future::pending,
    io,
    net::{Ipv4Addr, SocketAddr},
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Command, ExitStatus},
    time::Duration,
};

use browserd_devtools::{Peer, upstream};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::Child,
    signal::unix::{self, SignalKind, signal},
    task::spawn_blocking,
    time::{sleep, timeout},
};

use super::{Error, ended::Witness, starts::Starts, unknown};

/// How long Chromium may take to close by itself. supervisord kills all of it after
/// `stopwaitsecs`, which is longer.
const CLOSING: Duration = Duration::from_secs(6);

/// When flags are looked up: Chromium is the program that runs by then, and has started.
const LOOK_UP: Duration = Duration::from_secs(3);

/// How long Chromium has to live for its start to count as one that worked.
const LIVED: Duration = Duration::from_secs(10);

/// How Chromium ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code; one that was killed by signal n has 128 + n.
    pub code: u8,
    /// Why, in a sentence, where nobody asked for it and it failed.
    pub why: Option<String>,
}

/// What there is to know while Chromium runs.
pub(super) struct Stay<'a> {
    pub(super) binary: &'a Path,
    pub(super) internal_port: u16,
    pub(super) witness: Witness,
    pub(super) starts: &'a Starts,
}

impl Stay<'_> {
    /// Starts Chromium and waits for its end; a signal that asks for the end closes it. Tells
    /// meanwhile which of the names of flags it does not know.
    pub(super) fn with(self, command: Command, flags: Vec<String>) -> Result<Ended, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Error::Wait)?;
        let ended = runtime.block_on(self.run(command, flags));
        runtime.shutdown_background();
        ended
    }

    async fn run(self, command: Command, flags: Vec<String>) -> Result<Ended, Error> {
        let mut asked = Asked::catch().map_err(Error::Wait)?;
        let mut chromium = tokio::process::Command::from(command)
            .spawn()
            .map_err(|source| Error::Execute {
                binary: self.binary.to_owned(),
                source,
            })?;
        let pid = chromium.id();
        let status = tokio::select! {
            status = chromium.wait() => status,
            never = look_up(pid, flags) => match never {},
            never = self.live() => match never {},
            () = asked.come() => {
                end(&mut chromium, (Ipv4Addr::LOCALHOST, self.internal_port).into()).await;
                let status = chromium.wait().await.map_err(Error::Wait)?;
                self.starts.worked();
                return Ok(Ended { code: tell(status), why: None });
            }
        };
        let status = status.map_err(Error::Wait)?;
        let code = tell(status);
        // What it says last of all is not this launcher's.
        let ended = self.witness.tell(status).await;
        if ended.worked {
            self.starts.worked();
        }
        Ok(Ended {
            code,
            why: ended.why,
        })
    }

    /// Takes note once the start has worked, and never returns.
    async fn live(&self) -> Infallible {
        loop {
            sleep(LIVED).await;
            if self.witness.came_up() {
                self.starts.worked();
                return pending().await;
            }
        }
    }
}

/// Has the names looked up, and never returns.
async fn look_up(pid: Option<u32>, flags: Vec<String>) -> Infallible {
    if let Some(pid) = pid.filter(|_| !flags.is_empty()) {
        sleep(LOOK_UP).await;
        // What comes of it is in the log.
        drop(spawn_blocking(move || unknown::tell(pid, flags)).await);
    }
    pending().await
}

/// The signals that ask for the end.
struct Asked([unix::Signal; 3]);

impl Asked {
    fn catch() -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self([terminate, interrupt, signal(SignalKind::hangup())?]))
    }

    async fn come(&mut self) {
        let [terminate, interrupt, hangup] = &mut self.0;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// Closes Chromium; one that cannot be asked, or does not close, gets TERM.
async fn end(chromium: &mut Child, devtools: SocketAddr) {
    let browser = Peer::new(devtools.ip().to_string(), devtools.port());
    let closing = async {
        tokio::select! {
            _ = chromium.wait() => {}
            closed = upstream::quit(&browser) => closed?,
        }
        // What it ends with is asked for later.
        drop(chromium.wait().await);
        Ok::<(), upstream::QuitError>(())
    };
    match timeout(CLOSING, closing).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => {
            let error: &dyn std::error::Error = &error;
            tracing::info!(error, "Chromium cannot be asked to close");
        }
        Err(_) => tracing::warn!("Chromium does not close in {} s", CLOSING.as_secs()),
    }
    let pid = chromium.id().and_then(|pid| i32::try_from(pid).ok());
    if let Some(pid) = pid.and_then(Pid::from_raw) {
        // Not waited for yet, so the number is its own; it may have ended, which is as well.
        let _ = kill_process(pid, Signal::TERM);
    }
}

/// Logs how it ended; the code to end with.
fn tell(status: ExitStatus) -> u8 {
    let code = match (status.code(), status.signal()) {
        (Some(0), _) => {
            tracing::info!("Chromium ended");
            0
        }
        (Some(status), _) => {
            tracing::error!(status, "Chromium ended");
            status
        }
        (None, signal) => {
            let signal = signal.unwrap_or_default();
            tracing::error!(signal, "Chromium was killed");
            128 + signal
        }
    };
    u8::try_from(code).unwrap_or(u8::MAX)
}
