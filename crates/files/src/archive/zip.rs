//! Zip archives, after PKWARE's APPNOTE.TXT 6.3, as Info-ZIP's `zip` and `unzip` understand it.

mod end;
mod entry;
mod name;
mod pack;
mod time;
mod unpack;

pub(super) use pack::ZipPacker;
pub(super) use unpack::unpack;
