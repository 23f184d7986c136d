//! Whether what the daemon says is what `openapi.yaml` says.

use std::{collections::BTreeMap, fs};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::{http::Answer, settings};

/// The document, with a schema compiled for each answer that it describes.
#[derive(Debug)]
pub struct Spec {
    document: Value,
}

impl Spec {
    /// Reads the document of the checkout.
    pub fn load() -> anyhow::Result<Self> {
        let path = settings::repository().join("openapi.yaml");
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let document = serde_norway::from_str(&text)
            .with_context(|| format!("{} is not YAML", path.display()))?;
        Ok(Self { document })
    }

    /// The document itself.
    #[must_use]
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// Checks an answer: its status is described for the operation, its content type too, and
    /// a JSON body fits the schema. What no operation describes has to be an error body.
    pub fn check(&self, method: &str, path: &str, answer: &Answer) -> anyhow::Result<()> {
        self.check_answer(method, path, answer).with_context(|| {
            format!(
                "{method} {path} → {}, against openapi.yaml: {}",
                answer.status,
                answer.text()
            )
        })
    }

    fn check_answer(&self, method: &str, path: &str, answer: &Answer) -> anyhow::Result<()> {
        let is_error = answer.status.is_client_error() || answer.status.is_server_error();
        if method == "OPTIONS" && !is_error {
            return Ok(());
        }
        let Some(operation) = self.operation(method, path) else {
            if !is_error {
                bail!("no such operation, and yet no error");
            }
            return self.check_error(answer);
        };
        let responses = &operation["responses"];
        let described = [answer.status.as_str(), "default"].map(|key| &responses[key]);
        let Some(response) = described.into_iter().find(|response| !response.is_null()) else {
            if is_error {
                return self.check_error(answer);
            }
            bail!("the status is not described");
        };
        let response = self.follow(response)?;
        let Some(content) = response["content"]
            .as_object()
            .filter(|content| !content.is_empty())
        else {
            anyhow::ensure!(answer.body.is_empty(), "a body that is not described");
            return Ok(());
        };
        let kind = answer.header("content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        let Some(media) = content.get(kind) else {
            bail!("content type {kind:?}")
        };
        if kind == "application/json" && !media["schema"].is_null() {
            self.validate(&media["schema"], answer)?;
        }
        Ok(())
    }

    fn operation(&self, method: &str, path: &str) -> Option<&Value> {
        let paths = self.document["paths"].as_object()?;
        let exact = paths.get(path).into_iter();
        let templates = paths.iter().filter(|(template, _)| fits(template, path));
        exact
            .chain(templates.map(|(_, item)| item))
            .find_map(|item| item.get(method.to_ascii_lowercase()))
    }

    fn follow<'a>(&'a self, value: &'a Value) -> anyhow::Result<&'a Value> {
        let Some(reference) = value["$ref"].as_str() else {
            return Ok(value);
        };
        let pointer = reference
            .strip_prefix('#')
            .context("a reference to another document")?;
        self.document
            .pointer(pointer)
            .with_context(|| format!("nothing at {reference}"))
    }

    fn check_error(&self, answer: &Answer) -> anyhow::Result<()> {
        self.validate(&json!({ "$ref": "#/components/schemas/Error" }), answer)
    }

    fn validate(&self, schema: &Value, answer: &Answer) -> anyhow::Result<()> {
        let mut root: BTreeMap<&str, Value> = BTreeMap::new();
        root.insert("allOf", json!([schema]));
        // References in the document are relative to its root.
        root.insert("components", self.document["components"].clone());
        let validator = jsonschema::validator_for(&json!(root))
            .map_err(|error| anyhow::anyhow!("a broken schema: {error}"))?;
        let body: Value = answer.json()?;
        let findings: Vec<String> = validator
            .iter_errors(&body)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        anyhow::ensure!(findings.is_empty(), "{}", findings.join("; "));
        Ok(())
    }
}

/// Whether a path is one that a template such as `/process/{id}/kill` stands for.
fn fits(template: &str, path: &str) -> bool {
    let (mut expected, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (expected.next(), given.next()) {
            (None, None) => return true,
            (Some(part), Some(text)) if part.starts_with('{') && !text.is_empty() => {}
            (Some(part), Some(text)) if part == text => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue, StatusCode};

    use super::*;

    fn spec() -> Spec {
        Spec {
            document: json!({
                "paths": { "/thing/{id}": { "get": { "responses": {
                    "200": { "content": { "application/json": { "schema": {
                        "type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}
                    } } } },
                    "204": {},
                } } } },
                "components": { "schemas": { "Error": { "required": ["message"] } } },
            }),
        }
    }

    fn answer(status: u16, body: &'static str) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        let status = StatusCode::from_u16(status).unwrap();
        Answer {
            status,
            headers,
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    #[test]
    fn an_answer_as_described_passes() {
        spec()
            .check("GET", "/thing/7", &answer(200, r#"{"id":7}"#))
            .unwrap();
        spec().check("GET", "/thing/7", &answer(204, "")).unwrap();
        spec()
            .check("GET", "/elsewhere", &answer(404, r#"{"message":"no"}"#))
            .unwrap();
    }

    #[test]
    fn an_answer_unlike_its_description_fails() {
        let wrong = [
            ("/thing/7", answer(200, r#"{"id":"7"}"#)),
            ("/thing/7", answer(200, "{}")),
            ("/thing/7", answer(201, r#"{"id":7}"#)),
            ("/thing/7", answer(204, "text")),
            ("/thing/7", answer(500, "{}")),
            ("/elsewhere", answer(200, "{}")),
            ("/elsewhere", answer(404, "{}")),
        ];
        for (path, answer) in wrong {
            assert!(
                spec().check("GET", path, &answer).is_err(),
                "{path} {}",
                answer.status
            );
        }
    }
}
