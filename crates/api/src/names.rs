//! Names of files as text.
//!
//! A name is bytes, and JSON has text. Bytes that are not UTF-8 are written as characters of the
//! private use area, `0x80` as U+EF80 up to `0xFF` as U+EFFF, one for each. So that this can be
//! taken back, characters of that range that are in a name by themselves are written byte by byte
//! too. What is read is taken back the same way: whatever is listed can be asked for.

/// The character for byte 0 would be this.
const BASE: u32 = 0xef00;
/// The bytes that stand for themselves nowhere in UTF-8.
const ESCAPED: std::ops::RangeInclusive<u32> = BASE + 0x80..=BASE + 0xff;

/// A name as text, which [`from_text`] takes back.
#[must_use]
pub fn to_text(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for valid in chunk.valid().chars() {
            if ESCAPED.contains(&valid.into()) {
                escape(&mut text, valid.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                text.push(valid);
            }
        }
        escape(&mut text, chunk.invalid());
    }
    text
}

/// The name that a text stands for.
#[must_use]
pub fn from_text(text: &str) -> Vec<u8> {
    let mut name = Vec::with_capacity(text.len());
    for valid in text.chars() {
        match byte_of(valid) {
            Some(byte) => name.push(byte),
            None => name.extend(valid.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    name
}

/// Text that came as bytes, in a query or a form: what is not UTF-8 in it is part of a name as it
/// is, and the rest is as in [`from_text`].
#[must_use]
pub fn text_of_raw(raw: &[u8]) -> String {
    let mut text = String::with_capacity(raw.len());
    for chunk in raw.utf8_chunks() {
        text.push_str(chunk.valid());
        escape(&mut text, chunk.invalid());
    }
    text
}

fn escape(text: &mut String, bytes: &[u8]) {
    let chars = bytes
        .iter()
        .map(|byte| char::from_u32(BASE + u32::from(*byte)));
    text.extend(chars.flatten());
}

fn byte_of(escaped: char) -> Option<u8> {
    let code = u32::from(escaped);
    let byte = ESCAPED.contains(&code).then(|| code - BASE)?;
    u8::try_from(byte).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_as_they_are_where_they_can_be() {
        for name in ["", "/a/b", "naïve ✓ 100%", "\u{ef7f}\u{f000}", "\u{fffd}"] {
            assert_eq!(to_text(name.as_bytes()), name);
            assert_eq!(from_text(name), name.as_bytes());
        }
        assert_eq!(to_text(b"/caf\xe9"), "/caf\u{efe9}");
        assert_eq!(from_text("/caf\u{efe9}"), b"/caf\xe9");
        assert_eq!(text_of_raw(b"/\xe9/\xc3\xa9"), "/\u{efe9}/é");
        // What was listed and comes back as bytes.
        assert_eq!(from_text(&text_of_raw("/\u{efe9}".as_bytes())), b"/\xe9");
    }

    #[test]
    fn every_name_comes_back() {
        let mut names: Vec<Vec<u8>> = (0..=255u8).map(|byte| vec![b'a', byte, b'z']).collect();
        for code in [0xef7f, 0xef80, 0xefff, 0xf000, 0x1_f600] {
            let valid = char::from_u32(code).unwrap().to_string();
            names.push(valid.clone().into_bytes());
            // Cut in the middle, and beside something else.
            names.push(valid.as_bytes()[..2].to_vec());
            names.push([valid.as_bytes(), b"\xff", valid.as_bytes()].concat());
        }
        for name in names {
            let text = to_text(&name);
            assert_eq!(from_text(&text), name, "{text:?}");
            assert_eq!(from_text(&text_of_raw(text.as_bytes())), name, "{text:?}");
        }
    }
}
