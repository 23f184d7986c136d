//! XML-RPC: writing calls and reading replies (<http://xmlrpc.com/spec.md>).

use quick_xml::{
    Reader,
    escape::{escape, resolve_predefined_entity},
    events::{BytesRef, Event},
};

use crate::Error;

/// Values lie three deep in what supervisord answers.
const MAX_DEPTH: usize = 16;

/// An argument of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Argument<'a> {
    Text(&'a str),
    Flag(bool),
}

/// A value in a reply. Those that supervisord never sends (dates, doubles, base64) are kept as
/// their text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Number(i64),
    Flag(bool),
    Text(String),
    List(Vec<Value>),
    Fields(Vec<(String, Value)>),
}

impl Value {
    fn field(&self, name: &str) -> Result<&Self, Error> {
        let Self::Fields(fields) = self else {
            return Err(Error::malformed(format!(
                "no struct where {name:?} should be in one"
            )));
        };
        let found = fields.iter().find(|(known, _)| known == name);
        found
            .map(|(_, value)| value)
            .ok_or_else(|| Error::malformed(format!("no {name:?}")))
    }

    /// A text of a struct.
    pub(crate) fn text(&self, name: &str) -> Result<&str, Error> {
        match self.field(name)? {
            Self::Text(text) => Ok(text),
            _ => Err(Error::malformed(format!("{name:?} is no text"))),
        }
    }

    /// A number of a struct.
    pub(crate) fn number(&self, name: &str) -> Result<i64, Error> {
        match self.field(name)? {
            Self::Number(number) => Ok(*number),
            _ => Err(Error::malformed(format!("{name:?} is no number"))),
        }
    }

    /// The items of a list.
    pub(crate) fn items(&self) -> Result<&[Self], Error> {
        match self {
            Self::List(items) => Ok(items),
            _ => Err(Error::malformed("no list where one should be")),
        }
    }
}

/// Writes a call.
pub(crate) fn call(method: &str, arguments: &[Argument<'_>]) -> Result<String, Error> {
    let arguments: String = arguments.iter().map(parameter).collect::<Result<_, _>>()?;
    Ok(format!(
        "<?xml version=\"1.0\"?><methodCall><methodName>{method}</methodName>\
         <params>{arguments}</params></methodCall>"
    ))
}

fn parameter(argument: &Argument<'_>) -> Result<String, Error> {
    let value = match argument {
        Argument::Text(text) if !text.chars().all(is_carried) => {
            return Err(Error::Unsendable((*text).to_owned()));
        }
        Argument::Text(text) => format!("<string>{}</string>", escape(*text)),
        Argument::Flag(flag) => format!("<boolean>{}</boolean>", u8::from(*flag)),
    };
    Ok(format!("<param><value>{value}</value></param>"))
}

/// Whether XML can carry it, escaped or not (XML 1.0, section 2.2).
fn is_carried(character: char) -> bool {
    !matches!(character, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}')
}

/// Reads a reply; a fault is the error [`Error::Fault`].
pub(crate) fn reply(body: &[u8]) -> Result<Value, Error> {
    let text = std::str::from_utf8(body).map_err(|_| Error::malformed("it is no UTF-8"))?;
    let mut parser = Parser::new(text);
    parser.open("methodResponse")?;
    match parser.structure()? {
        Token::Open(kind) if kind == "params" => {
            parser.open("param")?;
            parser.open("value")?;
            let value = parser.value(0)?;
            parser.close("param")?;
            parser.close("params")?;
            parser.close("methodResponse")?;
            Ok(value)
        }
        Token::Open(kind) if kind == "fault" => {
            parser.open("value")?;
            let fault = parser.value(0)?;
            let text = fault.text("faultString")?.to_owned();
            Err(Error::Fault {
                code: fault.number("faultCode")?,
                text,
            })
        }
        _ => Err(Error::malformed("neither an answer nor a fault")),
    }
}

/// What stands next in a reply.
enum Token {
    Open(String),
    Close(String),
    Text(String),
}

struct Parser<'a> {
    reader: Reader<&'a [u8]>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        let mut reader = Reader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        Self { reader }
    }

    fn next(&mut self) -> Result<Token, Error> {
        loop {
            let event = self.reader.read_event();
            return Ok(
                match event.map_err(|error| Error::malformed(error.to_string()))? {
                    Event::Start(tag) => Token::Open(tag.name().as_ref().to_owned()),
                    Event::End(tag) => Token::Close(tag.name().as_ref().to_owned()),
                    Event::Text(text) => Token::Text(text.xml10_content().into_owned()),
                    Event::CData(text) => Token::Text(text.xml10_content().into_owned()),
                    Event::GeneralRef(reference) => Token::Text(resolve(&reference)?),
                    Event::Eof => return Err(Error::malformed("it ends early")),
                    // No one who answers in good faith declares entities.
                    Event::DocType(_) => return Err(Error::malformed("it has a document type")),
                    Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => continue,
                },
            );
        }
    }

    /// The next tag; only blanks may stand before it.
    fn structure(&mut self) -> Result<Token, Error> {
        loop {
            match self.next()? {
                Token::Text(text) if text.trim_ascii().is_empty() => {}
                Token::Text(_) => return Err(Error::malformed("text between the tags")),
                tag => return Ok(tag),
            }
        }
    }

    fn open(&mut self, name: &str) -> Result<(), Error> {
        match self.structure()? {
            Token::Open(found) if found == name => Ok(()),
            _ => Err(Error::malformed(format!("no <{name}> where it should be"))),
        }
    }

    fn close(&mut self, name: &str) -> Result<(), Error> {
        match self.structure()? {
            Token::Close(found) if found == name => Ok(()),
            _ => Err(Error::malformed(format!("no </{name}> where it should be"))),
        }
    }

    /// The text up to the end of the present element.
    fn content(&mut self) -> Result<String, Error> {
        let mut content = String::new();
        loop {
            match self.next()? {
                Token::Text(text) => content.push_str(&text),
                // The reader has checked that it is the right one.
                Token::Close(_) => return Ok(content),
                Token::Open(name) => {
                    return Err(Error::malformed(format!("<{name}> inside a text")));
                }
            }
        }
    }

    /// A value, after its `<value>`, up to and with its `</value>`.
    fn value(&mut self, depth: usize) -> Result<Value, Error> {
        if depth == MAX_DEPTH {
            return Err(Error::malformed("its values lie too deep"));
        }
        let mut untyped = String::new();
        loop {
            match self.next()? {
                Token::Text(text) => untyped.push_str(&text),
                Token::Close(_) => return Ok(Value::Text(untyped)),
                Token::Open(kind) if untyped.trim_ascii().is_empty() => {
                    let value = self.typed(&kind, depth)?;
                    self.close("value")?;
                    return Ok(value);
                }
                Token::Open(_) => return Err(Error::malformed("text before a type")),
            }
        }
    }

    fn typed(&mut self, kind: &str, depth: usize) -> Result<Value, Error> {
        match kind {
            "array" => self.list(depth),
            "struct" => self.fields(depth),
            "int" | "i4" | "i8" => {
                let text = self.content()?;
                let number = text.trim_ascii().parse();
                number
                    .map(Value::Number)
                    .map_err(|_| Error::malformed("a number that is none"))
            }
            "boolean" => match self.content()?.trim_ascii() {
                "0" => Ok(Value::Flag(false)),
                "1" => Ok(Value::Flag(true)),
                _ => Err(Error::malformed("a boolean that is none")),
            },
            _ => self.content().map(Value::Text),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, Error> {
        let mut items = Vec::new();
        self.open("data")?;
        loop {
            match self.structure()? {
                Token::Open(name) if name == "value" => items.push(self.value(depth + 1)?),
                Token::Close(_) => break,
                _ => return Err(Error::malformed("no <value> in an array")),
            }
        }
        self.close("array")?;
        Ok(Value::List(items))
    }

    fn fields(&mut self, depth: usize) -> Result<Value, Error> {
        let mut fields = Vec::new();
        loop {
            match self.structure()? {
                Token::Open(name) if name == "member" => {
                    self.open("name")?;
                    let name = self.content()?;
                    self.open("value")?;
                    fields.push((name, self.value(depth + 1)?));
                    self.close("member")?;
                }
                Token::Close(_) => return Ok(Value::Fields(fields)),
                _ => return Err(Error::malformed("no <member> in a struct")),
            }
        }
    }
}

fn resolve(reference: &BytesRef<'_>) -> Result<String, Error> {
    let character = reference.resolve_char_ref();
    if let Some(character) = character.map_err(|error| Error::malformed(error.to_string()))? {
        return Ok(character.into());
    }
    let entity = resolve_predefined_entity(reference);
    entity
        .map(ToOwned::to_owned)
        .ok_or_else(|| Error::malformed("an unknown entity"))
}

#[cfg(test)]
mod tests {
    //! Replies in good and in bad faith.

    use super::*;

    fn wrapped(value: &str) -> String {
        let head = "<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n";
        format!("{head}{value}\n</param>\n</params>\n</methodResponse>\n")
    }

    fn read(value: &str) -> Result<Value, Error> {
        reply(wrapped(value).as_bytes())
    }

    #[test]
    fn values_of_every_kind() {
        for (text, value) in [
            ("<value><int>-5</int></value>", Value::Number(-5)),
            ("<value><i4> 7 </i4></value>", Value::Number(7)),
            ("<value><boolean>1</boolean></value>", Value::Flag(true)),
            (
                "<value><string>a &lt;b&gt; &amp;&#x41;&#10;</string></value>",
                text_value("a <b> &A\n"),
            ),
            (
                "<value>untyped &quot;x&quot;</value>",
                text_value("untyped \"x\""),
            ),
            ("<value><string/></value>", text_value("")),
            ("<value/>", text_value("")),
            ("<value><![CDATA[<x>]]></value>", text_value("<x>")),
            ("<value><double>1.5</double></value>", text_value("1.5")),
            ("<value><array><data/></array></value>", Value::List(vec![])),
            (
                "<value><array> <data><value>a</value> <value><int>1</int></value></data></array></value>",
                Value::List(vec![text_value("a"), Value::Number(1)]),
            ),
            (
                "<value><struct><member><name>n</name>\n<value>v</value></member></struct></value>",
                Value::Fields(vec![("n".to_owned(), text_value("v"))]),
            ),
        ] {
            assert_eq!(read(text).unwrap(), value, "{text}");
        }
    }

    fn text_value(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn a_fault_is_an_error() {
        let text = "<methodResponse><fault><value><struct>\
            <member><name>faultCode</name><value><int>10</int></value></member>\
            <member><name>faultString</name><value><string>BAD_NAME: x</string></value></member>\
            </struct></value></fault></methodResponse>";
        let error = reply(text.as_bytes()).unwrap_err();
        assert!(matches!(&error, Error::Fault { code: 10, text } if text == "BAD_NAME: x"));
        assert!(matches!(error.about("x"), Error::NotFound(name) if name == "x"));
    }

    #[test]
    fn what_is_no_reply_is_an_error() {
        let deep = "<value><array><data>".repeat(100_000);
        for text in [
            "",
            "hello",
            "<html></html>",
            "<methodResponse></methodResponse>",
            "<methodResponse><params><param></param></params></methodResponse>",
            "<!DOCTYPE x [<!ENTITY a \"aaaa\">]><methodResponse/>",
            &wrapped("<value>&a;</value>"),
            &wrapped("<value><int>x</int></value>"),
            &wrapped("<value><int>99999999999999999999</int></value>"),
            &wrapped("<value><boolean>2</boolean></value>"),
            &wrapped("<value>x<int>1</int></value>"),
            &wrapped("<value><int>1</int>x</value>"),
            &wrapped("<value><array><int>1</int></array></value>"),
            &wrapped("<value><struct><name>x</name></struct></value>"),
            &wrapped("<value><string><int>1</int></string></value>"),
            &wrapped("<value><int>1</i4></value>"),
            &deep,
        ] {
            let shown = &text[..text.len().min(80)];
            assert!(
                matches!(reply(text.as_bytes()), Err(Error::Malformed(_))),
                "{shown}"
            );
        }
        assert!(matches!(reply(b"\xff"), Err(Error::Malformed(_))));
    }

    #[test]
    fn every_cut_of_a_reply_is_an_error() {
        let whole = wrapped(
            "<value><struct><member><name>a</name><value>&lt;</value></member></struct></value>",
        );
        let end = whole.trim_end().len();
        for cut in 0..end {
            assert!(reply(&whole.as_bytes()[..cut]).is_err(), "{cut}");
        }
        reply(whole.as_bytes()).unwrap();
    }

    #[test]
    fn arguments_are_escaped() {
        let call = call("m", &[Argument::Text("<a> & 'b'"), Argument::Flag(true)]).unwrap();
        assert!(
            call.contains("<string>&lt;a&gt; &amp; &apos;b&apos;</string>"),
            "{call}"
        );
        assert!(call.contains("<boolean>1</boolean>"));
    }
}
