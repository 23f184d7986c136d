//! Brings the real stack up and drives it from outside.
//!
//! [`Stack`] is supervisord with X, D-Bus, Chromium and the daemon, [`Daemon`] the daemon
//! alone. Each lives in its own directory, on ports and a display that no other test has, and
//! is taken down with everything it started when the value is dropped. Both run the `browserd`
//! that `BROWSERD_BIN` names, or else the one that Cargo built into the folder of the test:
//! build it first, with `cargo build -p browserd`. With `E2E_IMAGE` both are containers of that
//! image instead (module `runner`).
//!
//! The programs in `e2e/clients` run with the Python of `E2E_PYTHON` (`.run/venv/bin/python`
//! unless set) and the Node of `E2E_NODE` (the one inside that Python's `playwright`);
//! `scripts/clients` installs what they need. `E2E_PATIENCE` is a factor on every wait, for a
//! machine that is slow or busy.

pub mod api;
pub mod case;
pub mod cdp;
pub mod chromium;
pub mod clients;
pub mod container;
pub mod daemon;
pub mod echo;
pub mod endpoints;
pub mod http;
pub mod hung;
pub mod journal;
pub mod metrics;
pub mod nginx;
pub mod openapi;
pub mod patience;
pub mod ports;
pub mod process;
pub mod procfs;
mod runner;
pub mod settings;
pub mod site;
pub mod spawned;
pub mod sse;
pub mod stack;

pub use self::{
    api::Api, cdp::Cdp, chromium::Chromium, daemon::Daemon, echo::Echo, endpoints::Endpoints,
    http::Call, journal::Journal, nginx::Nginx, site::Site, stack::Stack,
};
