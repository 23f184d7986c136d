//! An upstream that looks like Chromium from far, and sends every message back.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context as _;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::{
    accept_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// A WebSocket echo server with a `/json/version`.
#[derive(Debug)]
pub struct Echo {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    stop: CancellationToken,
}

impl Echo {
    /// Starts one on a free port.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_on(0).await
    }

    /// The value for `DEVTOOLS_UPSTREAM` that names the one on this port.
    #[must_use]
    pub fn url_on(port: u16) -> String {
        url((Ipv4Addr::LOCALHOST, port).into())
    }

    /// Starts one on this port.
    pub async fn start_on(port: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .context("no port")?;
        let address = listener.local_addr()?;
        let (heads, stop) = (Arc::default(), CancellationToken::new());
        let serve = serve(listener, address, Arc::clone(&heads));
        let stopped = stop.clone();
        TaskTracker::new().spawn(async move { stopped.run_until_cancelled(serve).await });
        Ok(Self {
            address,
            heads,
            stop,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its browser endpoint, as a value for `DEVTOOLS_UPSTREAM`.
    #[must_use]
    pub fn url(&self) -> String {
        url(self.address)
    }

    /// The request heads that it has got, in order.
    #[must_use]
    pub fn heads(&self) -> Vec<String> {
        self.heads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn url(address: SocketAddr) -> String {
    format!("ws://{address}/devtools/browser/00000000-0000-4000-8000-000000000000")
}

async fn serve(listener: TcpListener, address: SocketAddr, heads: Arc<Mutex<Vec<String>>>) {
    // Dropping the set ends the connections with the listener.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { return };
                let heads = Arc::clone(&heads);
                // A connection that breaks is the other side's matter.
                connections.spawn(async move { drop(connection(stream, address, &heads).await) });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(
    mut stream: TcpStream,
    address: SocketAddr,
    heads: &Mutex<Vec<String>>,
) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 16 * 1024];
    let length = stream.peek(&mut buffer).await?;
    if length == 0 {
        // Somebody only looked whether the port is open.
        return Ok(());
    }
    let head = String::from_utf8_lossy(&buffer[..length]).into_owned();
    let is_upgrade = head.to_ascii_lowercase().contains("upgrade: websocket");
    heads
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(head);
    if is_upgrade {
        return echo(stream).await;
    }
    let body = format!(
        r#"{{"Browser":"Echo/1","Protocol-Version":"1.3","webSocketDebuggerUrl":"{}"}}"#,
        url(address)
    );
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    // What was peeked at is read, or closing would reset the connection.
    stream.read_exact(&mut buffer[..length]).await?;
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    Ok(())
}

async fn echo(stream: TcpStream) -> anyhow::Result<()> {
    let config = WebSocketConfig::default()
        .max_message_size(None)
        .max_frame_size(None);
    let mut socket = accept_async_with_config(stream, Some(config)).await?;
    while let Some(message) = socket.next().await {
        match message? {
            message @ (Message::Text(_) | Message::Binary(_)) => socket.send(message).await?,
            Message::Close(_) => break,
            _ => {}
        }
    }
    Ok(())
}
