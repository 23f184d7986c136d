//! Asking the daemon whether the machine is ready.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{MissedTickBehavior, interval, timeout},
};

/// How long to leave between two questions that were answered with no.
const PAUSE: Duration = Duration::from_millis(500);
/// How long one answer may take: longer than the daemon waits for Chromium by default.
const PATIENCE: Duration = Duration::from_secs(15);
/// Its first line is enough.
const HEAD: usize = 12;

/// Returns once `/readyz` says yes.
///
/// The DevTools proxy is asked first: it answers at the moment when Chromium is there, which is
/// what everything else comes up before. So readiness is seen without asking again and again.
///
/// # Cancel safety
/// The future can be dropped at any time.
pub(crate) async fn wait(api: SocketAddr, devtools: SocketAddr) {
    let mut ticks = interval(PAUSE);
    // At once after an answer that took longer than the pause.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // Whatever it says, the parts are looked at by the daemon alone.
        let _ = timeout(PATIENCE, ask(devtools, "/json/version")).await;
        if let Ok(Some(true)) = timeout(PATIENCE, ask(api, "/readyz")).await {
            return;
        }
    }
}

/// Asks once; `None` when nobody answers.
async fn ask(address: SocketAddr, path: &str) -> Option<bool> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut head = [0; HEAD];
    stream.read_exact(&mut head).await.ok()?;
    Some(head.ends_with(b" 200"))
}
