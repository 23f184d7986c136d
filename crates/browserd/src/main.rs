//! browserd
fn main() {}
