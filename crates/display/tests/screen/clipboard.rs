//! The clipboard, shared with xclip and with clients that hand text over piece by piece.

use std::process::Stdio;

use browserd_display::{Clipboard, Error};
use tokio::{
    io::AsyncWriteExt as _,
    process::{Child, Command},
};
use tokio_util::sync::{CancellationToken, DropGuard};
use x11rb::{
    connection::Connection as _,
    protocol::{
        Event,
        xproto::{
            AtomEnum, ChangeWindowAttributesAux, ConnectionExt as _, EventMask, PropMode, Property,
            Window,
        },
    },
    wrapper::ConnectionExt as _,
};

use crate::{
    client::{Client, region},
    xvfb::{Xvfb, eventually},
};

fn clipboard(xvfb: &Xvfb) -> (Clipboard, DropGuard) {
    let token = CancellationToken::new();
    let (clipboard, run) = Clipboard::spawn(xvfb.display(), token.clone()).unwrap();
    #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
    tokio::spawn(run);
    (clipboard, token.drop_guard())
}

/// A MiB and a bit of ASCII, Latin-1, CJK, emoji, right-to-left and line ends.
fn mixed() -> String {
    let line = "plain, größer, 漢字かな, 👩‍👩‍👧 🦀, مرحبا שלום,\ttab\r\n";
    let text = line.repeat(16_000);
    let whole = |(at, c): &(usize, char)| at + c.len_utf8() <= 1024 * 1024 + 13;
    text.char_indices()
        .take_while(whole)
        .map(|(_, c)| c)
        .collect()
}

fn xclip(xvfb: &Xvfb, arguments: &[&str]) -> Command {
    let mut command = Command::new("xclip");
    command
        .args(["-display", &xvfb.name(), "-selection", "clipboard"])
        .args(arguments)
        .kill_on_drop(true);
    command
}

async fn paste(xvfb: &Xvfb, target: &str) -> String {
    let output = xclip(xvfb, &["-o", "-t", target]).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Owns the clipboard until it is dropped.
async fn copy(xvfb: &Xvfb, text: &str) -> Child {
    let mut child = xclip(xvfb, &["-i", "-quiet"])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .await
        .unwrap();
    child
}

#[tokio::test]
async fn without_an_owner_there_is_no_text() {
    let xvfb = Xvfb::small().await;
    let (clipboard, _run) = clipboard(&xvfb);
    assert_eq!(clipboard.read().await.unwrap(), "");
}

#[tokio::test]
async fn what_was_written_is_read_here_and_by_xclip() {
    let xvfb = Xvfb::small().await;
    let (clipboard, _run) = clipboard(&xvfb);
    let long = mixed();
    for text in [
        "",
        "plain",
        "größer 漢字 👩‍👩‍👧 שלום\r\n\tend",
        &long,
        "short again",
    ] {
        clipboard.write(text.to_owned()).await.unwrap();
        assert!(clipboard.read().await.unwrap() == text);
        for target in [
            "UTF8_STRING",
            "text/plain;charset=utf-8",
            "text/plain",
            "TEXT",
        ] {
            assert!(paste(&xvfb, target).await == text, "{target}");
        }
    }
    clipboard.write("größer".to_owned()).await.unwrap();
    let latin = xclip(&xvfb, &["-o", "-t", "STRING"])
        .output()
        .await
        .unwrap();
    assert_eq!(latin.stdout, b"gr\xf6\xdfer");
    let targets = paste(&xvfb, "TARGETS").await;
    for target in [
        "TARGETS",
        "TIMESTAMP",
        "UTF8_STRING",
        "text/plain;charset=utf-8",
        "STRING",
    ] {
        assert!(targets.lines().any(|line| line == target), "{targets}");
    }
    let unknown = xclip(&xvfb, &["-o", "-t", "image/png"])
        .output()
        .await
        .unwrap();
    assert!(!unknown.status.success());
}

#[tokio::test]
async fn what_xclip_owns_is_read() {
    let xvfb = Xvfb::small().await;
    let (clipboard, _run) = clipboard(&xvfb);
    for text in ["plain", "größer 漢字 👩‍👩‍👧 שלום", &mixed()] {
        let _owner = copy(&xvfb, text).await;
        eventually("the text of xclip is read", async || {
            clipboard.read().await.unwrap() == text
        })
        .await;
        // Several readers at once share the one read.
        let (a, b) = tokio::join!(clipboard.read(), clipboard.read());
        assert!(a.unwrap() == text && b.unwrap() == text);
    }
    // And back again: writing takes it over from xclip.
    let owner = copy(&xvfb, "theirs").await;
    eventually("xclip owns it", async || {
        clipboard.read().await.unwrap() == "theirs"
    })
    .await;
    clipboard.write("ours".to_owned()).await.unwrap();
    assert_eq!(clipboard.read().await.unwrap(), "ours");
    assert_eq!(paste(&xvfb, "UTF8_STRING").await, "ours");
    drop(owner);
}

/// A client that owns the clipboard and does as the test wants.
struct Theirs {
    client: Client,
    window: Window,
}

impl Theirs {
    fn new(xvfb: &Xvfb) -> Self {
        let client = Client::new(xvfb);
        let window = client.window(region(0, 0, 10, 10));
        let listen = ChangeWindowAttributesAux::new().event_mask(EventMask::PROPERTY_CHANGE);
        client.x.change_window_attributes(window, &listen).unwrap();
        Self { client, window }
    }

    fn atom(&self, name: &str) -> u32 {
        let cookie = self.client.x.intern_atom(false, name.as_bytes()).unwrap();
        cookie.reply().unwrap().atom
    }

    fn own(&self) {
        let clipboard = self.atom("CLIPBOARD");
        let x = &self.client.x;
        x.set_selection_owner(self.window, clipboard, x11rb::CURRENT_TIME)
            .unwrap();
        x.sync().unwrap();
    }

    /// Asks for several kinds at once, and gives the list back as it was answered.
    fn read_several(&self, pairs: &[u32]) -> Vec<u32> {
        let x = &self.client.x;
        let [clipboard, multiple, list, pair] =
            ["CLIPBOARD", "MULTIPLE", "LIST", "ATOM_PAIR"].map(|name| self.atom(name));
        x.change_property32(PropMode::REPLACE, self.window, list, pair, pairs)
            .unwrap();
        x.convert_selection(self.window, clipboard, multiple, list, x11rb::CURRENT_TIME)
            .unwrap();
        x.flush().unwrap();
        loop {
            if let Event::SelectionNotify(event) = x.wait_for_event().unwrap() {
                assert_eq!(event.property, list);
                break;
            }
        }
        let answered = x.get_property(false, self.window, list, pair, 0, 1024);
        let answered = answered.unwrap().reply().unwrap();
        answered.value32().unwrap().collect()
    }

    fn bytes(&self, place: &str) -> Vec<u8> {
        let place = self.atom(place);
        let cookie = (self.client.x)
            .get_property(false, self.window, place, AtomEnum::ANY, 0, 1024)
            .unwrap();
        cookie.reply().unwrap().value
    }

    /// Reads the clipboard as the protocol says, piece by piece, and tells how many there were.
    fn read_incrementally(&self) -> (usize, Vec<u8>) {
        let x = &self.client.x;
        let [clipboard, utf8, place, incr] =
            ["CLIPBOARD", "UTF8_STRING", "PLACE", "INCR"].map(|name| self.atom(name));
        x.convert_selection(self.window, clipboard, utf8, place, x11rb::CURRENT_TIME)
            .unwrap();
        let take = || {
            let cookie = x.get_property(true, self.window, place, AtomEnum::ANY, 0, u32::MAX / 4);
            cookie.unwrap().reply().unwrap()
        };
        x.flush().unwrap();
        loop {
            if let Event::SelectionNotify(event) = x.wait_for_event().unwrap() {
                assert_eq!(event.property, place);
                break;
            }
        }
        assert_eq!(take().type_, incr);
        let (mut pieces, mut text) = (0, Vec::new());
        loop {
            x.flush().unwrap();
            let Event::PropertyNotify(event) = x.wait_for_event().unwrap() else {
                continue;
            };
            if event.state != Property::NEW_VALUE || event.atom != place {
                continue;
            }
            let piece = take();
            if piece.type_ == x11rb::NONE {
                continue;
            }
            assert_eq!(piece.type_, utf8);
            if piece.value.is_empty() {
                return (pieces, text);
            }
            pieces += 1;
            text.extend(piece.value);
        }
    }
}

#[tokio::test]
async fn long_text_goes_out_in_pieces() {
    let xvfb = Xvfb::small().await;
    let (clipboard, _run) = clipboard(&xvfb);
    let text = mixed();
    clipboard.write(text.clone()).await.unwrap();
    let theirs = Theirs::new(&xvfb);
    let read = tokio::task::spawn_blocking(move || {
        let first = theirs.read_incrementally();
        assert!(first == theirs.read_incrementally());
        first
    });
    let (pieces, read) = read.await.unwrap();
    assert!(pieces > 1 && read == text.as_bytes(), "{pieces}");
}

#[tokio::test]
async fn an_owner_that_stays_silent_is_given_up() {
    let xvfb = Xvfb::small().await;
    let (clipboard, _run) = clipboard(&xvfb);
    let theirs = Theirs::new(&xvfb);
    theirs.own();
    let error = clipboard.read().await.unwrap_err();
    assert!(matches!(error, Error::ClipboardSilent), "{error:?}");
    // It is in nobody's way afterwards.
    clipboard.write("next".to_owned()).await.unwrap();
    assert_eq!(clipboard.read().await.unwrap(), "next");
}

#[tokio::test]
async fn written_text_is_there_again_after_a_restart() {
    let mut xvfb = Xvfb::small().await;
    let (clipboard, _run) = clipboard(&xvfb);
    clipboard.write("kept".to_owned()).await.unwrap();
    xvfb.kill().await;
    let error = clipboard.read().await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    let error = clipboard.write("not taken".to_owned()).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    xvfb.restart(&["-screen", "0", "640x480x24"]).await;
    // Nobody asks the daemon for anything: it offers the text by itself.
    eventually("the text is offered again", async || {
        let output = xclip(&xvfb, &["-o"]).output().await.unwrap();
        output.stdout == b"kept"
    })
    .await;
    assert_eq!(clipboard.read().await.unwrap(), "kept");
}

#[tokio::test]
async fn a_picture_is_no_text() {
    let xvfb = Xvfb::small().await;
    let (clipboard, _stop) = clipboard(&xvfb);
    clipboard.write("before".to_owned()).await.unwrap();
    // It hands out the picture whatever kind it is asked for.
    let mut owner = xclip(&xvfb, &["-i", "-quiet", "-t", "image/png"])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut picture = owner.stdin.take().unwrap();
    picture.write_all(b"\x89PNG\r\n\x1a\n").await.unwrap();
    drop(picture);
    eventually("the picture is there, and no text", async || {
        clipboard.read().await.unwrap().is_empty()
    })
    .await;
    let targets = paste(&xvfb, "TARGETS").await;
    assert!(targets.contains("image/png"), "{targets}");
}

#[tokio::test]
async fn several_kinds_are_had_with_one_request() {
    let xvfb = Xvfb::small().await;
    let (clipboard, _stop) = clipboard(&xvfb);
    clipboard.write("größer 漢".to_owned()).await.unwrap();
    let client = Theirs::new(&xvfb);
    let atom = |name| client.atom(name);
    let pairs = [
        (atom("UTF8_STRING"), atom("FIRST")),
        (atom("image/png"), atom("SECOND")),
        (atom("STRING"), atom("THIRD")),
        (atom("MULTIPLE"), atom("FOURTH")),
    ];
    let list: Vec<u32> = pairs.iter().flat_map(|&(a, b)| [a, b]).collect();
    let answered = client.read_several(&list);
    let expected = [pairs[0].1, 0, pairs[2].1, 0];
    let places: Vec<u32> = answered.as_chunks::<2>().0.iter().map(|it| it[1]).collect();
    assert_eq!(places, expected);
    assert_eq!(client.bytes("FIRST"), "größer 漢".as_bytes());
    assert_eq!(client.bytes("THIRD"), b"gr\xf6\xdfer ?");
    let targets = paste(&xvfb, "TARGETS").await;
    assert!(targets.contains("MULTIPLE"), "{targets}");
}
