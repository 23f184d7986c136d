//! Chromium's DevTools from outside: where the endpoint is now, the relay to it, and the
//! rewriting of its discovery documents.

pub mod client;
mod close;
pub mod discovery;
pub mod frame;
pub mod reach;
pub mod relay;
pub mod upstream;

pub use close::Close;
