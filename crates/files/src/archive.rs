//! Directories as archives: packed while they are sent, unpacked beside their destination.
//!
//! An archive is unpacked into a hidden directory inside the destination, where nothing else is
//! and no link leads anywhere. Only when it is whole, within the limits and within the rules are
//! its entries renamed into place. So a refused archive changes nothing at all.

mod limits;
mod merge;
mod name;
mod pack;
mod pack_tar;
mod pack_zip;
mod pipe;
mod spool;
mod stage;
mod tar;
mod unpack;
mod unpack_tar;
mod unpack_zip;
mod zip_end;

pub use limits::ArchiveLimits;
pub use pack::PackFormat;
pub use pack_tar::Compression;
pub use pipe::Packed;
pub use spool::{Spool, Spooled};
pub use unpack::{ArchiveKind, Unpacked};
