//! `/json/*`: what there is to connect to, with addresses that reach it from where the client is.

use anyhow::Context as _;
use browserd_e2e::{Call, assert_eventually};
use http::Method;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::shared::Suite;

type Outcome = anyhow::Result<()>;

fn address<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

pub(crate) async fn every_document_is_served_with_and_without_a_slash(suite: Suite) -> Outcome {
    let at = &suite.stack().await?.at;
    for path in ["/json", "/json/list", "/json/version", "/json/protocol"] {
        for slash in ["", "/"] {
            let answer = at.discover(&format!("{path}{slash}")).await?.expect(200)?;
            let kind = answer.header("content-type").unwrap_or_default().to_owned();
            assert!(
                kind.starts_with("application/json"),
                "{path}{slash}: {kind}"
            );
            let body: Value = answer.json()?;
            match path {
                "/json/version" => assert!(address(&body, "Browser").starts_with("Chrome/")),
                "/json/protocol" => assert!(body["domains"].is_array()),
                _ => assert!(body.as_array().is_some_and(|targets| !targets.is_empty())),
            }
        }
    }
    Ok(())
}

pub(crate) async fn addresses_are_those_that_the_client_used(suite: Suite) -> Outcome {
    let at = &suite.stack().await?.at;
    let port = at.devtools.port();
    for host in [
        format!("127.0.0.1:{port}"),
        format!("localhost:{port}"),
        "localhost".to_owned(),
    ] {
        let version = Call::get("/json/version")
            .host(&host)
            .send(at.devtools)
            .await?;
        let version: Value = version.expect(200)?.json()?;
        let url = address(&version, "webSocketDebuggerUrl");
        assert!(
            url.starts_with(&format!("ws://{host}/devtools/browser/")),
            "{host}: {url}"
        );
        let list = Call::get("/json/list")
            .host(&host)
            .send(at.devtools)
            .await?;
        let list: Vec<Value> = list.expect(200)?.json()?;
        for target in &list {
            let url = address(target, "webSocketDebuggerUrl");
            assert!(
                url.starts_with(&format!("ws://{host}/devtools/")),
                "{host}: {url}"
            );
            let url = address(target, "devtoolsFrontendUrl");
            assert!(!url.contains("127.0.0.1:9223"), "{url}");
            assert!(
                url.contains(&format!("ws={host}/devtools/")),
                "{host}: {url}"
            );
        }
    }
    Ok(())
}

pub(crate) async fn addresses_follow_the_proxy_in_front(suite: Suite) -> Outcome {
    let at = &suite.stack().await?.at;
    let call = |path: &str| {
        Call::get(path)
            .header("x-forwarded-host", "browsers.example")
            .header("x-forwarded-proto", "https")
            .header("x-forwarded-prefix", "/one/two")
            .send(at.devtools)
    };
    let version: Value = call("/json/version").await?.expect(200)?.json()?;
    let url = address(&version, "webSocketDebuggerUrl");
    assert!(
        url.starts_with("wss://browsers.example/one/two/devtools/browser/"),
        "{url}"
    );
    let list: Vec<Value> = call("/json").await?.expect(200)?.json()?;
    for target in &list {
        let url = address(target, "webSocketDebuggerUrl");
        assert!(
            url.starts_with("wss://browsers.example/one/two/devtools/"),
            "{url}"
        );
        let url = address(target, "devtoolsFrontendUrl");
        assert!(
            url.contains("wss=browsers.example/one/two/devtools/"),
            "{url}"
        );
    }
    Ok(())
}

pub(crate) async fn credentials_stay_in_the_addresses(suite: Suite) -> Outcome {
    let at = &suite.stack().await?.at;
    for query in ["?token=x", "?jwt=a.b.c"] {
        let version: Value = at
            .discover(&format!("/json/version{query}"))
            .await?
            .expect(200)?
            .json()?;
        let url = address(&version, "webSocketDebuggerUrl");
        assert!(url.ends_with(query), "{url}");
        let list: Vec<Value> = at.discover(&format!("/json/list{query}")).await?.json()?;
        for target in &list {
            let url = address(target, "webSocketDebuggerUrl");
            assert!(url.ends_with(query), "{url}");
        }
        // And the address works.
        let mut browser = browserd_e2e::Cdp::connect(url).await?;
        browser.call("Browser.getVersion", json!({})).await?;
    }
    Ok(())
}

pub(crate) async fn a_target_is_opened_activated_and_closed(suite: Suite) -> Outcome {
    let at = &suite.stack().await?.at;
    let web = suite.site().await?;
    for (slash, rest) in [("", ""), ("/", "&token=x")] {
        let url = web.url("/frame?opened");
        let new = Call::new(Method::PUT, format!("/json/new{slash}?{url}{rest}"));
        let target: Value = new.send(at.devtools).await?.expect(200)?.json()?;
        assert_eq!(target["url"], url);
        let id = address(&target, "id").to_owned();
        let socket = address(&target, "webSocketDebuggerUrl");
        assert!(
            socket.starts_with(&at.devtools_ws("/devtools/page/")),
            "{socket}"
        );

        at.discover(&format!("/json/activate/{id}{slash}"))
            .await?
            .expect(200)?;
        at.discover(&format!("/json/close/{id}{slash}"))
            .await?
            .expect(200)?;
        assert_eventually!("the target is closed", {
            let targets = at.targets().await.unwrap_or_default();
            !targets.is_empty() && targets.iter().all(|target| target["id"] != id)
        });
        at.discover(&format!("/json/close/{id}"))
            .await?
            .expect(404)?;
    }
    Ok(())
}

/// Chromium takes any byte in the URL of a new page, and clients write it there as it is.
pub(crate) async fn a_url_of_any_bytes_is_opened(suite: Suite) -> Outcome {
    let at = &suite.stack().await?.at;
    for url in [
        "data:text/html,<title>x</title>",
        "data:text/html,\"q\"",
        "about:blank#part",
    ] {
        let mut stream = TcpStream::connect(at.devtools).await?;
        let request = format!(
            "PUT /json/new?{url} HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            at.devtools
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{url}: {answer}");
        let (_, body) = answer.split_once("\r\n\r\n").context("no body")?;
        let target: Value = serde_json::from_str(body)?;
        let opened = percent_decode_str(address(&target, "url")).decode_utf8()?;
        assert_eq!(opened, url);
        let id = address(&target, "id");
        at.discover(&format!("/json/close/{id}"))
            .await?
            .expect(200)?;
    }
    Ok(())
}

pub(crate) async fn targets_are_not_opened_by_get(suite: Suite) -> Outcome {
    let at = &suite.stack().await?.at;
    let url = suite.site().await?.url("/frame?by-get");
    let answer = at.discover(&format!("/json/new?{url}")).await?;
    assert_eq!(answer.status, 405, "{}", answer.text());
    let post = Call::new(Method::POST, format!("/json/new?{url}"))
        .send(at.devtools)
        .await?;
    assert_eq!(post.status, 405, "{}", post.text());
    let targets = at.targets().await?;
    assert!(
        targets.iter().all(|target| target["url"] != url),
        "{targets:?}"
    );
    Ok(())
}
