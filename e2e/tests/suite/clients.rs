//! The clients that users have, each from its connection to a page that it reads.

use browserd_e2e::{Nginx, clients::run};
use chromiumoxide::Browser;
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use crate::shared::Suite;

type Outcome = anyhow::Result<()>;

/// Runs a scenario of a program against the shared stack.
async fn scenario(suite: &Suite, program: &str, name: &str) -> anyhow::Result<Value> {
    let endpoint = suite.stack().await?.at.devtools_url();
    at(suite, program, name, &endpoint).await
}

async fn at(suite: &Suite, program: &str, name: &str, endpoint: &str) -> anyhow::Result<Value> {
    // So that a failure shows the stack's logs.
    suite.stack().await?;
    let _with_others = suite.playwrights.read().await;
    let web = suite.site().await?.url("");
    run(program, &[name, endpoint, &web]).await
}

async fn playwright_visits(suite: &Suite, endpoint: &str) -> Outcome {
    let seen = at(suite, "playwright.mjs", "visit", endpoint).await?;
    assert_eq!(seen["title"], "home");
    Ok(())
}

pub(crate) async fn playwright_by_http(suite: Suite) -> Outcome {
    let endpoint = suite.stack().await?.at.devtools_url();
    playwright_visits(&suite, &endpoint).await
}

pub(crate) async fn playwright_by_http_with_a_slash(suite: Suite) -> Outcome {
    let endpoint = suite.stack().await?.at.devtools_url();
    playwright_visits(&suite, &format!("{endpoint}/")).await
}

pub(crate) async fn playwright_by_ws(suite: Suite) -> Outcome {
    let endpoint = suite.stack().await?.at.devtools_ws("");
    playwright_visits(&suite, &endpoint).await
}

pub(crate) async fn playwright_by_ws_with_a_slash(suite: Suite) -> Outcome {
    let endpoint = suite.stack().await?.at.devtools_ws("/");
    playwright_visits(&suite, &endpoint).await
}

pub(crate) async fn playwright_behind_a_prefix(suite: Suite) -> Outcome {
    let nginx = Nginx::start(&suite.stack().await?.at).await?;
    for slash in ["", "/"] {
        playwright_visits(&suite, &format!("http://{}{slash}", nginx.address())).await?;
    }
    Ok(())
}

pub(crate) async fn playwright_by_ws_behind_a_prefix(suite: Suite) -> Outcome {
    let nginx = Nginx::start(&suite.stack().await?.at).await?;
    playwright_visits(&suite, &format!("ws://{}/", nginx.address())).await
}

pub(crate) async fn playwright_for_python(suite: Suite) -> Outcome {
    let endpoint = suite.stack().await?.at.devtools_url();
    let web = suite.site().await?.url("");
    let _with_others = suite.playwrights.read().await;
    let seen = run("playwright_client.py", &[&endpoint, &web]).await?;
    assert_eq!(seen, json!({ "title": "home", "greeting": "Hello" }));
    Ok(())
}

pub(crate) async fn puppeteer_by_url(suite: Suite) -> Outcome {
    let seen = scenario(&suite, "puppeteer.mjs", "url").await?;
    assert_eq!(seen["title"], "home");
    Ok(())
}

pub(crate) async fn puppeteer_by_ws(suite: Suite) -> Outcome {
    let stack = suite.stack().await?;
    let version: Value = stack
        .at
        .discover("/json/version")
        .await?
        .expect(200)?
        .json()?;
    let told = version["webSocketDebuggerUrl"].as_str().unwrap_or_default();
    for endpoint in [told, &stack.at.devtools_ws("")] {
        let seen = at(&suite, "puppeteer.mjs", "ws", endpoint).await?;
        assert_eq!(seen["title"], "home", "{endpoint}");
    }
    Ok(())
}

pub(crate) async fn puppeteer_behind_a_prefix(suite: Suite) -> Outcome {
    let nginx = Nginx::start(&suite.stack().await?.at).await?;
    // By `browserURL` it would ask at the root: Puppeteer drops the path of that one.
    let endpoint = format!("ws://{}/devtools/browser/any", nginx.address());
    let seen = at(&suite, "puppeteer.mjs", "ws", &endpoint).await?;
    assert_eq!(seen["title"], "home");
    Ok(())
}

pub(crate) async fn python_websocket_client_with_its_origin(suite: Suite) -> Outcome {
    let stack = suite.stack().await?;
    let mark = stack.journal().mark();
    let seen = run("websocket_client.py", &[&stack.at.devtools_ws("/")]).await?;
    assert!(
        seen["product"]
            .as_str()
            .is_some_and(|text| text.starts_with("Chrome/")),
        "{seen}"
    );
    let refused: Vec<_> = stack
        .journal()
        .requests(mark)
        .into_iter()
        .filter(|event| event.status() == 403)
        .collect();
    assert!(refused.is_empty(), "{refused:?}");
    Ok(())
}

pub(crate) async fn chromiumoxide_opens_a_page(suite: Suite) -> Outcome {
    let stack = suite.stack().await?;
    let web = suite.site().await?;
    for endpoint in [stack.at.devtools_url(), stack.at.devtools_ws("/")] {
        let (browser, mut handler) = Browser::connect(endpoint).await?;
        let drive = async {
            while let Some(event) = handler.next().await {
                // It does not know every event of a new Chromium.
                drop(event);
            }
        };
        let work = async {
            let page = browser.new_page(web.url("/")).await?;
            let text = page.find_element("#greeting").await?.inner_text().await?;
            page.close().await?;
            anyhow::Ok(text)
        };
        let text = tokio::select! {
            text = work => text?,
            () = drive => anyhow::bail!("the connection ended"),
        };
        assert_eq!(text.as_deref(), Some("Hello"));
    }
    Ok(())
}

pub(crate) async fn two_clients_at_once(suite: Suite) -> Outcome {
    let seen = scenario(&suite, "playwright.mjs", "together").await?;
    assert_eq!(seen["undisturbed"], json!([true, true]));
    Ok(())
}

pub(crate) async fn cookies(suite: Suite) -> Outcome {
    let seen = scenario(&suite, "playwright.mjs", "cookies").await?;
    let sent = seen["sent"].as_str().unwrap_or_default();
    assert!(
        sent.contains("by_server=1") && sent.contains("by_script=2"),
        "{seen}"
    );
    Ok(())
}

pub(crate) async fn download(suite: Suite) -> Outcome {
    let endpoint = suite.stack().await?.at.devtools_url();
    let web = suite.site().await?.url("");
    let _alone = suite.playwrights.write().await;
    let seen = run("playwright.mjs", &["download", &endpoint, &web]).await?;
    assert_eq!(
        seen,
        json!({ "name": "the file.txt", "content": "seventeen bytes\n!" })
    );
    Ok(())
}

pub(crate) async fn upload(suite: Suite) -> Outcome {
    let seen = scenario(&suite, "playwright.mjs", "upload").await?;
    let sizes: Vec<u64> = serde_json::from_value(seen["echoed"].clone())?;
    // The form's own text around the file is below 1 KiB.
    for (size, file) in sizes.iter().zip([3, 2 * 1024 * 1024]) {
        assert!(
            (file..file + 1024).contains(size),
            "{size} bytes came for a file of {file}"
        );
    }
    assert_eq!(sizes.len(), 2);
    Ok(())
}

pub(crate) async fn service_worker(suite: Suite) -> Outcome {
    let seen = scenario(&suite, "playwright.mjs", "worker").await?;
    let web = suite.site().await?;
    let expected = json!({
        "text": "from the worker",
        "scope": web.url("/worker/"),
        "url": web.url("/worker/script.js"),
    });
    assert_eq!(seen, expected);
    Ok(())
}

pub(crate) async fn popup(suite: Suite) -> Outcome {
    let seen = scenario(&suite, "playwright.mjs", "popup").await?;
    let url = suite.site().await?.url("/frame");
    assert_eq!(seen, json!({ "url": url, "text": "inside" }));
    Ok(())
}

pub(crate) async fn frames(suite: Suite) -> Outcome {
    let seen = scenario(&suite, "playwright.mjs", "frames").await?;
    assert_eq!(seen, json!({ "text": "inside", "count": 3 }));
    Ok(())
}
