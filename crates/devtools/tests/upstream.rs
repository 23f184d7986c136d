//! The upstream and the client against real logs, real sockets and a real Chromium.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

#[path = "upstream/chromium.rs"]
mod chromium;
#[path = "upstream/hostile.rs"]
mod hostile;
#[path = "upstream/log.rs"]
mod log;
#[path = "upstream/server.rs"]
mod server;
#[path = "upstream/support.rs"]
mod support;
#[path = "upstream/verdict.rs"]
mod verdict;
