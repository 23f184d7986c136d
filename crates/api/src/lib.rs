//! The wire types and error codes of the HTTP API: shapes only, no behaviour.

mod base64;
pub mod computer;
pub mod display;
mod error;
pub mod files;
mod health;
pub mod logs;
pub mod names;
pub mod process;

pub use crate::{
    base64::Base64,
    error::{Code, Detail, Error},
    health::{Health, Part, Parts, Ready},
};
