//! The wire types and error codes of the HTTP API: shapes only, no behaviour.

mod error;
mod health;

pub use error::{Code, Detail, Error};
pub use health::{Health, Part, Parts, Ready};
