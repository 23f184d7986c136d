//! The peer of the relay rows: socat, which joins two TCP connections.

use std::net::{Ipv4Addr, SocketAddr};

use browserd_e2e::process::{Launch, Process};

/// Starts a socat that serves one connection at a port.
pub(crate) fn start(port: u16, upstream: SocketAddr) -> anyhow::Result<(Process, SocketAddr)> {
    let listen = format!("TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,nodelay");
    let process = Launch::new("socat")
        .args([listen, format!("TCP:{upstream},nodelay")])
        .spawn()?;
    Ok((process, (Ipv4Addr::LOCALHOST, port).into()))
}
