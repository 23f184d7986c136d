//! The relay between a client and an upstream, over loopback TCP and, where time matters,
//! over in-memory streams under a paused clock.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

#[path = "relay/autobahn.rs"]
mod autobahn;
#[path = "relay/autobahn_messages.rs"]
mod autobahn_messages;
#[path = "relay/autobahn_rules.rs"]
mod autobahn_rules;
#[path = "relay/closes.rs"]
mod closes;
#[path = "relay/endings.rs"]
mod endings;
#[path = "relay/stops.rs"]
mod stops;
#[path = "relay/support.rs"]
mod support;
#[path = "relay/timers.rs"]
mod timers;
#[path = "relay/wire.rs"]
mod wire;
