//! A screen with a browser, and a page on it that records its events.

use std::{fmt, time::Duration};

use anyhow::Context as _;
use browserd_e2e::{Call, Cdp, Stack, assert_eventually, http::Answer, stack::Builder};
use http::Method;
use serde_json::{Value, json};

/// The page. Its log has what matters of each event, in words.
const PAGE: &str = "<!doctype html><title>desk</title>
<style>body{margin:8px} #area{width:300px;height:120px;background:#ddd}
#colour{width:40px;height:20px;background:rgb(12,200,99)}
#thing,#target{width:60px;height:40px;background:#88f;display:inline-block;vertical-align:top}
#target{background:#8f8;margin-left:60px}</style>
<div id=colour></div><div id=area></div><textarea id=text rows=5 cols=30></textarea>
<input id=slider type=range min=0 max=100 value=0 style='display:block;width:129px'>
<div id=thing draggable=true></div><div id=target></div>
<script>
const log = [];
const sign = n => n > 0 ? '+' : n < 0 ? '-' : '0';
const keys = e => (e.shiftKey ? 'S' : '') + (e.ctrlKey ? 'C' : '') + (e.altKey ? 'A' : '') || '-';
for (const type of ['mousedown', 'mouseup']) addEventListener(type, e => {
  log.push(`${type} ${e.button} ${keys(e)}`);
  if (e.button > 0) e.preventDefault();
});
for (const type of ['keydown', 'keyup']) addEventListener(type, e => {
  if (!e.repeat && e.key.length === 1) log.push(`${type} ${e.key}`);
});
addEventListener('wheel', e => { log.push(`wheel ${sign(e.deltaX)} ${sign(e.deltaY)}`); e.preventDefault(); }, {passive: false});
addEventListener('contextmenu', e => e.preventDefault());
thing.addEventListener('dragstart', e => e.dataTransfer.setData('text/plain', 'thing'));
target.addEventListener('dragover', e => e.preventDefault());
target.addEventListener('drop', e => { e.preventDefault(); target.append(thing); });
</script>";

/// A stack of the test's own, with the page in front.
pub(crate) struct Desk {
    pub(crate) stack: Stack,
    browser: Option<Cdp>,
    session: String,
}

impl Desk {
    pub(crate) async fn open() -> anyhow::Result<Self> {
        Self::on(Self::stack().start().await?).await
    }

    /// What a stack needs for the page.
    pub(crate) fn stack() -> Builder {
        // No bar that warns of flags: it moves the page when it comes.
        Stack::builder().chromium_flags("--test-type")
    }

    /// The page on a stack that runs.
    pub(crate) async fn on(stack: Stack) -> anyhow::Result<Self> {
        let mut browser = stack.at.browser().await?;
        // A page of a secure origin, since the clipboard is for those alone.
        let path = stack.scratch().join("desk.html");
        std::fs::write(&path, PAGE)?;
        let url = format!("file://{}", path.display());
        let permissions = json!({"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]});
        browser
            .call("Browser.grantPermissions", permissions)
            .await?;
        let (target, session) = browser.open(&url).await?;
        browser
            .call("Target.activateTarget", json!({"targetId": target}))
            .await?;
        let mut desk = Self {
            stack,
            browser: Some(browser),
            session,
        };
        assert_eventually!(within: Duration::from_secs(30), "the page is in front", {
            let ready = "document.readyState === 'complete' && document.hasFocus() && typeof log";
            let ready = desk.script(ready).await?;
            if ready == "object" { Ok(()) } else { Err(ready) }
        });
        // Chromium drops input to a page of which nothing has been painted yet.
        let painted = "new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))";
        desk.script(painted).await?;
        Ok(desk)
    }

    pub(crate) async fn close(mut self) -> anyhow::Result<()> {
        if let Some(browser) = self.browser.take() {
            browser.close().await?;
        }
        Ok(())
    }

    /// Runs a script in the page.
    pub(crate) async fn script(&mut self, script: &str) -> anyhow::Result<Value> {
        let browser = self.browser.as_mut().context("it is closed")?;
        browser.evaluate(&self.session, script).await
    }

    /// A place on the screen: of an element of the page, a part of its size from its corner.
    async fn place(&mut self, element: &str, part: f64) -> anyhow::Result<(i64, i64)> {
        let script = format!(
            "(() => {{ const r = document.querySelector('{element}').getBoundingClientRect(); \
             const top = screenY + outerHeight - innerHeight; return [\
             Math.round(screenX + r.x + r.width * {part}), Math.round(top + r.y + r.height * {part})]; }})()"
        );
        let place = self.script(&script).await?;
        let number = |index: usize| place[index].as_i64().context("no place");
        Ok((number(0)?, number(1)?))
    }

    pub(crate) async fn middle_of(&mut self, element: &str) -> anyhow::Result<(i64, i64)> {
        self.place(element, 0.5).await
    }

    pub(crate) async fn corner_of(&mut self, element: &str) -> anyhow::Result<(i64, i64)> {
        self.place(element, 0.0).await
    }

    /// Posts to a route of the computer.
    pub(crate) async fn call(&self, route: &str, body: &Value) -> anyhow::Result<Answer> {
        let call = Call::new(Method::POST, format!("/computer/{route}"));
        let call = call.body("application/json", body.to_string());
        self.stack.at.api.send(call).await
    }

    /// Posts to a route of the computer, which has to say 200.
    pub(crate) async fn act(&self, route: &str, body: &Value) -> anyhow::Result<()> {
        self.call(route, body).await?.expect(200)?;
        Ok(())
    }

    /// Clicks where nothing happens: two presses at one place within half a second would be a
    /// double click, which begins no drag.
    pub(crate) async fn click_elsewhere(&mut self) -> anyhow::Result<()> {
        let (x, y) = self.middle_of("#colour").await?;
        self.act("click_mouse", &json!({"x": x, "y": y})).await
    }

    /// Sets the size of the screen.
    pub(crate) async fn resize(&self, width: u64, height: u64) -> anyhow::Result<Value> {
        let body = json!({"width": width, "height": height}).to_string();
        let call = Call::new(Method::PATCH, "/display").body("application/json", body);
        self.stack.at.api.send(call).await?.expect(200)?.json()
    }

    /// Waits until the tabs, as `/json/list` has them, are as they should be.
    pub(crate) async fn has_tabs(
        &self,
        what: &str,
        are_right: impl Fn(&[Value]) -> bool,
    ) -> anyhow::Result<()> {
        assert_eventually!("the tabs are as they should be", {
            let mut tabs = self.stack.at.targets().await?;
            tabs.retain(|target| target["type"] == "page");
            if are_right(&tabs) {
                Ok(())
            } else {
                Err((what, tabs))
            }
        });
        Ok(())
    }

    /// Waits until a script in the page of the tab with this address gives what is wanted.
    pub(crate) async fn tab_says(
        &self,
        url: &str,
        script: &str,
        wanted: Value,
    ) -> anyhow::Result<()> {
        assert_eventually!("the tab says so", {
            let said = self.in_tab(url, script).await?;
            if said.as_ref() == Some(&wanted) {
                Ok(())
            } else {
                Err((url, script, said))
            }
        });
        Ok(())
    }

    /// Runs a script in the page of the tab with this address, when there is one.
    async fn in_tab(&self, url: &str, script: &str) -> anyhow::Result<Option<Value>> {
        let tabs = self.stack.at.targets().await?;
        let Some(tab) = tabs.iter().find(|tab| tab["url"] == url) else {
            return Ok(None);
        };
        let path = format!("/devtools/page/{}", tab["id"].as_str().context("no id")?);
        let mut page = Cdp::connect(&self.stack.at.devtools_ws(&path)).await?;
        let params = json!({"expression": script, "returnByValue": true});
        let said = page.call("Runtime.evaluate", params).await?;
        page.close().await?;
        Ok(Some(said["result"]["value"].clone()))
    }

    /// Empties the page's log.
    pub(crate) async fn forget(&mut self) -> anyhow::Result<()> {
        self.script("log.length = 0").await?;
        Ok(())
    }

    /// Waits until the page's log is this, and no more.
    pub(crate) async fn sees(&mut self, wanted: &str) -> anyhow::Result<()> {
        assert_eventually!("the page sees what was done", {
            let seen = self.script("log.join(', ')").await?;
            if seen == wanted {
                Ok(())
            } else {
                Err(format!("{seen}, not {wanted}"))
            }
        });
        Ok(())
    }

    /// Whether the page's log has this. Over a connection of its own, beside a call under way.
    pub(crate) async fn heard(&self, wanted: &str) -> anyhow::Result<bool> {
        let targets = self.stack.at.targets().await?;
        let page = targets.iter().find(|target| target["title"] == "desk");
        let id = page
            .and_then(|page| page["id"].as_str())
            .context("no page")?;
        let path = format!("/devtools/page/{id}");
        let mut page = Cdp::connect(&self.stack.at.devtools_ws(&path)).await?;
        let expression = format!("log.includes('{wanted}')");
        let params = json!({"expression": expression, "returnByValue": true});
        let heard = page.call("Runtime.evaluate", params).await?;
        page.close().await?;
        Ok(heard["result"]["value"] == true)
    }

    /// Empties the text field and puts the focus there.
    pub(crate) async fn empty_text(&mut self) -> anyhow::Result<()> {
        self.script("text.value = ''; text.focus(); 0").await?;
        Ok(())
    }

    /// Takes a picture.
    pub(crate) async fn picture(&self, body: &Value) -> anyhow::Result<Picture> {
        let answer = self.call("screenshot", body).await?.expect(200)?;
        let mut reader = png::Decoder::new(std::io::Cursor::new(&answer.body)).read_info()?;
        let mut pixels = vec![0; reader.output_buffer_size().context("too large")?];
        let info = reader.next_frame(&mut pixels)?;
        Ok(Picture {
            width: info.width,
            height: info.height,
            pixels: pixels.as_chunks::<3>().0.to_vec(),
        })
    }
}

/// A decoded picture.
#[derive(PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pixels: Vec<[u8; 3]>,
}

impl Picture {
    pub(crate) fn filled(width: u32, height: u32, colour: [u8; 3]) -> Self {
        Self {
            width,
            height,
            pixels: vec![colour; width as usize * height as usize],
        }
    }
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.pixels.first();
        write!(f, "{}x{} {first:?}", self.width, self.height)
    }
}

/// Code points of many kinds, the same for the same seed; without tabs, which move the focus.
pub(crate) fn random_text(seed: u64, length: usize) -> String {
    let ranges = [
        (0x20, 0x7e),
        (0x20, 0x7e),
        (0xa1, 0xff),
        (0x4e00, 0x9fa5),
        (0x1f600, 0x1f64f),
        (0x5d0, 0x5ea),
        (0x627, 0x63a),
        (0x0a, 0x0a),
    ];
    // A multiplicative generator does: the texts only have to be varied, and known.
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let mut text = String::new();
    for _ in 0..length {
        let index = usize::try_from(next(8)).unwrap_or_default();
        let (first, last) = ranges[index];
        let point = first + u32::try_from(next(u64::from(last - first) + 1)).unwrap_or_default();
        // A soft hyphen is there and is not.
        let point = if point == 0xad { 0x2d } else { point };
        text.push(char::from_u32(point).unwrap_or('?'));
    }
    text
}

/// Where two texts part, for a message that can be read.
pub(crate) fn first_difference(wanted: &str, arrived: &Value) -> String {
    let arrived = arrived.as_str().unwrap_or_default();
    let same = wanted.chars().zip(arrived.chars());
    let same = same.take_while(|(a, b)| a == b).count();
    let near = |text: &str| text.chars().skip(same).take(12).collect::<String>();
    format!(
        "{same} characters as wanted, then {:?}, not {:?}",
        near(arrived),
        near(wanted)
    )
}
