//! The input half of the crate against a real Xvfb, with a client that records what it
//! receives.

#![expect(clippy::unwrap_used, reason = "a failed helper fails the test")]

mod aborts;
mod conformance;
mod recorder;
mod refusals;
mod stage;
mod texts;
#[path = "../screen/xvfb.rs"]
mod xvfb;
