//! Chromium's DevTools from outside: where the endpoint is now, the relay to it, and the
//! rewriting of its discovery documents.

mod close;
pub mod frame;
pub mod relay;

pub use close::Close;
