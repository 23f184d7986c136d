//! The names in zip archives, whose bytes mean different things in different archives.

use std::borrow::Cow;

/// Where an archive was made, as its headers say it (APPNOTE.TXT 4.4.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Host(pub(super) u8);

impl Host {
    /// Unix and OS X: names are bytes, and there is a mode.
    pub(super) fn is_unix(self) -> bool {
        matches!(self.0, 3 | 19)
    }

    /// MS-DOS, OS/2 and Windows.
    pub(super) fn is_dos(self) -> bool {
        matches!(self.0, 0 | 6 | 10 | 14)
    }
}

/// The name's bytes on this machine. One that is not said to be UTF-8 is what it is if it comes
/// from Unix; else it may be UTF-8 all the same, or is in the code page of the first PCs.
pub(super) fn decode(name: &[u8], is_utf8: bool, host: Host) -> Cow<'_, [u8]> {
    if is_utf8 || host.is_unix() || std::str::from_utf8(name).is_ok() {
        return Cow::Borrowed(name);
    }
    let chars = name.iter().map(|byte| match byte.checked_sub(128) {
        None => char::from(*byte),
        Some(upper) => CODE_PAGE_437.chars().nth(upper.into()).unwrap_or('_'),
    });
    Cow::Owned(chars.collect::<String>().into_bytes())
}

/// A name with slashes. Some programs on Windows, such as PowerShell 5, write backslashes.
pub(super) fn separated(name: Cow<'_, [u8]>, host: Host) -> Cow<'_, [u8]> {
    if !host.is_dos() || name.contains(&b'/') || !name.contains(&b'\\') {
        return name;
    }
    let slashes = name.iter().map(|byte| match byte {
        b'\\' => b'/',
        other => *other,
    });
    Cow::Owned(slashes.collect())
}

/// The upper half of code page 437.
const CODE_PAGE_437: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»\
    ░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀\
    αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_decoded_by_where_they_come_from() {
        assert_eq!(CODE_PAGE_437.chars().count(), 128);
        let (dos, unix) = (Host(0), Host(3));
        assert_eq!(&*decode(b"caf\x82", false, dos), "café".as_bytes());
        assert_eq!(&*decode(b"\xff\x80", false, dos), "\u{a0}Ç".as_bytes());
        assert_eq!(&*decode(b"caf\xe9", false, unix), b"caf\xe9");
        assert_eq!(&*decode("café".as_bytes(), false, dos), "café".as_bytes());
        assert_eq!(&*decode(b"caf\xe9", true, dos), b"caf\xe9");
    }

    #[test]
    fn backslashes_separate_where_no_slash_does() {
        let with = |name: &'static [u8], host| separated(name.into(), Host(host)).into_owned();
        assert_eq!(with(b"a\\b\\", 0), b"a/b/");
        assert_eq!(with(b"a\\b/c", 0), b"a\\b/c");
        assert_eq!(with(b"a\\b", 3), b"a\\b");
    }
}
