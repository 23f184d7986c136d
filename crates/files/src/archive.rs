//! Directories as archives: packed while they are sent, unpacked beside their destination.
//!
//! An archive is unpacked into a hidden directory inside the destination, where nothing else is
//! and no link leads anywhere. Only when it is whole, within the limits and within the rules are
//! its entries renamed into place. So a refused archive changes nothing at all.

mod limits;
mod merge;
mod name;
mod omitted;
mod pack;
mod pack_tar;
mod pipe;
mod spool;
mod stage;
mod tar;
mod unpack;
mod unpack_tar;
mod zip;

pub use limits::ArchiveLimits;
pub use omitted::Omitted;
pub use pack::{PackFormat, PackOptions};
pub use pack_tar::Compression;
pub use pipe::Packed;
pub use spool::{Spool, Spooled};
pub use unpack::{ArchiveKind, Unpacked};
