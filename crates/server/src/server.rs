//! Binding, running and draining the listeners.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use axum::Router;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpSocket;
use tokio_util::sync::CancellationToken;

use crate::{
    app::{App, Config, Domains},
    listener::{Admission, Listener, Shared},
    opening::{self, OpenWhen, Port},
    router,
};

/// Where to listen. Port 0 lets the system choose.
#[derive(Debug, Clone)]
pub struct Listen {
    /// The address of all ports. `::` takes IPv4 too, and falls back to `0.0.0.0` on a
    /// machine without IPv6.
    pub address: IpAddr,
    /// Port of the HTTP API.
    pub api: u16,
    /// Port of the DevTools proxy.
    pub devtools: u16,
    /// Port of the metrics.
    pub metrics: u16,
    /// When the API port opens; the others do at once.
    pub open_when: OpenWhen,
}

/// A port cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({setting})")]
pub struct BindError {
    address: SocketAddr,
    setting: &'static str,
    #[source]
    source: io::Error,
}

/// The bound sockets. Clients can connect, and are answered once [`Server::run`] is called.
#[derive(Debug)]
pub struct Server {
    api: Port,
    devtools: Port,
    metrics: Port,
}

impl Server {
    /// Binds all ports, so that a conflict shows before any work has begun.
    ///
    /// # Errors
    ///
    /// The address, the setting that chose its port, and the system's error.
    pub fn bind(listen: &Listen) -> Result<Self, BindError> {
        let bind = |port, setting, open_when| {
            bind(SocketAddr::new(listen.address, port), setting, open_when)
        };
        Ok(Self {
            api: bind(listen.api, "PORT", listen.open_when)?,
            devtools: bind(listen.devtools, "DEVTOOLS_PROXY_PORT", OpenWhen::Start)?,
            metrics: bind(listen.metrics, "METRICS_PORT", OpenWhen::Start)?,
        })
    }

    /// Serves in tasks of its own until drained through the returned handle.
    pub fn run(self, config: Config, domains: Domains) -> Running {
        let stop = CancellationToken::new();
        let app = App::new(config, domains);
        let limits = &app.config.limits;
        let shared = Shared {
            admission: Admission::new(limits.connections),
            limits: limits.clone(),
            stop: stop.clone(),
            tracker: app.tasks.clone(),
        };
        let start = |name, any_query, port: Port, router: Router| {
            let (app, shared) = (app.clone(), shared.clone());
            app.clone().tasks.spawn(async move {
                let opened = port.open(&app, opening::LIMIT);
                match shared.stop.run_until_cancelled(opened).await {
                    Some(Ok(socket)) => {
                        let listener = Listener {
                            name,
                            any_query,
                            socket,
                            router,
                        };
                        listener.serve(shared.clone()).await;
                    }
                    Some(Err(error)) => {
                        tracing::error!(listener = name, %error, "cannot open the port");
                    }
                    None => {}
                }
            });
        };
        start("api", false, self.api, router::api(&app));
        start("devtools", true, self.devtools, router::devtools(&app));
        start("metrics", false, self.metrics, router::metrics(&app));
        Running { app, stop }
    }
}

/// The listeners at work. Dropping it changes nothing; draining is asked for step by step.
#[derive(Debug)]
pub struct Running {
    app: App,
    stop: CancellationToken,
}

impl Running {
    /// Says not ready, closes the sockets, and lets idle connections go.
    pub fn stop_accepting(&self) {
        self.app.begin_draining();
        self.stop.cancel();
        self.app.tasks.close();
    }

    /// Tells every DevTools session that the daemon goes, and waits until all have ended.
    ///
    /// # Cancel safety
    ///
    /// The sessions end all the same; only the waiting stops.
    pub async fn end_sessions(&self) {
        self.app.sessions.end_all().await;
    }

    /// Waits until every connection has ended, and what was begun on one and must be finished.
    ///
    /// # Cancel safety
    ///
    /// Only the waiting stops.
    pub async fn end_connections(&self) {
        self.app.tasks.wait().await;
    }
}

fn bind(
    address: SocketAddr,
    setting: &'static str,
    open_when: OpenWhen,
) -> Result<Port, BindError> {
    let bind_one = |address| Port::new(bind_one(address)?, open_when);
    let bound = match (address.ip(), bind_one(address)) {
        // No IPv6 on this machine: everything is everything IPv4.
        (IpAddr::V6(ip), Err(error)) if ip.is_unspecified() && is_without_ipv6(&error) => bind_one(
            SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port()),
        ),
        (_, bound) => bound,
    };
    bound.map_err(|source| BindError {
        address,
        setting,
        source,
    })
}

fn is_without_ipv6(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrNotAvailable, Unsupported};
    let no_family = error.raw_os_error() == Some(nix::libc::EAFNOSUPPORT);
    no_family || matches!(error.kind(), Unsupported | AddrNotAvailable)
}

fn bind_one(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking(),
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // A restarted daemon must not wait for its old connections' TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(TcpSocket::from_std_stream(socket.into()))
}
