//! Waiting until the internal port can be listened on.

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
    time::Instant,
};

use super::{Error, PORT_PATIENCE, pause};

/// Waits until nobody listens on the port. A Chromium that cannot have its port says so in one
/// line of its log and goes on without DevTools.
pub(super) fn wait_until_free(port: u16) -> Result<(), Error> {
    let deadline = Instant::now() + PORT_PATIENCE;
    loop {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline => {
                pause();
            }
            Err(source) => return Err(Error::PortInUse { port, source }),
        }
    }
}
