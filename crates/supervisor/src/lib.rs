//! Talks to supervisord over its unix socket, by XML-RPC, without forking `supervisorctl`.
//!
//! Written against supervisor 4.2 (`supervisor/rpcinterface.py`).

mod client;
mod error;
mod process;
mod transport;
mod xml;

pub use client::Client;
pub use error::Error;
pub use process::{Process, ProcessState, State};
