//! Chromium's own addresses in its answers, replaced by the one that the client used.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::Address;

/// Replace each `webSocketDebuggerUrl`, and the `ws=` or `wss=` of each `devtoolsFrontendUrl`,
/// in an object or a list of objects. All else stays, in its order. What is not such JSON, as
/// Chromium's error texts, stays as it is.
#[must_use]
pub fn rewrite(body: Bytes, address: &Address, query: Option<&str>) -> Bytes {
    let Ok(mut document) = serde_json::from_slice::<Value>(&body) else {
        return body;
    };
    match &mut document {
        Value::Object(object) => rewrite_object(object, address, query),
        Value::Array(list) => {
            for object in list.iter_mut().filter_map(Value::as_object_mut) {
                rewrite_object(object, address, query);
            }
        }
        _ => return body,
    }
    serde_json::to_vec_pretty(&document).map_or(body, Bytes::from)
}

fn rewrite_object(object: &mut Map<String, Value>, address: &Address, query: Option<&str>) {
    if let Some(Value::String(url)) = object.get_mut("webSocketDebuggerUrl")
        && let Some(path) = path_of(url)
    {
        *url = address.websocket_url(path, query);
    }
    if let Some(Value::String(url)) = object.get_mut("devtoolsFrontendUrl")
        && let Some(new) = frontend_url(url, address, query)
    {
        *url = new;
    }
}

/// The path of a WebSocket URL.
fn path_of(url: &str) -> Option<&str> {
    let rest = url
        .strip_prefix("ws://")
        .or_else(|| url.strip_prefix("wss://"))?;
    rest.find('/').map(|slash| &rest[slash..])
}

/// `…/inspector.html?ws=127.0.0.1:9223/devtools/page/…` with the address of the client.
fn frontend_url(url: &str, address: &Address, query: Option<&str>) -> Option<String> {
    let (page, parameters) = url.split_once('?')?;
    let mut found = false;
    let parameters: Vec<_> = parameters
        .split('&')
        .map(|pair| {
            let value = pair
                .strip_prefix("ws=")
                .or_else(|| pair.strip_prefix("wss="));
            let Some(path) = value.and_then(|value| value.find('/').map(|at| &value[at..])) else {
                return pair.to_owned();
            };
            found = true;
            let value = address.without_scheme(path, query);
            format!("{}={}", address.scheme(), escaped(&value))
        })
        .collect();
    found.then(|| format!("{page}?{}", parameters.join("&")))
}

/// As the value of a query parameter: what would end it or be read otherwise is escaped.
fn escaped(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '%' => escaped.push_str("%25"),
            '&' => escaped.push_str("%26"),
            '+' => escaped.push_str("%2B"),
            '#' => escaped.push_str("%23"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn address(secure: bool) -> Address {
        let mut headers = HeaderMap::new();
        if secure {
            headers.insert("x-forwarded-proto", "https".parse().unwrap());
            headers.insert("x-forwarded-prefix", "/b".parse().unwrap());
        }
        Address::of(&headers, "host:1")
    }

    #[test]
    fn addresses_change_and_nothing_else_does() {
        let body = r#"[{
            "z": 1, "a": {"webSocketDebuggerUrl": "ws://kept/x"}, "id": "P",
            "devtoolsFrontendUrl": "https://f/i.html?x=1&ws=127.0.0.1:9/devtools/page/P&y=2",
            "webSocketDebuggerUrl": "ws://127.0.0.1:9/devtools/page/P", "b": null
        }, 7]"#;
        let new = rewrite(
            Bytes::from_static(body.as_bytes()),
            &address(true),
            Some("jwt=a&b=%20"),
        );
        let text: String = str::from_utf8(&new)
            .unwrap()
            .chars()
            .filter(|c| !c.is_whitespace())
            .collect();
        assert_eq!(
            text,
            concat!(
                r#"[{"z":1,"a":{"webSocketDebuggerUrl":"ws://kept/x"},"id":"P","#,
                r#""devtoolsFrontendUrl":"https://f/i.html?x=1&wss=host:1/b/devtools/page/P"#,
                r#"?jwt=a%26b=%2520&y=2","#,
                r#""webSocketDebuggerUrl":"wss://host:1/b/devtools/page/P?jwt=a&b=%20","#,
                r#""b":null},7]"#,
            )
        );
    }

    #[test]
    fn an_object_is_rewritten_too() {
        let body = br#"{"webSocketDebuggerUrl":"ws://localhost:9/devtools/browser/B"}"#;
        let new = rewrite(Bytes::from_static(body), &address(false), None);
        let new: Value = serde_json::from_slice(&new).unwrap();
        assert_eq!(
            new["webSocketDebuggerUrl"],
            "ws://host:1/devtools/browser/B"
        );
    }

    #[test]
    fn what_has_no_addresses_stays() {
        for body in [
            "",
            "No such target id: x",
            "\"text\"",
            "12",
            "{\"a\":",
            "[1,",
            "\u{0}",
        ] {
            let kept = rewrite(Bytes::from_static(body.as_bytes()), &address(false), None);
            assert_eq!(kept, body);
        }
        for odd in [
            r#"{"webSocketDebuggerUrl":7,"devtoolsFrontendUrl":[]}"#,
            r#"{"webSocketDebuggerUrl":"http://x/","devtoolsFrontendUrl":"x?y=ws=1/2"}"#,
            r#"{"webSocketDebuggerUrl":"ws://x","devtoolsFrontendUrl":""}"#,
        ] {
            let new = rewrite(Bytes::from(odd), &address(false), None);
            let (new, old): (Value, Value) = (
                serde_json::from_slice(&new).unwrap(),
                serde_json::from_str(odd).unwrap(),
            );
            assert_eq!(new, old);
        }
    }
}
