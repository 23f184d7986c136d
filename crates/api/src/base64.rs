//! Bytes as they travel in JSON.

use std::fmt;

use base64::{
    Engine as _,
    display::Base64Display,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema, schema},
};

/// Reads the standard alphabet; whether a text is padded is all the same.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Bytes that are a text in base64 (RFC 4648, section 4) on the wire. It may be in lines, as MIME
/// has it and many encoders give it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Base64(pub Vec<u8>);

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Piece by piece: the whole text would be in memory twice.
        serializer.collect_str(&Base64Display::new(&self.0, &STANDARD))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = Base64;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text in base64")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Base64, E> {
                let bytes = if text.contains(['\r', '\n']) {
                    LENIENT.decode(text.replace(['\r', '\n'], ""))
                } else {
                    LENIENT.decode(text)
                };
                bytes
                    .map(Base64)
                    .map_err(|error| E::custom(format_args!("invalid base64: {error}")))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl PartialSchema for Base64 {
    fn schema() -> RefOr<Schema> {
        schema::ObjectBuilder::new()
            .schema_type(schema::Type::String)
            .content_encoding("base64")
            .description(Some("Bytes in base64"))
            .into()
    }
}

impl ToSchema for Base64 {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_as_they_were() {
        for length in 0..5_000_usize {
            let bytes: Vec<u8> = (0..=255).cycle().take(length).collect();
            let text = serde_json::to_string(&Base64(bytes.clone())).unwrap();
            assert_eq!(text, format!("\"{}\"", STANDARD.encode(&bytes)));
            let back: Base64 = serde_json::from_str(&text).unwrap();
            assert_eq!(back.0, bytes);
        }
    }

    #[test]
    fn lines_are_joined() {
        let lines: Base64 = serde_json::from_str(r#""aGVs\nbG8\r\n=\n""#).unwrap();
        assert_eq!(lines.0, b"hello");
    }

    #[test]
    fn padding_may_be_left_out_and_nothing_else() {
        let read = |text: &str| serde_json::from_str::<Base64>(&format!("\"{text}\""));
        assert_eq!(read("aGk").unwrap().0, b"hi");
        assert_eq!(read("aGk=").unwrap().0, b"hi");
        for text in ["a", "aGk=x", "a-_b", "aG k="] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with("invalid base64: "), "{text}: {error}");
        }
    }
}
