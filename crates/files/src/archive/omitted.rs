//! What an archive does not have although the directory had it.

use std::path::{Path, PathBuf};

/// So many names are kept.
const MAX_NAMES: usize = 100;
/// And so many bytes of them: they are told in one header.
const MAX_NAME_BYTES: usize = 4096;

/// What vanished or could not be read while a directory was packed, and was left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Omitted {
    /// How many entries. What was in a directory that could not be read counts as one with it.
    pub count: u64,
    /// The names of the first ones, from the directory that was packed.
    pub names: Vec<PathBuf>,
    name_bytes: usize,
}

impl Omitted {
    pub(super) fn add(&mut self, name: &Path) {
        self.count += 1;
        self.name_bytes += name.as_os_str().len();
        if self.names.len() < MAX_NAMES && self.name_bytes <= MAX_NAME_BYTES {
            self.names.push(name.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_counted_and_some_are_named() {
        let mut omitted = Omitted::default();
        for index in 0..500 {
            omitted.add(Path::new(&index.to_string()));
        }
        assert_eq!((omitted.count, omitted.names.len()), (500, MAX_NAMES));
        let mut omitted = Omitted::default();
        for _ in 0..3 {
            omitted.add(Path::new(&"n".repeat(2000)));
        }
        assert_eq!((omitted.count, omitted.names.len()), (3, 2));
    }
}
