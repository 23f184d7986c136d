//! The table against the routes themselves, and against what is written about them.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::Value;

use super::*;
use crate::router;

/// Every operation of the document with its method and its path.
fn documented() -> BTreeMap<(String, String), Value> {
    let (_, document) = router::documented().split_for_parts();
    let document = serde_json::to_value(document).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, item)| {
        let item = item.as_object().unwrap();
        item.iter().map(move |(method, operation)| {
            ((method.to_uppercase(), path.clone()), operation.clone())
        })
    });
    operations.collect()
}

#[test]
fn every_route_has_one_row_and_every_row_a_route() {
    let mut rows: Vec<_> = of(Api)
        .map(|row| (row.method.to_owned(), row.path.to_owned()))
        .collect();
    rows.sort();
    let routes: Vec<_> = documented().into_keys().collect();
    assert_eq!(rows, routes);
}

#[test]
fn the_document_tells_the_scope_and_the_body_of_each_row() {
    for ((method, path), operation) in documented() {
        let row = find(&method, &path).unwrap();
        assert_eq!(operation["x-scope"], row.scope.name(), "{method} {path}");
        let content = operation["requestBody"]["content"].as_object();
        let kind = content.and_then(|content| content.keys().next());
        let body = match kind.map(String::as_str) {
            None => Nothing,
            Some("application/json") => Json,
            Some("multipart/form-data") => Form,
            Some(_) => Binary,
        };
        assert_eq!(body, row.body, "{method} {path}");
    }
}

#[test]
fn reading_needs_no_more_than_reading() {
    for row in of(Api).filter(|row| row.method == "GET") {
        assert_ne!(row.scope, Fs, "{}", row.path);
        assert_eq!(row.retry, Again, "{}", row.path);
    }
}

#[test]
fn the_page_about_security_has_the_same_table() {
    let mut table =
        String::from("| Port | Call | Scope | Run again | Body |\n|---|---|---|---|---|\n");
    for row in TABLE {
        let port = match row.port {
            Api => "API",
            DevTools => "DevTools",
            Metrics => "metrics",
        };
        let call = format!("{} {}", row.method, row.path);
        let scope = row.scope.name();
        let retry = match row.retry {
            Again => "yes",
            Once => "no",
        };
        let body = match row.body {
            Nothing => "–",
            Json => "JSON",
            Binary => "bytes",
            Form => "form",
        };
        writeln!(
            table,
            "| {port} | `{call}` | `{scope}` | {retry} | {body} |"
        )
        .unwrap();
    }
    let page = include_str!("../../../../docs/security.md");
    assert!(
        page.contains(&table),
        "docs/security.md lacks this:\n{table}"
    );
}
