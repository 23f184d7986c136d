//! WebSockets as bytes: where a frame ends, the relay between two connections, and how one ends.
//!
//! Nothing here reads a payload, and nothing knows what the messages are.

mod close;
pub mod frame;
pub mod relay;

pub use close::Close;
