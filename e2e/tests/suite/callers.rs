//! Who may call: what pages try, what the daemon says about it, and who gets in.

mod attack;

use std::{collections::BTreeMap, time::Duration};

use browserd_e2e::{
    Call, Cdp, Chromium, Daemon, Echo, Stack, assert_eventually,
    case::Lacking,
    clients::{self, run},
    settings,
};
use http::Method;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio_tungstenite::tungstenite;

use self::attack::{Attack, PAGES, WAYS};
use crate::shared::Suite;

type Outcome = anyhow::Result<()>;

pub(crate) async fn no_page_gets_in_and_real_clients_do(suite: Suite) -> Outcome {
    let web = suite.site().await?;
    let stack = Stack::builder()
        .chromium_flags(attack::CHROMIUM_FLAGS)
        .start()
        .await?;
    let mut attack = Attack::prepare(&stack, web).await?;
    let victim = attack.victim().to_owned();
    let hosts = attack::hosts();
    let mut attempts = Vec::new();
    for page in PAGES {
        for host in &hosts {
            attempts.extend(attack.try_all(page, host).await?);
        }
    }
    assert_eq!(attempts.len(), PAGES.len() * hosts.len() * 2 * WAYS.len());
    attack::check_arrivals(&attempts);
    let targets = stack.at.targets().await?;
    assert!(
        targets.iter().any(|target| target["id"] == *victim),
        "the victim was closed"
    );
    let made = |target: &Value| {
        target["url"]
            .as_str()
            .is_some_and(|url| url.contains("#attack"))
    };
    assert!(!targets.iter().any(made), "a target was made: {targets:?}");
    attack.finish().await?;

    // The same browser, and those who may: nothing of the above was refused for being late.
    let endpoint = stack.at.devtools_url();
    run("playwright.mjs", &["visit", &endpoint, &web.url("")]).await?;
    run("puppeteer.mjs", &["url", &endpoint, &web.url("")]).await?;
    run("websocket_client.py", &[&stack.at.devtools_ws("/")]).await?;
    stack.at.api.get("/healthz").await?.expect(200)?;
    Ok(())
}

/// A daemon that a page of the site may call, and that page in a browser of its own.
async fn configured(suite: &Suite) -> anyhow::Result<(Daemon, Chromium, Cdp, String)> {
    let web = suite.site().await?;
    let chromium = Chromium::start().await?;
    let daemon = Daemon::builder()
        .env("DEVTOOLS_UPSTREAM", chromium.url())
        .env(
            "ALLOWED_ORIGINS",
            format!("https://app.example.com,{}", web.url("")),
        )
        .start()
        .await?;
    let mut browser = Cdp::connect(chromium.url()).await?;
    let (_, session) = browser.open(&web.url("/frame")).await?;
    assert_eventually!("the page is there", {
        let place = browser
            .evaluate(&session, "document.readyState + location.pathname")
            .await?;
        anyhow::ensure!(place == "complete/frame", "{place}");
    });
    Ok((daemon, chromium, browser, session))
}

pub(crate) async fn a_configured_origin_gets_in(suite: Suite) -> Outcome {
    let (daemon, _chromium, mut browser, session) = configured(&suite).await?;
    let web = suite.site().await?;
    let api = daemon.at.api_url();
    let read = format!("fetch('{api}/healthz').then(answer => answer.status)");
    assert_eq!(browser.evaluate(&session, &read).await?, 200);
    // A header of the page's own makes the browser ask first, by OPTIONS.
    let asked = format!(
        "fetch('{api}/readyz', {{ headers: {{ 'x-request-id': 'from-a-page' }} }})
         .then(answer => answer.headers.get('x-request-id'))"
    );
    assert_eq!(browser.evaluate(&session, &asked).await?, "from-a-page");
    let preflight = assert_eventually!("an OPTIONS came", {
        daemon.journal().events().into_iter().find(|event| {
            event.text("http.method") == "OPTIONS" && event.text("http.path") == "/readyz"
        })
    });
    assert!((200..300).contains(&preflight.status()), "{preflight:?}");
    let list = format!(
        "fetch('{}/json/list').then(answer => answer.ok)",
        daemon.at.devtools_url()
    );
    assert_eq!(browser.evaluate(&session, &list).await?, true);
    let socket = format!(
        "new Promise(resolve => {{
           const socket = new WebSocket('{}');
           socket.onopen = () => socket.send('{{\"id\":1,\"method\":\"Browser.getVersion\"}}');
           socket.onmessage = event => resolve(JSON.parse(event.data).result.product);
           socket.onerror = () => resolve('refused');
         }})",
        daemon.at.devtools_ws("/")
    );
    let product = browser.evaluate(&session, &socket).await?;
    assert!(
        product
            .as_str()
            .is_some_and(|text| text.contains("Chrome/")),
        "{product}"
    );

    let answer = Call::get("/healthz").header("origin", &web.url(""));
    let answer = answer.send(daemon.at.api.address()).await?.expect(200)?;
    assert_eq!(
        answer.header("access-control-allow-origin"),
        Some(&*web.url(""))
    );
    assert!(
        answer
            .header("vary")
            .is_some_and(|vary| vary.to_lowercase().contains("origin"))
    );
    Ok(())
}

pub(crate) async fn an_origin_that_is_not_configured_does_not(_: Suite) -> Outcome {
    let echo = Echo::start().await?;
    let daemon = Daemon::builder()
        .env("DEVTOOLS_UPSTREAM", echo.url())
        .env("ALLOWED_ORIGINS", "https://app.example.com")
        .start()
        .await?;
    let origins = [
        "null",
        "http://app.example.com",
        "https://app.example.com.evil.example",
        "",
    ];
    for origin in origins {
        for (method, address) in [
            (Method::GET, daemon.at.api.address()),
            (Method::OPTIONS, daemon.at.api.address()),
            (Method::GET, daemon.at.devtools),
        ] {
            let path = if address == daemon.at.devtools {
                "/json/version"
            } else {
                "/healthz"
            };
            let call = Call::new(method, path).header("origin", origin);
            let answer = call.send(address).await?;
            assert_eq!(answer.status, 403, "{origin} {}", answer.text());
            assert_eq!(
                answer.header("access-control-allow-origin"),
                None,
                "{origin}"
            );
        }
        let refused = Cdp::connect_with(&daemon.at.devtools_ws("/"), &[("origin", origin)]).await;
        let status = refused
            .err()
            .and_then(|error| match error.downcast::<tungstenite::Error>() {
                Ok(tungstenite::Error::Http(response)) => Some(response.status().as_u16()),
                _ => None,
            });
        assert_eq!(status, Some(403), "{origin}");
    }
    Ok(())
}

pub(crate) async fn callers_on_this_machine_name_it_as_such(_: Suite) -> Outcome {
    let echo = Echo::start().await?;
    let daemon = Daemon::builder()
        .env("DEVTOOLS_UPSTREAM", echo.url())
        .start()
        .await?;
    let at = &daemon.at;
    for (host, status) in [
        ("127.0.0.1", 200),
        ("localhost:1234", 200),
        ("[::1]:10001", 200),
        ("rebound.example", 403),
        ("browser.internal", 403),
        ("192.0.2.77", 403),
        ("127.0.0.1.rebound.example", 403),
    ] {
        let mark = daemon.journal().mark();
        let answer = Call::get("/healthz")
            .host(host)
            .send(at.api.address())
            .await?;
        assert_eq!(answer.status, status, "{host}: {}", answer.text());
        let discovery = Call::get("/json/version")
            .host(host)
            .send(at.devtools)
            .await?;
        assert_eq!(discovery.status, status, "{host}: {}", discovery.text());
        if status == 403 {
            let error: Value = answer.json()?;
            assert_eq!(error["code"], "forbidden");
            let told = assert_eventually!("the refusal is logged", {
                daemon
                    .journal()
                    .requests(mark)
                    .into_iter()
                    .find(|event| event.status() == 403)
            });
            assert!(!told.text("refused").is_empty(), "{told:?}");
        }
    }
    Ok(())
}

pub(crate) async fn a_configured_name_gets_in_from_another_machine(_: Suite) -> Outcome {
    let isolated = ["--user", "--map-root-user", "--net"];
    let probe = Command::new("unshare")
        .args(isolated)
        .args(["ip", "link"])
        .output()
        .await;
    if !probe.is_ok_and(|probe| probe.status.success()) {
        let what = "network namespaces for everyone (`unshare --user --net`), or iproute2";
        anyhow::bail!(Lacking(what.to_owned()));
    }
    let folder = tempfile::tempdir()?;
    let hosts = [
        "browser.example",
        "a.wild.example",
        "other.example",
        "10.9.0.1",
        "vm",
        "vm.local",
    ];
    let run = Command::new("unshare")
        .args(isolated)
        .arg(settings::python())
        .arg(clients::folder().join("two_machines.py"))
        .arg(settings::browserd()?)
        .arg("browser.example,*.wild.example")
        .arg(folder.path().join("chromium"))
        .args(hosts)
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(settings::patience(Duration::from_secs(60)), run).await??;
    let stderr = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{}: {stderr}", output.status);
    let seen: BTreeMap<String, u16> = serde_json::from_slice(&output.stdout)?;
    for host in hosts {
        let is_refused = host == "other.example";
        // Past the rules there is no browser.
        for (port, let_in) in [("api", 200), ("devtools", 503)] {
            let expected = if is_refused { 403 } else { let_in };
            assert_eq!(
                seen.get(&format!("{port} {host}")),
                Some(&expected),
                "{seen:?}"
            );
        }
    }
    Ok(())
}

pub(crate) async fn an_origin_like_the_host_gets_into_devtools_alone(_: Suite) -> Outcome {
    let echo = Echo::start().await?;
    let daemon = Daemon::builder()
        .env("DEVTOOLS_UPSTREAM", echo.url())
        .start()
        .await?;
    let own = |address: std::net::SocketAddr| format!("http://{address}");
    let devtools = daemon.at.devtools;
    let origin = own(devtools);
    Cdp::connect_with(&daemon.at.devtools_ws("/"), &[("origin", &origin)]).await?;
    let answer = Call::get("/json/version")
        .header("origin", &origin)
        .send(devtools)
        .await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let api = daemon.at.api.address();
    let answer = Call::get("/healthz")
        .header("origin", &own(api))
        .send(api)
        .await?;
    assert_eq!(answer.status, 403, "{}", answer.text());
    Ok(())
}

pub(crate) async fn fetch_metadata_of_another_site_is_refused(_: Suite) -> Outcome {
    let echo = Echo::start().await?;
    let daemon = Daemon::builder()
        .env("DEVTOOLS_UPSTREAM", echo.url())
        .start()
        .await?;
    for (site, status) in [
        ("cross-site", 403),
        ("same-site", 403),
        ("same-origin", 200),
        ("none", 200),
    ] {
        for address in [daemon.at.api.address(), daemon.at.devtools] {
            let path = if address == daemon.at.devtools {
                "/json/version"
            } else {
                "/healthz"
            };
            let call = Call::get(path).header("sec-fetch-site", site);
            let answer = call.header("sec-fetch-mode", "cors").send(address).await?;
            assert_eq!(answer.status, status, "{site} {path}: {}", answer.text());
        }
    }
    // Node's fetch sends this and nothing else of the kind.
    let node = Call::get("/json/version").header("sec-fetch-mode", "cors");
    node.send(daemon.at.devtools).await?.expect(200)?;
    let mut client = Cdp::connect(&daemon.at.devtools_ws("/")).await?;
    client.send(None, "Echo.this", json!({})).await?;
    client.event("Echo.this").await?;
    assert!(client.close().await?.code >= 1000);
    assert_eventually!(
        within: Duration::from_secs(5),
        "the session ends",
        daemon.journal().sessions(0).len() == 1
    );
    Ok(())
}
