//! The proxy's sockets, by a client that shows each byte of what the proxy does.

use std::time::Duration;

use browserd_e2e::{Call, Cdp, Daemon, Echo, cdp::Ending};
use http::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{self, client::IntoClientRequest as _};

use crate::shared::Suite;

type Outcome = anyhow::Result<()>;

const SOON: Duration = Duration::from_secs(5);

pub(crate) async fn a_page_socket_ends_with_1000_when_its_target_closes(suite: Suite) -> Outcome {
    let stack = suite.stack().await?;
    let mark = stack.journal().mark();
    let mut browser = stack.at.browser().await?;
    let (target, _) = browser.open("about:blank").await?;
    let mut page = Cdp::connect(&stack.at.devtools_ws(&format!("/devtools/page/{target}"))).await?;
    page.call("Runtime.evaluate", json!({ "expression": "1" }))
        .await?;
    browser
        .call("Target.closeTarget", json!({ "targetId": target }))
        .await?;
    let ending = page.ended(SOON).await?;
    assert_eq!(
        ending,
        Ending {
            code: 1000,
            reason: "target closed".to_owned()
        }
    );
    // The browser's own connection is not touched by it.
    browser.call("Browser.getVersion", json!({})).await?;
    let told = browserd_e2e::assert_eventually!("the end is logged", {
        let sessions = stack.journal().sessions(mark);
        sessions
            .into_iter()
            .find(|event| event.number("session.close_code") == Some(1000))
    });
    assert!(!told.text("session.ended_by").is_empty(), "{told:?}");
    Ok(())
}

pub(crate) async fn a_target_is_found_behind_any_prefix(suite: Suite) -> Outcome {
    let at = &suite.stack().await?.at;
    let mut browser = at.browser().await?;
    let (target, _) = browser.open("about:blank").await?;
    for prefix in ["", "/one", "/one/two%20three"] {
        let url = at.devtools_ws(&format!("{prefix}/devtools/page/{target}?token=x"));
        let mut page = Cdp::connect(&url).await?;
        // Only a page has this method.
        page.call("Page.getFrameTree", json!({})).await?;
        page.close().await?;
    }
    browser
        .call("Target.closeTarget", json!({ "targetId": target }))
        .await?;
    Ok(())
}

pub(crate) async fn an_unknown_target_gets_chromiums_own_answer(suite: Suite) -> Outcome {
    let stack = suite.stack().await?;
    let path = "/devtools/page/0123456789ABCDEF0123456789ABCDEF";
    let through = refusal(&stack.at.devtools_ws(path)).await?;
    let direct = refusal(&format!("ws://127.0.0.1:{}{path}", stack.internal_port())).await?;
    assert_eq!(through, direct);
    let known = "/json/close/0123456789ABCDEF0123456789ABCDEF";
    let answer = stack.at.discover(known).await?;
    let direct = Call::get(known)
        .send(([127, 0, 0, 1], stack.internal_port()).into())
        .await?;
    assert_eq!((answer.status, &answer.body), (direct.status, &direct.body));
    Ok(())
}

/// The status and the body with which a handshake is refused.
async fn refusal(url: &str) -> anyhow::Result<(u16, String)> {
    let refused = tokio_tungstenite::connect_async(url.into_client_request()?).await;
    match refused {
        Err(tungstenite::Error::Http(response)) => {
            let body = response.body().clone().unwrap_or_default();
            Ok((
                response.status().as_u16(),
                String::from_utf8_lossy(&body).into_owned(),
            ))
        }
        other => anyhow::bail!("not refused: {other:?}"),
    }
}

pub(crate) async fn any_other_path_is_the_current_browser(suite: Suite) -> Outcome {
    let at = &suite.stack().await?.at;
    let paths = [
        "/",
        "/cdp",
        "/devtools/browser/any",
        "/devtools/browser/",
        "/a/b?c=d",
        "//",
    ];
    for path in paths {
        let mut browser = Cdp::connect(&at.devtools_ws(path)).await?;
        // Only the browser's endpoint has this method.
        browser.call("SystemInfo.getProcessInfo", json!({})).await?;
        let ending = browser.close().await?;
        assert!(matches!(ending.code, 1000 | 1005), "{path}: {ending:?}");
    }
    Ok(())
}

pub(crate) async fn compression_is_not_negotiated(suite: Suite) -> Outcome {
    let at = &suite.stack().await?.at;
    let offer = (
        "sec-websocket-extensions",
        "permessage-deflate; client_max_window_bits",
    );
    let (mut browser, response) = Cdp::connect_with(&at.devtools_ws("/"), &[offer]).await?;
    assert_eq!(response.headers().get("sec-websocket-extensions"), None);
    browser.call("Browser.getVersion", json!({})).await?;
    Ok(())
}

pub(crate) async fn the_upstream_sees_neither_origin_nor_credentials(_: Suite) -> Outcome {
    let echo = Echo::start().await?;
    let daemon = Daemon::builder()
        .env("DEVTOOLS_UPSTREAM", echo.url())
        .start()
        .await?;
    let origin = format!("http://127.0.0.1:{}", daemon.at.devtools.port());
    let headers = [
        ("origin", origin.as_str()),
        ("authorization", "Bearer secret"),
        ("cookie", "session=secret"),
        ("sec-websocket-extensions", "permessage-deflate"),
    ];
    let url = daemon.at.devtools_ws("/?token=secret&jwt=secret");
    let (client, _) = Cdp::connect_with(&url, &headers).await?;
    client.close().await?;
    let call = Call::new(Method::GET, "/json/version?token=secret")
        .header("authorization", "Bearer secret")
        .header("cookie", "session=secret");
    let version: Value = call.send(daemon.at.devtools).await?.expect(200)?.json()?;
    assert!(
        version["webSocketDebuggerUrl"]
            .as_str()
            .is_some_and(|url| url.contains("secret"))
    );

    let heads = echo.heads();
    assert!(
        heads
            .iter()
            .any(|head| head.starts_with("GET /devtools/browser/")),
        "{heads:?}"
    );
    for head in heads {
        let head = head.to_ascii_lowercase();
        assert!(
            head.contains(&format!("\r\nhost: {}\r\n", echo.address())),
            "{head}"
        );
        for never in ["\r\norigin:", "secret", "permessage-deflate"] {
            assert!(!head.contains(never), "{head}");
        }
    }
    Ok(())
}
