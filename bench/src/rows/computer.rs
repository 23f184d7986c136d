//! The mouse, the keyboard and the screen of a whole stack, against programs that are forked
//! for each step.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use browserd_e2e::{Cdp, Stack};
use serde_json::{Value, json};

use crate::{
    Bench, grab,
    http::Http,
    row::{Bar, Row},
    stats::{median, take_turns},
};

/// Actions in a turn that is too short to be timed alone.
const ACTIONS: usize = 20;

/// A stack with a screen of 1080 lines, the API's own pages in its browser.
struct Desk<'a> {
    bench: &'a Bench,
    stack: Stack,
    http: Http,
    browser: Cdp,
    session: String,
}

impl<'a> Desk<'a> {
    /// Opens a page, and waits until it has been painted.
    fn open(bench: &'a Bench, url: impl FnOnce(&Stack) -> String) -> anyhow::Result<Self> {
        let stack = Stack::builder()
            .env("BROWSERD_BINARY", bench.browserd.display().to_string())
            .env("WIDTH", "1920")
            .env("HEIGHT", "1080")
            .env("LOG_LEVEL", "warn")
            .chromium_flags("--test-type");
        let (stack, mut browser) = bench.runtime.block_on(async {
            let stack = stack.start().await?;
            let browser = stack.at.browser().await?;
            anyhow::Ok((stack, browser))
        })?;
        let url = url(&stack);
        let session = bench.runtime.block_on(async {
            let (target, session) = browser.open("about:blank").await?;
            let target = json!({ "targetId": target });
            browser.call("Target.activateTarget", target).await?;
            let in_page = Some(&*session);
            browser.call_in(in_page, "Page.enable", json!({})).await?;
            browser
                .call_in(in_page, "Page.navigate", json!({ "url": url }))
                .await?;
            browser.event("Page.loadEventFired").await?;
            let painted = "new Promise(done => setTimeout(() => requestAnimationFrame(() => \
                           requestAnimationFrame(() => done(1))), 2000))";
            browser.evaluate(&session, painted).await?;
            anyhow::Ok(session)
        })?;
        let http = Http::open(stack.at.api.address())?;
        Ok(Self {
            bench,
            stack,
            http,
            browser,
            session,
        })
    }

    /// With the page that documents the API.
    fn with_docs(bench: &'a Bench) -> anyhow::Result<Self> {
        Self::open(bench, |stack| format!("{}/docs", stack.at.api_url()))
    }

    fn script(&mut self, script: &str) -> anyhow::Result<Value> {
        let evaluated = self.browser.evaluate(&self.session, script);
        self.bench.runtime.block_on(evaluated)
    }

    /// Runs a program on the stack's display to its end.
    fn fork(&self, program: &str, arguments: &[&str]) -> anyhow::Result<()> {
        let mut child = Command::new(program)
            .args(arguments)
            .env("DISPLAY", format!(":{}", self.stack.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot run {program}"))?;
        let status = child.wait()?;
        ensure!(status.success(), "{program} {arguments:?}: {status}");
        Ok(())
    }

    /// Medians in milliseconds: the forked program's and ours.
    fn against(
        &mut self,
        rounds: (usize, usize),
        actions: usize,
        request: &str,
        program: &[&str],
    ) -> anyhow::Result<[f64; 2]> {
        let count = self.bench.rounds(rounds.0, rounds.1);
        let mut round = |is_ours: &mut bool| {
            let mut samples = Vec::with_capacity(actions);
            for _ in 0..actions {
                let start = Instant::now();
                if *is_ours {
                    self.http.exchange(request)?;
                } else {
                    self.fork(program[0], &program[1..])?;
                }
                samples.push(milliseconds(start));
            }
            Ok(median(&samples))
        };
        let mut sides = [false, true];
        take_turns(&mut sides, 1, &mut round)?;
        let figures = take_turns(&mut sides, count, &mut round)?;
        Ok([median(&figures[0]), median(&figures[1])])
    }
}

fn milliseconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

fn moved(bench: &Bench) -> anyhow::Result<[f64; 2]> {
    let mut desk = Desk::with_docs(bench)?;
    let body = json!({"x": 960, "y": 540, "smooth": false});
    let request = desk.http.post("/computer/move_mouse", &body);
    let program = ["xdotool", "mousemove", "960", "540"];
    desk.against((50, 2), ACTIONS, &request, &program)
}

/// A move over HTTP, against a forked xdotool.
pub(super) fn move_mouse(bench: &Bench) -> anyhow::Result<Row> {
    let [peer, ours] = moved(bench)?;
    Ok(Row::against("ms", ours, peer, Bar::RatioAtMost(0.125)).note("p50"))
}

/// The same by itself.
pub(super) fn move_mouse_alone(bench: &Bench) -> anyhow::Result<Row> {
    let [_, ours] = moved(bench)?;
    Ok(Row::absolute("ms", ours, 0.5).note("p50"))
}

/// A click over HTTP, against a forked xdotool.
pub(super) fn click_mouse(bench: &Bench) -> anyhow::Result<Row> {
    let mut desk = Desk::with_docs(bench)?;
    // The margin of the page, where a click does nothing.
    let request = desk
        .http
        .post("/computer/click_mouse", &json!({"x": 4, "y": 700}));
    let program = ["xdotool", "mousemove", "4", "700", "click", "1"];
    let [peer, ours] = desk.against((50, 2), ACTIONS, &request, &program)?;
    Ok(Row::against("ms", ours, peer, Bar::RatioAtMost(0.125)).note("p50"))
}

fn screenshot(
    bench: &Bench,
    format: &str,
    encode: impl Fn(&mut grab::Screen) -> anyhow::Result<Vec<u8>>,
    bar: f64,
) -> anyhow::Result<Row> {
    let mut desk = Desk::with_docs(bench)?;
    let request = desk
        .http
        .post("/computer/screenshot", &json!({ "format": format }));
    let mut screen = grab::Screen::open(&format!(":{}", desk.stack.display()))?;
    let mut round = |is_ours: &mut bool| {
        let start = Instant::now();
        if *is_ours {
            desk.http.exchange(&request)?;
        } else {
            encode(&mut screen)?;
        }
        Ok(milliseconds(start))
    };
    let mut sides = [false, true];
    take_turns(&mut sides, 3, &mut round)?;
    let figures = take_turns(&mut sides, bench.rounds(60, 5), &mut round)?;
    let [peer, ours] = [median(&figures[0]), median(&figures[1])];
    Ok(Row::against("ms", ours, peer, Bar::RatioAtMost(bar)).note("p50"))
}

/// A PNG of the whole screen, against a bare grab and the same encoder.
pub(super) fn screenshot_png(bench: &Bench) -> anyhow::Result<Row> {
    screenshot(bench, "png", grab::Screen::png, 1.2)
}

/// A JPEG of the whole screen, against a bare grab and libjpeg-turbo.
pub(super) fn screenshot_jpeg(bench: &Bench) -> anyhow::Result<Row> {
    screenshot(bench, "jpeg", grab::Screen::jpeg, 1.3)
}

/// A PNG of the whole screen after a rest, as an agent thinks between two, against one that comes
/// right after another.
pub(super) fn screenshot_after_rest(bench: &Bench) -> anyhow::Result<Row> {
    const REST: Duration = Duration::from_secs(12);
    let mut desk = Desk::with_docs(bench)?;
    let request = desk.http.post("/computer/screenshot", &json!({}));
    let mut round = |rests: &mut bool| {
        desk.http.exchange(&request)?;
        if *rests {
            bench.pause(REST);
        }
        let start = Instant::now();
        desk.http.exchange(&request)?;
        Ok(milliseconds(start))
    };
    let mut sides = [false, true];
    let figures = take_turns(&mut sides, bench.rounds(7, 3), &mut round)?;
    let [peer, ours] = [median(&figures[0]), median(&figures[1])];
    Ok(Row::against("ms", ours, peer, Bar::RatioAtMost(1.5)).note("p50"))
}

/// A PNG of the whole screen, against Chromium's own of its page.
pub(super) fn screenshot_cdp(bench: &Bench) -> anyhow::Result<Row> {
    let mut desk = Desk::with_docs(bench)?;
    let request = desk.http.post("/computer/screenshot", &json!({}));
    let mut round = |is_ours: &mut bool| {
        let start = Instant::now();
        if *is_ours {
            desk.http.exchange(&request)?;
        } else {
            let params = json!({"format": "png"});
            let shot = desk
                .browser
                .call_in(Some(&desk.session), "Page.captureScreenshot", params);
            desk.bench.runtime.block_on(shot)?;
        }
        Ok(milliseconds(start))
    };
    let mut sides = [false, true];
    take_turns(&mut sides, 2, &mut round)?;
    let figures = take_turns(&mut sides, bench.rounds(30, 2), &mut round)?;
    let [peer, ours] = [median(&figures[0]), median(&figures[1])];
    Ok(Row::against("ms", ours, peer, Bar::RatioAtMost(0.25)).note("p50"))
}

/// A thousand characters into a text field, against xdotool; ours must arrive as they are.
pub(super) fn type_1000(bench: &Bench) -> anyhow::Result<Row> {
    const PAGE: &str = "data:text/html,<textarea id=text rows=20 cols=80 autofocus></textarea>";
    let mut desk = Desk::open(bench, |_| PAGE.to_owned())?;
    let text: String = (0..1000u16)
        .map(|n| char::from(b' ' + u8::try_from(n * 7 % 95).unwrap_or_default()))
        .collect();
    let request = desk.http.post("/computer/type", &json!({ "text": text }));
    desk.script("text.focus()")?;
    let mut round = |is_ours: &mut bool| {
        desk.script("text.value = ''")?;
        let start = Instant::now();
        if *is_ours {
            desk.http.exchange(&request)?;
        } else {
            desk.fork("xdotool", &["type", "--delay", "0", "--", &text])?;
        }
        let took = milliseconds(start);
        // What is still on its way must not fall into the next turn.
        let mut arrived = Value::Null;
        for _ in 0..50 {
            arrived = desk.script("text.value")?;
            if arrived == text.as_str() {
                break;
            }
            desk.bench.pause(Duration::from_millis(20));
        }
        ensure!(
            !*is_ours || arrived == text.as_str(),
            "it arrived as {arrived}"
        );
        Ok(took)
    };
    let mut sides = [false, true];
    let figures = take_turns(&mut sides, bench.rounds(15, 2), &mut round)?;
    let [peer, ours] = [median(&figures[0]), median(&figures[1])];
    Ok(Row::against("ms", ours, peer, Bar::RatioAtMost(0.5)))
}

/// Another size of the screen, against a new X server and a new browser.
pub(super) fn resize(bench: &Bench) -> anyhow::Result<Row> {
    let mut desk = Desk::with_docs(bench)?;
    let sizes = [(1280, 800), (1920, 1080)];
    let requests = sizes.map(|(width, height)| {
        let body = json!({"width": width, "height": height});
        desk.http.request("PATCH", "/display", &body)
    });
    let mut ours = Vec::new();
    for round in 0..bench.rounds(40, 4) {
        let start = Instant::now();
        desk.http.exchange(&requests[round % 2])?;
        ours.push(milliseconds(start));
    }
    let mut peer = Vec::new();
    for _ in 0..bench.rounds(5, 1) {
        let start = Instant::now();
        let restarted = async {
            desk.stack.supervisorctl(&["stop", "chromium"]).await?;
            desk.stack.supervisorctl(&["restart", "xvfb"]).await?;
            desk.stack.supervisorctl(&["start", "chromium"]).await?;
            desk.stack.at.ready(Duration::from_secs(60)).await
        };
        bench.runtime.block_on(restarted)?;
        peer.push(milliseconds(start));
    }
    let [peer, ours] = [median(&peer), median(&ours)];
    Ok(Row::against("ms", ours, peer, Bar::RatioAtMost(0.05)).note("p50"))
}
