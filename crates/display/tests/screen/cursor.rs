//! The cursor: hidden, shown again, and what of it a client sees.

use browserd_display::{Cursor, Error, Format, Screen, Shot};
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};
use x11rb::{
    connection::Connection as _,
    protocol::xproto::{ChangeWindowAttributesAux, ConnectionExt as _, CreateGCAux, Rectangle},
    wrapper::ConnectionExt as _,
};

use crate::{
    client::Client,
    pictures::pixels,
    xvfb::{Xvfb, eventually},
};

fn cursor(xvfb: &Xvfb) -> (Cursor, DropGuard) {
    let token = CancellationToken::new();
    let (cursor, run) = Cursor::spawn(xvfb.display(), token.clone()).unwrap();
    #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
    tokio::spawn(run);
    (cursor, token.drop_guard())
}

/// Gives the screen a red square of 8 by 8 pixels for a cursor, with its hot spot in the middle,
/// and puts it somewhere. Tells the pixels that it covers.
pub(crate) fn square(client: &Client, x: i16, y: i16) -> Vec<(usize, usize)> {
    let (connection, root) = (&client.x, client.root);
    let [bits, cursor, gc] = [(); 3].map(|()| connection.generate_id().unwrap());
    connection.create_pixmap(1, bits, root, 8, 8).unwrap();
    let white = CreateGCAux::new().foreground(1);
    connection.create_gc(gc, bits, &white).unwrap();
    let all = Rectangle {
        x: 0,
        y: 0,
        width: 8,
        height: 8,
    };
    connection.poly_fill_rectangle(bits, gc, &[all]).unwrap();
    connection
        .create_cursor(cursor, bits, bits, u16::MAX, 0, 0, 0, 0, 0, 4, 4)
        .unwrap();
    let look = ChangeWindowAttributesAux::new().cursor(cursor);
    connection.change_window_attributes(root, &look).unwrap();
    connection
        .warp_pointer(0_u32, root, 0, 0, 0, 0, x, y)
        .unwrap();
    connection.sync().unwrap();
    let (left, top) = (
        usize::try_from(x - 4).unwrap(),
        usize::try_from(y - 4).unwrap(),
    );
    (top..top + 8)
        .flat_map(|y| (left..left + 8).map(move |x| (x, y)))
        .collect()
}

/// An X server whose frame buffer is a file: cursors are in it, which no request can read.
struct Visible {
    xvfb: Xvfb,
    folder: TempDir,
}

impl Visible {
    async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().to_str().unwrap();
        let xvfb = Xvfb::start(&["-screen", "0", "640x480x24", "-fbdir", path]).await;
        Self { xvfb, folder }
    }

    async fn restart(&mut self) {
        let path = self.folder.path().to_str().unwrap();
        let arguments = ["-screen", "0", "640x480x24", "-fbdir", path];
        self.xvfb.restart(&arguments).await;
    }

    /// Whether the red square is on the screen.
    fn square(&self) -> bool {
        let buffer = std::fs::read(self.folder.path().join("Xvfb_screen0")).unwrap();
        // The picture comes last, behind a head and a table of colours.
        let (_, pixels) = buffer.split_at(buffer.len() - 4 * 640 * 480);
        let (pixels, _) = pixels.as_chunks::<4>();
        let red = pixels.iter().filter(|pixel| pixel[..3] == [0, 0, 255]);
        red.count() == 64
    }
}

const WITH: Shot = Shot {
    region: None,
    format: Format::Png,
    quality: 80,
    scale: 1.0,
    cursor: true,
};

/// Whether a picture has the red square.
async fn drawn(screen: &Screen) -> bool {
    pixels(&screen.screenshot(WITH).await.unwrap()).contains(&[255, 0, 0])
}

#[tokio::test]
async fn a_hidden_cursor_is_not_drawn_and_comes_back() {
    let on = Visible::start().await;
    let client = Client::new(&on.xvfb);
    square(&client, 100, 100);
    let (cursor, run) = cursor(&on.xvfb);
    let token = CancellationToken::new();
    let (screen, serve) = Screen::spawn(on.xvfb.display(), &cursor, token);
    #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
    tokio::spawn(serve);
    eventually("the cursor shows", async || on.square()).await;
    assert!(drawn(&screen).await);
    cursor.set_hidden(true).await.unwrap();
    cursor.set_hidden(true).await.unwrap();
    eventually("the cursor is hidden", async || !on.square()).await;
    assert!(!drawn(&screen).await);
    cursor.set_hidden(false).await.unwrap();
    cursor.set_hidden(false).await.unwrap();
    eventually("the cursor shows again", async || on.square()).await;
    assert!(drawn(&screen).await);
    cursor.set_hidden(true).await.unwrap();
    eventually("the cursor is hidden again", async || !on.square()).await;
    drop(run);
    eventually("the cursor shows when all ends", async || on.square()).await;
    eventually("pictures know", async || drawn(&screen).await).await;
}

#[tokio::test]
async fn a_hidden_cursor_stays_hidden_when_the_server_restarts() {
    let mut on = Visible::start().await;
    let (cursor, _run) = cursor(&on.xvfb);
    cursor.set_hidden(true).await.unwrap();
    on.xvfb.kill().await;
    let error = cursor.set_hidden(false).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    on.restart().await;
    let client = Client::new(&on.xvfb);
    square(&client, 100, 100);
    eventually("the cursor is hidden", async || !on.square()).await;
    cursor.set_hidden(false).await.unwrap();
    eventually("the cursor shows", async || on.square()).await;
}
