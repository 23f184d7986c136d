//! Reading tar archives, in the dialects that people have: the old one, ustar, those of GNU tar
//! and star, and the extended headers of pax.
//!
//! What a member says of itself is either understood or refused by name: nothing comes out with
//! other bytes than went in. Whatever is held in memory has a bound of its own.

mod header;
mod input;
mod pax;
mod reader;
mod sparse;

pub(super) use reader::{Kind, Member, Reader};
pub(super) use sparse::Part;
