//! The size of the screen, and what the window makes of it, with and without a window manager.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use browserd_e2e::{
    Call, Cdp, Stack, assert_eventually,
    process::{Launch, Process},
    settings, stack,
};
use futures_util::future::try_join_all;
use http::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    desk::Desk,
    restart::{BACK, restarted},
    shared::Suite,
};

type Outcome = anyhow::Result<()>;

pub(crate) async fn usual_sizes_have_their_refresh_rates(_: Suite) -> Outcome {
    let desk = Desk::open().await?;
    for (width, height, refresh) in [
        (2560, 1440, 10),
        (1920, 1080, 25),
        (1920, 1200, 25),
        (1440, 900, 25),
        (1280, 800, 60),
        (1200, 800, 60),
        (1024, 768, 60),
        (768, 1024, 60),
        (390, 844, 60),
        (3840, 2160, 60),
        (321, 241, 60),
    ] {
        let wanted = json!({"width": width, "height": height, "refresh_rate": refresh});
        assert_eq!(desk.resize(width, height).await?, wanted);
        let told: Value = desk.stack.at.api.get("/display").await?.json()?;
        assert_eq!(told, wanted);
    }
    desk.close().await
}

/// The window manager of the headful image, in charge of a stack's screen.
async fn manage(stack: &Stack) -> anyhow::Result<Process> {
    let display = format!(":{}", stack.display());
    let folder = settings::repository().join("images/headful/supervisord");
    let manager = Launch::new(folder.join("with-display"))
        .args(["openbox", "--sm-disable"])
        .env("DISPLAY", &display)
        .env("HOME", stack.scratch())
        .output(&stack.logs().join("openbox"))
        .spawn()?;
    assert_eventually!("the window manager is in charge", {
        let asked = Command::new("xprop")
            .args(["-display", &display, "-root", "_NET_SUPPORTING_WM_CHECK"])
            .output()
            .await?;
        let answer = String::from_utf8_lossy(&asked.stdout).into_owned();
        if answer.contains("window id") {
            Ok(())
        } else {
            Err(answer)
        }
    });
    Ok(manager)
}

/// A page in a window that a window manager manages; the manager ends with the value.
async fn managed_desk() -> anyhow::Result<(Desk, Process)> {
    // As in the headful image, where both wait for the X server.
    let stack = Desk::stack()
        .env("WINDOW_MANAGER", "true")
        .start_unready()
        .await?;
    let manager = manage(&stack).await?;
    stack
        .at
        .ready(Duration::from_secs(60))
        .await
        .context("not ready with a window manager")?;
    Ok((Desk::on(stack).await?, manager))
}

/// Waits until the page says that its window is as large as the screen.
async fn fills_the_screen(desk: &mut Desk, width: u64, height: u64) -> Outcome {
    assert_eventually!("the window fills the screen", {
        let script = "[screen.width, screen.height, innerWidth, outerHeight]";
        let seen = desk.script(script).await?;
        let wanted = json!([width, height, width, height]);
        if seen == wanted {
            Ok(())
        } else {
            Err((seen, wanted))
        }
    });
    Ok(())
}

pub(crate) async fn a_window_manager_makes_the_window_follow(_: Suite) -> Outcome {
    let (mut desk, _manager) = managed_desk().await?;
    fills_the_screen(&mut desk, 1280, 720).await?;
    for (width, height) in [
        (1024, 768),
        (390, 844),
        (320, 240),
        (1920, 1080),
        (3840, 2160),
    ] {
        desk.resize(width, height).await?;
        fills_the_screen(&mut desk, width, height).await?;
    }
    desk.close().await
}

pub(crate) async fn f11_fills_the_screen_and_leaves_it(_: Suite) -> Outcome {
    let (managed, _manager) = managed_desk().await?;
    full_screen_and_back(managed).await?;
    let with_ui = Desk::stack().env("BROWSER_UI", "true").start().await?;
    full_screen_and_back(Desk::on(with_ui).await?).await
}

/// Waits until every page that shows says that it is as large as the screen. A tab behind another
/// one gets its size when it comes to the front.
async fn pages_fill_the_screen(browser: &mut Cdp, width: u64, height: u64) -> Outcome {
    assert_eventually!("every page is as large as the screen", {
        let targets = browser.call("Target.getTargets", json!({})).await?;
        let targets = targets["targetInfos"].as_array().context("no targets")?;
        let pages = targets.iter().filter(|target| target["type"] == "page");
        let mut seen = Vec::new();
        for page in pages {
            let id = page["targetId"].as_str().context("no id")?;
            let session = browser.attach(id).await?;
            let script = "document.visibilityState === 'visible' \
                ? [innerWidth, innerHeight, screen.width, screen.height] : []";
            seen.push(browser.evaluate(&session, script).await?);
            let detach = json!({"sessionId": session});
            browser.call("Target.detachFromTarget", detach).await?;
        }
        let wanted = json!([width, height, width, height]);
        seen.retain(|seen| *seen != json!([]));
        if !seen.is_empty() && seen.iter().all(|seen| *seen == wanted) {
            Ok(())
        } else {
            Err((seen, wanted))
        }
    });
    Ok(())
}

pub(crate) async fn pages_have_the_whole_screen(_: Suite) -> Outcome {
    let desk = Desk::open().await?;
    let mut browser = desk.stack.at.browser().await?;
    pages_fill_the_screen(&mut browser, 1280, 720).await?;
    for (width, height) in [(1280, 720), (1920, 1080), (800, 600)] {
        desk.resize(width, height).await?;
        // A window, a window of a context of its own, and one that a page opens.
        let window = json!({"url": "about:blank", "newWindow": true});
        browser.call("Target.createTarget", window).await?;
        let context = browser.call("Target.createBrowserContext", json!({}));
        let context =
            json!({"url": "about:blank", "browserContextId": context.await?["browserContextId"]});
        browser.call("Target.createTarget", context).await?;
        let (_, session) = browser.open("about:blank").await?;
        let open = json!({
            "expression": "!!open('about:blank', '', 'popup,width=400,height=300')",
            "userGesture": true,
        });
        let opened = browser
            .call_in(Some(&session), "Runtime.evaluate", open)
            .await?;
        assert_eq!(opened["result"]["value"], true, "{opened}");
        pages_fill_the_screen(&mut browser, width, height).await?;
    }
    browser.close().await?;
    desk.close().await
}

pub(crate) async fn the_browser_shows_its_ui_on_request(_: Suite) -> Outcome {
    let stack = Desk::stack().env("BROWSER_UI", "true").start().await?;
    let mut desk = Desk::on(stack).await?;
    for (width, height) in [(1280, 720), (1920, 1080), (800, 600)] {
        // The first is the size that it starts with.
        if (width, height) != (1280, 720) {
            desk.resize(width, height).await?;
        }
        assert_eventually!("the window covers the screen exactly", {
            let script = "[screenX, screenY, outerWidth, outerHeight]";
            let seen = desk.script(script).await?;
            let wanted = json!([0, 0, width, height]);
            if seen == wanted {
                Ok(())
            } else {
                Err((seen, wanted))
            }
        });
        let page = desk.script("outerHeight - innerHeight").await?;
        assert!(page.as_i64().is_some_and(|ui| ui > 40), "{page}");
    }
    desk.close().await
}

async fn full_screen_and_back(mut desk: Desk) -> Outcome {
    desk.resize(1024, 768).await?;
    assert_eventually!("the window fills the screen", {
        let seen = desk.script("[innerWidth, outerHeight]").await?;
        if seen == json!([1024, 768]) {
            Ok(())
        } else {
            Err(seen)
        }
    });
    for is_full in [true, false, true] {
        desk.act("press_key", &json!({"keys": ["F11"]})).await?;
        assert_eventually!("the window is as it should be", {
            let script = "[matchMedia('(display-mode: fullscreen)').matches, \
                innerHeight === screen.height, innerHeight, screen.height]";
            let seen = desk.script(script).await?;
            if seen[0] == is_full && seen[1] == is_full {
                Ok(())
            } else {
                Err((is_full, seen))
            }
        });
    }
    desk.close().await
}

pub(crate) async fn a_killed_x_server_is_503_and_then_works_again(_: Suite) -> Outcome {
    let desk = Desk::open().await?;
    let pid = desk.stack.pid("xvfb").await?;
    let everything = [
        ("move_mouse", json!({"x": 5, "y": 6, "smooth": false})),
        ("get_mouse_position", json!({})),
        ("screenshot", json!({})),
        ("clipboard/read", json!({})),
        ("cursor", json!({"hidden": false})),
    ];
    stack::kill(pid, Signal::KILL)?;
    assert_eventually!(within: Duration::from_secs(60), "everything works again", {
        // All of them at once, twice.
        let calls = everything.iter().chain(&everything).map(|(route, body)| {
            let desk = &desk;
            async move { anyhow::Ok((*route, desk.call(route, body).await?.status.as_u16())) }
        });
        let answers = try_join_all(calls).await?;
        for (route, status) in &answers {
            assert!([200, 503].contains(status), "{route}: {status}");
        }
        if answers.iter().all(|(_, status)| *status == 200) { Ok(()) } else { Err(answers) }
    });
    assert_ne!(desk.stack.pid("xvfb").await?, pid);
    Ok(())
}

/// Changes the size of the screen, and restarts Chromium.
fn resize_and_restart() -> Call {
    let body = json!({"width": 1024, "height": 768, "restart_chromium": true});
    Call::new(Method::PATCH, "/display").body("application/json", body.to_string())
}

/// Sets a cookie that outlives its browser.
async fn set_cookie(browser: &mut Cdp, name: &str) -> Outcome {
    let cookie = json!({"name": name, "value": "kept", "domain": "shop.example", "path": "/",
        "expires": 4_000_000_000_u32});
    let cookies = json!({"cookies": [cookie]});
    browser.call("Storage.setCookies", cookies).await?;
    Ok(())
}

async fn has_cookie(browser: &mut Cdp, name: &str) -> anyhow::Result<bool> {
    let kept = browser.call("Storage.getCookies", json!({})).await?;
    let cookies = kept["cookies"].as_array().context("no cookies")?;
    Ok(cookies.iter().any(|cookie| cookie["name"] == name))
}

pub(crate) async fn a_restart_on_request_loses_nothing(_: Suite) -> Outcome {
    let stack = Stack::builder().start().await?;
    let first = stack.pid("chromium").await?;
    let mut old = stack.at.browser().await?;
    let (_, _) = old.open("about:blank").await?;
    set_cookie(&mut old, "first").await?;
    let answer = stack.at.api.send(resize_and_restart()).await?.expect(200)?;
    let told: Value = answer.json()?;
    assert_eq!(
        told,
        json!({"width": 1024, "height": 768, "refresh_rate": 60})
    );
    assert_eq!(old.ended(BACK).await?, restarted());
    // Nobody has to wait any more.
    assert!(stack.at.discover("/json/version").await?.status == 200);
    let second = stack.pid("chromium").await?;
    assert_ne!(second, first);
    let mut new = stack.at.browser().await?;
    assert!(has_cookie(&mut new, "first").await?, "the cookie is lost");

    // The client goes away while it is done.
    set_cookie(&mut new, "second").await?;
    {
        let asked = stack.at.api.send(resize_and_restart());
        tokio::select! {
            answer = asked => anyhow::bail!("it was faster: {:?}", answer?.status),
            ended = new.ended(BACK) => assert_eq!(ended?, restarted()),
        }
    }
    let mut newest = stack.at.browser().await?;
    assert!(has_cookie(&mut newest, "second").await?, "it is lost");
    assert_ne!(stack.pid("chromium").await?, second);
    Ok(())
}

pub(crate) async fn a_browser_that_hangs_is_restarted_all_the_same(_: Suite) -> Outcome {
    let stack = Stack::builder().start().await?;
    let hung = stack.pid("chromium").await?;
    stack::kill(hung, Signal::STOP)?;
    let asked = Instant::now();
    stack.at.api.send(resize_and_restart()).await?.expect(200)?;
    // supervisord gives it ten seconds in all.
    let took = asked.elapsed();
    assert!(
        took < settings::patience(Duration::from_secs(17)),
        "{took:?}"
    );
    assert_ne!(stack.pid("chromium").await?, hung);
    let mut new = stack.at.browser().await?;
    new.call("Browser.getVersion", json!({})).await?;
    Ok(())
}
