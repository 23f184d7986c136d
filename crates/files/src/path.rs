//! The paths that callers may name.

use std::{
    ffi::OsStr,
    fmt,
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
};

use crate::{Error, Result, error::PathProblem};

/// `PATH_MAX` of Linux without the closing NUL.
const MAX_PATH_BYTES: usize = 4095;
/// `NAME_MAX` of Linux.
const MAX_NAME_BYTES: usize = 255;
/// How much of a refused text is repeated in the error.
const SHOWN_CHARS: usize = 100;

/// An absolute path without `..`, of a length that the kernel takes.
///
/// Repeated and trailing slashes and `.` are dropped.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FsPath(PathBuf);

impl FsPath {
    /// The directory that it is in; the root is in itself.
    pub(crate) fn parent(&self) -> &Path {
        self.0.parent().unwrap_or(&self.0)
    }

    /// Checks a path.
    pub fn parse(path: impl AsRef<OsStr>) -> Result<Self> {
        let path = path.as_ref();
        match problem(path.as_bytes()) {
            Some(problem) => Err(Error::InvalidPath {
                path: shorten(path),
                problem,
            }),
            // Collecting the components drops what has no meaning.
            None => Ok(Self(Path::new(path).components().collect())),
        }
    }

    /// The path.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// Refuses the root directory, which cannot be replaced, moved or deleted.
    pub(crate) fn not_root(&self) -> Result<()> {
        if self.0.parent().is_none() {
            return Err(self.problem(PathProblem::Root));
        }
        Ok(())
    }

    pub(crate) fn problem(&self, problem: PathProblem) -> Error {
        Error::InvalidPath {
            path: shorten(self.0.as_os_str()),
            problem,
        }
    }
}

impl AsRef<Path> for FsPath {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl fmt::Display for FsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

fn problem(path: &[u8]) -> Option<PathProblem> {
    if path.is_empty() {
        return Some(PathProblem::Empty);
    }
    if path.contains(&0) {
        return Some(PathProblem::Nul);
    }
    if path[0] != b'/' {
        return Some(PathProblem::Relative);
    }
    if path.split(|byte| *byte == b'/').any(|name| name == b"..") {
        return Some(PathProblem::Parent);
    }
    if path
        .split(|byte| *byte == b'/')
        .any(|name| name.len() > MAX_NAME_BYTES)
    {
        return Some(PathProblem::NameTooLong);
    }
    (path.len() > MAX_PATH_BYTES).then_some(PathProblem::TooLong)
}

/// The beginning of a text that is not to be trusted with its length.
pub(crate) fn shorten(text: &OsStr) -> String {
    let text = text.to_string_lossy();
    let mut shown: String = text.chars().take(SHOWN_CHARS).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

/// The last component; `/` for the root.
pub(crate) fn name_of(path: &Path) -> &OsStr {
    path.file_name().unwrap_or_else(|| OsStr::new("/"))
}

/// Whether every component is a plain name.
pub(crate) fn is_plain(path: &Path) -> bool {
    path.components()
        .all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use proptest::prelude::*;

    use super::*;

    fn refused(path: &str) -> PathProblem {
        match FsPath::parse(path) {
            Err(Error::InvalidPath { problem, .. }) => problem,
            other => panic!("{path:?} gave {other:?}"),
        }
    }

    #[test]
    fn each_rule_has_its_own_answer() {
        assert_eq!(refused(""), PathProblem::Empty);
        assert_eq!(refused("a/b"), PathProblem::Relative);
        assert_eq!(refused("./a"), PathProblem::Relative);
        assert_eq!(refused("/a/../b"), PathProblem::Parent);
        assert_eq!(refused("/.."), PathProblem::Parent);
        assert_eq!(refused("/a/.."), PathProblem::Parent);
        assert_eq!(refused("/a\0b"), PathProblem::Nul);
        assert_eq!(
            refused(&format!("/{}", "n".repeat(5000))),
            PathProblem::NameTooLong
        );
        assert_eq!(refused(&"/d".repeat(2048)), PathProblem::TooLong);
    }

    #[test]
    fn what_has_no_meaning_is_dropped() {
        for (given, kept) in [
            ("/", "/"),
            ("//", "/"),
            ("/a//b/./c/", "/a/b/c"),
            ("/...", "/..."),
            ("/a..b/..c", "/a..b/..c"),
        ] {
            let path = FsPath::parse(given).unwrap();
            assert_eq!(path.as_path().as_os_str(), kept, "{given}");
        }
    }

    #[test]
    fn a_refused_path_is_repeated_in_part_only() {
        let error = FsPath::parse("é".repeat(5000)).unwrap_err();
        assert!(error.to_string().len() < 300, "{error}");
    }

    proptest! {
        #[test]
        fn what_passes_is_absolute_plain_and_stable(bytes in prop::collection::vec(
            prop_oneof![Just(b'/'), Just(b'.'), Just(0u8), any::<u8>()], 0..64,
        )) {
            let text = std::ffi::OsString::from_vec(bytes);
            if let Ok(path) = FsPath::parse(&text) {
                let kept = path.as_path();
                prop_assert!(kept.is_absolute());
                prop_assert!(is_plain(kept.strip_prefix("/").unwrap()));
                prop_assert!(!kept.as_os_str().as_bytes().contains(&0));
                prop_assert_eq!(&FsPath::parse(kept).unwrap(), &path);
            }
        }

        #[test]
        fn a_parent_component_never_passes(
            before in "(/[a-z.]{0,4}){0,4}", after in "(/[a-z.]{0,4}){0,4}",
        ) {
            let path = format!("{before}/..{after}");
            prop_assert!(FsPath::parse(path.as_str()).is_err() || after.starts_with(|c| c != '/'));
        }
    }
}
