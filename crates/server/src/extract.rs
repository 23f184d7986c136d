//! Reading requests strictly: what a body, a query or a path has wrong is named.

use std::{borrow::Cow, fmt::Display};

use axum::{
    extract::{FromRequest, FromRequestParts, Path as AxumPath, Request},
    response::IntoResponse as _,
};
use browserd_api::names;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header, request::Parts};
use percent_encoding::percent_decode_str;
use serde::{
    de::{DeserializeOwned, Deserializer, Error as _, Visitor},
    forward_to_deserialize_any,
};
use serde_path_to_error::Segment;

use crate::error::ApiError;

/// A JSON body. One without any bytes is an object without fields, because clients send
/// none where every field is optional.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Json<T>(pub(crate) T);

/// The query's parameters. Unknown ones are ignored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Query<T>(pub(crate) T);

/// The path's parameters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Path<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let is_json = is_json(request.headers());
        let body = match Bytes::from_request(request, state).await {
            Ok(body) => body,
            Err(rejection) => return Err(unread(rejection.into_response().status())),
        };
        match &body[..] {
            [] => parse(b"{}"),
            _ if !is_json => Err(ApiError::unsupported_media_type("application/json")),
            body => parse(body),
        }
        .map(Self)
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let query = with_names(parts.uri.query().unwrap_or_default());
        serde_path_to_error::deserialize(Pairs(&query))
            .map(Self)
            .map_err(|error| wrong(error.path(), error.inner()))
    }
}

/// The parameter whose value is a name of a file, of which the bytes count.
const PATH: &str = "path";

/// A query in which paths that are not UTF-8 are written as names are in JSON.
fn with_names(query: &str) -> Cow<'_, str> {
    let raw = |value: &str| {
        let spaced = value.replace('+', " ");
        percent_decode_str(&spaced).collect::<Vec<u8>>()
    };
    let is_garbled = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let value = (raw(name) == PATH.as_bytes()).then(|| raw(value))?;
        std::str::from_utf8(&value).is_err().then_some(value)
    };
    if query.split('&').all(|pair| is_garbled(pair).is_none()) {
        return Cow::Borrowed(query);
    }
    let pairs = query.split('&').map(|pair| match is_garbled(pair) {
        None => Cow::Borrowed(pair),
        Some(value) => {
            let text = names::text_of_raw(&value);
            let encoded = form_urlencoded::byte_serialize(text.as_bytes());
            Cow::Owned(format!("{PATH}={}", encoded.collect::<String>()))
        }
    });
    Cow::Owned(pairs.collect::<Vec<_>>().join("&"))
}

/// A query that is read only where each parameter that is wanted is text: the decoder would put a
/// replacement for other bytes, and a file of another name would be meant.
struct Pairs<'a>(&'a str);

impl<'a> Pairs<'a> {
    fn decoder(&self) -> serde_urlencoded::Deserializer<'a> {
        serde_urlencoded::Deserializer::new(form_urlencoded::parse(self.0.as_bytes()))
    }

    /// The first of these parameters that is not text.
    fn garbled(&self, wanted: &[&'static str]) -> Option<&'static str> {
        let pairs = self.0.split('&').map(|pair| pair.split_once('='));
        pairs.flatten().find_map(|(name, value)| {
            let name = percent_decode_str(name).decode_utf8().ok()?;
            let name = wanted.iter().find(|wanted| **wanted == name)?;
            let is_text = percent_decode_str(value).decode_utf8().is_ok();
            (!is_text).then_some(*name)
        })
    }
}

impl<'de> Deserializer<'de> for Pairs<'de> {
    type Error = serde::de::value::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        if let Some(garbled) = self.garbled(fields) {
            return Err(Self::Error::custom(format!("{garbled}: it is not UTF-8")));
        }
        self.decoder().deserialize_struct(name, fields, visitor)
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        self.decoder().deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        option unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier
        ignored_any
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match AxumPath::from_request_parts(parts, state).await {
            Ok(AxumPath(path)) => Ok(Self(path)),
            Err(rejection) => Err(ApiError::bad_request(rejection.body_text())),
        }
    }
}

/// `application/json`, with any parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = content_type.and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    // Serde would take an array's items for the fields in their order, and tell of others by the
    // name of a type of ours.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(ApiError::bad_request("body: a JSON object is wanted"));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let (place, reason) = (error.path(), error.inner());
        if is_known(place) || reason.is_data() {
            wrong(place, reason)
        } else {
            unparsed(reason)
        }
    })?;
    json.end().map_err(|error| unparsed(&error))?;
    Ok(value)
}

/// What is not JSON, where no field can be named.
fn unparsed(reason: &serde_json::Error) -> ApiError {
    ApiError::bad_request(format!("body: {reason}"))
}

/// Names the place, where there is one: a missing field is named by the reason itself.
fn wrong(place: &serde_path_to_error::Path, reason: &impl Display) -> ApiError {
    if !is_known(place) {
        return ApiError::bad_request(reason.to_string());
    }
    ApiError::bad_request(format!("{place}: {reason}"))
}

/// Whether a field can be named: a text that ends within a name has none.
fn is_known(place: &serde_path_to_error::Path) -> bool {
    place.iter().any(|part| !matches!(part, Segment::Unknown))
}

/// The body could not be read: too large, or the client broke off.
fn unread(status: StatusCode) -> ApiError {
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        return ApiError::payload_too_large("the body is larger than a JSON body may be");
    }
    ApiError::bad_request("the body could not be read to its end")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use axum::{body::Body, extract::DefaultBodyLimit};
    use serde::Deserialize;
    use tower::{Layer as _, ServiceExt as _, service_fn};

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        #[serde(default)]
        names: Vec<String>,
        #[serde(default)]
        env: BTreeMap<String, String>,
        limit: Option<u16>,
    }

    async fn read(content_type: Option<&str>, body: &str) -> Result<Wanted, ApiError> {
        let mut request = http::Request::post("/");
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let read = service_fn(|request| async move {
            Ok::<_, std::convert::Infallible>(Json::from_request(request, &()).await)
        });
        let limited = DefaultBodyLimit::max(100).layer(read);
        let Ok(read) = limited.oneshot(request).await;
        read.map(|Json(wanted)| wanted)
    }

    async fn refused(content_type: Option<&str>, body: &str) -> (u16, String) {
        let error = read(content_type, body).await.unwrap_err();
        (error.status().as_u16(), error.message().to_owned())
    }

    const JSON: Option<&str> = Some("application/json");

    #[tokio::test]
    async fn no_bytes_are_an_object_without_fields() {
        for content_type in [None, JSON, Some("text/plain")] {
            assert_eq!(read(content_type, "").await.unwrap(), Wanted::default());
        }
    }

    #[tokio::test]
    async fn only_json_is_taken() {
        for content_type in [None, Some("text/plain"), Some("application/jsonp")] {
            assert_eq!(refused(content_type, "{}").await.0, 415, "{content_type:?}");
        }
        for content_type in ["application/json; charset=utf-8", "Application/JSON"] {
            assert!(read(Some(content_type), "{}").await.is_ok());
        }
    }

    #[tokio::test]
    async fn what_is_wrong_is_named() {
        for (body, named) in [
            (
                r#"{"names":["a",3]}"#,
                "names[1]: invalid type: integer `3`",
            ),
            (r#"{"env":{"A":null}}"#, "env.A: invalid type: null"),
            (
                r#"{"limit":70000}"#,
                "limit: invalid value: integer `70000`",
            ),
            (r#"{"other":1}"#, "other: unknown field `other`, expected"),
            (r#"{"limit":1"#, "body: EOF while parsing an object"),
            ("{", "body: EOF while parsing an object"),
            (r#"{"lim"#, "body: EOF while parsing a string"),
            (r#"{"limit""#, "body: EOF while parsing an object"),
            (r#"{"names":["a"#, "names[0]: EOF while parsing a string"),
            ("{limit:1}", "body: key must be a string"),
            ("{} x", "body: trailing characters"),
            ("[]", "body: a JSON object is wanted"),
            ("3", "body: a JSON object is wanted"),
            ("null", "body: a JSON object is wanted"),
            ("\u{feff}{}", "body: a JSON object is wanted"),
        ] {
            let (status, message) = refused(JSON, body).await;
            assert_eq!(status, 400, "{body}");
            assert!(message.contains(named), "{body}: {message}");
        }
    }

    #[tokio::test]
    async fn a_large_body_is_refused() {
        let body = format!(r#"{{"names":["{}"]}}"#, "x".repeat(100));
        assert_eq!(refused(JSON, &body).await.0, 413);
    }

    #[tokio::test]
    async fn a_query_names_its_parameter_and_bears_unknown_ones() {
        #[derive(Debug, Deserialize)]
        struct Parameters {
            path: String,
            limit: Option<u16>,
            mode: Option<String>,
        }
        async fn query(query: &str) -> Result<Parameters, ApiError> {
            let uri = format!("/?{query}");
            let (mut parts, ()) = http::Request::get(uri).body(()).unwrap().into_parts();
            let read = Query::from_request_parts(&mut parts, &()).await;
            read.map(|Query(parameters)| parameters)
        }
        let read = query("path=%EF%BF%BD&jwt=%FF&%FF=1").await.unwrap();
        assert_eq!(read.path, "\u{fffd}");
        let read = query("path=%2Fa%20b&jwt=x&limit=3").await.unwrap();
        assert_eq!((&*read.path, read.limit), ("/a b", Some(3)));
        assert_eq!(read.mode, None);
        // Names are bytes: what is not UTF-8 is as in JSON.
        for given in ["path=/a+%FF%2F%C3%A9&jwt=%FF", "jwt=x&%70ath=/a+%FF/%C3%A9"] {
            assert_eq!(query(given).await.unwrap().path, "/a \u{efff}/é", "{given}");
        }
        for (given, named) in [
            ("", "`path`"),
            ("path=/&limit=x", "limit: "),
            ("path=/&path=/", "`path`"),
            ("path=/&mode=%C3", "mode: it is not UTF-8"),
        ] {
            let error = query(given).await.unwrap_err();
            assert!(
                error.message().contains(named),
                "{given}: {}",
                error.message()
            );
        }
    }
}
