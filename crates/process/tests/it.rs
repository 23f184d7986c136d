//! Real processes, through the public interface.
#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod it {
    mod exec;
    mod groups;
    mod limits;
    mod namespace;
    mod refused;
    mod secrets;
    mod stop;
    mod streams;
    mod support;
    mod terminal;
    mod users;
}
