//! A real nginx in front of the DevTools proxy, as an operator would put one there.

use std::{fs, net::Ipv4Addr, time::Duration};

use anyhow::Context as _;
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::{
    endpoints::Endpoints,
    patience,
    ports::Block,
    process::{Launch, Process},
};

/// A running nginx. Dropping it ends it.
#[derive(Debug)]
pub struct Nginx {
    port: u16,
    _process: Process,
    _block: Block,
    _folder: TempDir,
}

/// The path under which nginx serves the DevTools proxy.
pub const PREFIX: &str = "/browsers/one";

impl Nginx {
    /// Starts one that hands [`PREFIX`] on to the proxy.
    pub async fn start(at: &Endpoints) -> anyhow::Result<Self> {
        let folder = TempDir::with_prefix("browserd-e2e-").context("no temporary directory")?;
        let block = Block::claim()?;
        let port = block.port(0);
        let path = folder.path();
        fs::write(
            path.join("nginx.conf"),
            configuration(port, &at.devtools_url()),
        )?;
        let process = Launch::new("/usr/sbin/nginx")
            .arg("-p")
            .arg(path)
            .args(["-c", "nginx.conf", "-e", "error.log", "-g", "daemon off;"])
            .output(&path.join("output.log"))
            .spawn()?;
        let connect = async || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port))
                .await
                .map(drop)
        };
        let listens = patience::until(Duration::from_secs(10), connect).await;
        listens.with_context(|| fs::read_to_string(path.join("output.log")).unwrap_or_default())?;
        Ok(Self {
            port,
            _process: process,
            _block: block,
            _folder: folder,
        })
    }

    /// The address that clients use, without a scheme: host, port and prefix.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}{PREFIX}", self.port)
    }
}

fn configuration(port: u16, upstream: &str) -> String {
    format!(
        "worker_processes 1;
pid nginx.pid;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  scgi_temp_path scgi;
  uwsgi_temp_path uwsgi;
  map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
  server {{
    listen 127.0.0.1:{port};
    location {PREFIX}/ {{
      proxy_pass {upstream}/;
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Prefix {PREFIX};
    }}
  }}
}}
"
    )
}
