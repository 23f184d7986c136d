//! The name of a form's field, out of `Content-Disposition` (RFC 7578, 4.2).
//!
//! The parser of forms looks for `name=` anywhere in the header, and takes a file name for a field's.

/// The value of the parameter `name`. A quoted value may hold anything; `\"` and `\\` stand for
/// what curl and Go mean by them. What is not UTF-8 is replaced, for no field of ours has it.
pub(super) fn field_name(disposition: &[u8]) -> Option<String> {
    let mut rest = parameters(disposition);
    while let Some(text) = rest {
        let parameter = Parameter::first_of(text)?;
        if parameter.name.eq_ignore_ascii_case(b"name") {
            return Some(String::from_utf8_lossy(&parameter.value).into_owned());
        }
        rest = parameter.rest;
    }
    None
}

/// What is behind the first semicolon.
fn parameters(text: &[u8]) -> Option<&[u8]> {
    let at = text.iter().position(|byte| *byte == b';')?;
    Some(&text[at + 1..])
}

/// One of a list of parameters.
struct Parameter<'a> {
    name: &'a [u8],
    value: Vec<u8>,
    /// The list behind it.
    rest: Option<&'a [u8]>,
}

impl<'a> Parameter<'a> {
    /// None where the text is no list of parameters.
    fn first_of(text: &'a [u8]) -> Option<Self> {
        let equals = text.iter().position(|byte| *byte == b'=')?;
        let name = text[..equals].trim_ascii();
        let value = text[equals + 1..].trim_ascii_start();
        if let Some(quoted) = value.strip_prefix(b"\"") {
            let (value, behind) = unquoted(quoted)?;
            let rest = parameters(behind);
            return Some(Self { name, value, rest });
        }
        let end = value.iter().position(|byte| *byte == b';');
        let bare = &value[..end.unwrap_or(value.len())];
        Some(Self {
            name,
            value: bare.trim_ascii().to_vec(),
            rest: parameters(value),
        })
    }
}

/// A quoted value up to its closing quote, and what is behind that.
fn unquoted(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut value = Vec::new();
    let mut bytes = text.iter().copied().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some((value, &text[at + 1..])),
            b'\\' => match bytes.next()? {
                (_, escaped @ (b'"' | b'\\')) => value.push(escaped),
                // A path of Windows, as old browsers sent it.
                (_, other) => value.extend([b'\\', other]),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_parameters_alone() {
        for (disposition, name) in [
            (r#"form-data; name="file""#, Some("file")),
            (r#"form-data; name="file"; filename="a""#, Some("file")),
            (r#"form-data; filename="a"; name="file""#, Some("file")),
            (
                r#"form-data; filename="a; name=dest_path.txt"; name="file""#,
                Some("file"),
            ),
            (
                r#"form-data; filename="x;name=\"zip_file\""; name="file""#,
                Some("file"),
            ),
            (r#"form-data; filename="C:\x\"; name="file""#, None),
            (
                r#"form-data; filename="C:\temp\x"; name="file""#,
                Some("file"),
            ),
            ("form-data; name=file; filename=a", Some("file")),
            ("form-data ;NAME = file ", Some("file")),
            (
                r#"form-data; filename*=UTF-8''a%20b; name="files[0][file]""#,
                Some("files[0][file]"),
            ),
            (r#"form-data; name="a\"b\\c""#, Some("a\"b\\c")),
            (r#"form-data; name="file"; name="other""#, Some("file")),
            (r#"form-data; name="""#, Some("")),
            ("form-data", None),
            ("form-data;", None),
            ("form-data; filename=name", None),
            (r#"form-data; name="file"#, None),
        ] {
            assert_eq!(
                field_name(disposition.as_bytes()).as_deref(),
                name,
                "{disposition}"
            );
        }
    }
}
