//! The HTTP layer, and the only crate that knows axum: listeners, router, middleware,
//! routes, and the one place where errors become responses.
//!
//! A route extracts, calls one method of a domain, and converts. The flow of a request:
//!
//! ```text
//! listener → request id → access log → error bodies → who may call → CORS → route
//! ```

mod app;
mod cors;
mod error;
mod extract;
mod handshake;
mod held;
mod listener;
mod metrics;
mod middleware;
mod openapi;
mod opening;
mod readiness;
mod restart;
mod router;
mod routes;
mod server;
mod session;
mod sse;
mod table;
mod time;
mod waiting;

pub use crate::{
    app::{Config, Domains, Pools},
    listener::Limits,
    middleware::caller::{HostPattern, Origin, Rules},
    openapi::openapi_yaml,
    opening::OpenWhen,
    server::{BindError, Listen, Running, Server},
};
