//! Chromium's DevTools from outside: where the endpoint is now, how it is reached, and the
//! rewriting of its discovery documents.

pub mod client;
pub mod discovery;
mod endpoint;
pub mod reach;
pub mod upstream;

pub use endpoint::{Endpoint, Peer};
