//! The names that entries of an archive may have, and where its links may lead.

use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
};

use crate::{Error, Result, path::shorten};

/// The longest path that a system call takes, without the NUL byte at its end.
pub(super) const MAX_PATH_BYTES: usize = 4095;
const MAX_NAME_BYTES: usize = 255;
/// As many links may be followed one after the other, as in the kernel's own limit.
const MAX_HOPS: usize = 40;

/// The place of an entry below the destination; `None` for the destination itself.
///
/// A backslash is part of a name, but refused where it would lead out if it separated. (The names
/// of a zip archive made on MS-DOS have slashes in its place by now.)
pub(super) fn entry_path(name: &[u8], strip_components: usize) -> Result<Option<PathBuf>> {
    let refuse = |why: &str| {
        let name = shorten(OsStr::from_bytes(name));
        Err(Error::bad_archive(format!("the entry {name:?} {why}")))
    };
    if name.is_empty() {
        return refuse("has no name");
    }
    if name.contains(&0) {
        return refuse("has a NUL byte in its name");
    }
    let is_separator = |byte: &u8| matches!(byte, b'/' | b'\\');
    let has_drive = name.len() > 1 && name[0].is_ascii_alphabetic() && name[1] == b':';
    if is_separator(&name[0]) || has_drive && name.get(2).is_some_and(is_separator) {
        return refuse("has an absolute name");
    }
    if name.split(is_separator).any(|part| part == b"..") {
        return refuse("has \"..\" in its name");
    }
    let parts = name.split(|byte| *byte == b'/');
    let parts = parts.filter(|part| !part.is_empty() && *part != b".");
    let mut path = PathBuf::new();
    for part in parts.skip(strip_components) {
        if part.len() > MAX_NAME_BYTES {
            return refuse("has a name longer than 255 bytes");
        }
        path.push(OsStr::from_bytes(part));
    }
    if path.as_os_str().len() > MAX_PATH_BYTES {
        return refuse("has a name longer than 4095 bytes");
    }
    Ok((!path.as_os_str().is_empty()).then_some(path))
}

/// Whether a symbolic link leads out of the destination `dest`, in which it is to stand at
/// `link`. `read` tells what another link in there says.
pub(super) fn leads_out(
    dest: &Path,
    link: &Path,
    target: &Path,
    read: impl Fn(&Path) -> Option<PathBuf>,
) -> bool {
    let mut at: Vec<OsString> = link.iter().map(OsStr::to_owned).collect();
    at.pop();
    let mut left: VecDeque<Step> = VecDeque::new();
    let mut next = Some(target.to_owned());
    let mut hops = 0;
    loop {
        if let Some(target) = next.take() {
            hops += 1;
            if hops > MAX_HOPS {
                // It leads in a circle, and to nothing.
                return false;
            }
            let inner = if target.is_absolute() {
                at.clear();
                match target.strip_prefix(dest) {
                    Ok(inner) => inner.to_owned(),
                    Err(_) => return true,
                }
            } else {
                target
            };
            for step in inner.components().rev().filter_map(Step::of) {
                left.push_front(step);
            }
        }
        match left.pop_front() {
            None => return false,
            Some(Step::Up) => {
                if at.pop().is_none() {
                    return true;
                }
            }
            Some(Step::Into(name)) => {
                at.push(name);
                next = read(&at.iter().collect::<PathBuf>());
                if next.is_some() {
                    at.pop();
                }
            }
        }
    }
}

/// A component of a link's target.
enum Step {
    Up,
    Into(OsString),
}

impl Step {
    fn of(component: Component<'_>) -> Option<Self> {
        match component {
            Component::ParentDir => Some(Self::Up),
            Component::Normal(name) => Some(Self::Into(name.to_owned())),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::path::is_plain;

    #[test]
    fn names_that_lead_out_are_refused_in_every_spelling() {
        for name in [
            "",
            "/etc/passwd",
            "//etc",
            "../x",
            "a/../../x",
            "a/..",
            "..",
            "./../x",
            "a//..//b",
            "..\\x",
            "a\\..\\..\\x",
            "\\etc",
            "\\\\host\\share",
            "C:\\x",
            "c:/x",
            "a\0b",
            "../",
            "a/../b",
        ] {
            let refused = entry_path(name.as_bytes(), 0);
            assert!(
                matches!(refused, Err(Error::BadArchive { .. })),
                "{name:?} {refused:?}"
            );
        }
        assert!(entry_path("n".repeat(256).as_bytes(), 0).is_err());
        assert!(entry_path("d/".repeat(2100).as_bytes(), 0).is_err());
    }

    #[test]
    fn plain_names_pass() {
        for (name, strip, path) in [
            ("a/b", 0, Some("a/b")),
            ("./a//b/.", 0, Some("a/b")),
            ("a/b/", 0, Some("a/b")),
            ("./", 0, None),
            ("a/b/c", 1, Some("b/c")),
            ("a/b", 2, None),
            ("a\\b", 0, Some("a\\b")),
            ("...", 0, Some("...")),
            ("a..b", 0, Some("a..b")),
            ("c:d", 0, Some("c:d")),
        ] {
            assert_eq!(
                entry_path(name.as_bytes(), strip).unwrap().as_deref(),
                path.map(Path::new),
                "{name}"
            );
        }
    }

    #[test]
    fn links_are_followed_to_their_end() {
        let links: HashMap<&str, &str> = [
            ("d/e/top", "../.."),
            ("deep", "d/e"),
            ("one", "two"),
            ("two", "one"),
            ("in", "/dest/d"),
        ]
        .into();
        let read = |path: &Path| links.get(path.to_str()?).map(PathBuf::from);
        for (link, target, out) in [
            ("x", "d/e/f", false),
            ("x", "..", true),
            ("d/x", "../y", false),
            ("d/x", "../../y", true),
            ("x", "d/../..", true),
            ("x", "/etc/passwd", true),
            ("x", "/dest/d", false),
            ("x", "/dest", false),
            ("x", "/destination", true),
            ("x", "/dest/../etc", true),
            // Each step stays inside by its name, and the link in between does not.
            ("x", "d/e/top/..", true),
            ("x", "d/e/top/d", false),
            ("x", "deep/..", false),
            ("x", "deep/../..", false),
            ("x", "deep/../../..", true),
            ("x", "in/../..", true),
            ("x", "one", false),
            ("x", "hostname-1234", false),
        ] {
            let target = Path::new(target);
            assert_eq!(
                leads_out(Path::new("/dest"), Path::new(link), target, read),
                out,
                "{link} -> {target:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_passes_is_plain(name in "[a./\\\\:]{0,24}", strip in 0usize..3) {
            if let Ok(Some(path)) = entry_path(name.as_bytes(), strip) {
                prop_assert!(is_plain(&path), "{:?}", path);
            }
        }
    }
}
