//! Chromium's discovery over HTTP: which request means what, and the addresses in the answers.
//! Pure functions; nothing here talks to anyone.

mod address;
mod request;
mod rewrite;
mod route;

pub use address::Address;
pub use request::{Request, request};
pub use rewrite::rewrite;
pub use route::Route;

/// Query parameters that say who calls. They are for the daemon, never for Chromium.
const CREDENTIALS: [&str; 2] = ["jwt", "token"];

/// Whether a `name=value` pair of a query is a credential.
fn is_credential(pair: &str) -> bool {
    CREDENTIALS.contains(&pair.split_once('=').map_or(pair, |(name, _)| name))
}
