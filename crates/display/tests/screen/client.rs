//! A bare X client that draws.

use std::process::Stdio;

use browserd_display::Region;
use tokio::process::{Child, Command};
use x11rb::{
    connection::Connection as _,
    protocol::xproto::{
        AtomEnum, ConfigureWindowAux, ConnectionExt as _, CreateGCAux, CreateWindowAux, EventMask,
        ImageFormat, Window, WindowClass,
    },
    rust_connection::RustConnection,
    wrapper::ConnectionExt as _,
};

use crate::xvfb::{Xvfb, eventually};

/// A connection of the test's own.
pub(crate) struct Client {
    pub(crate) x: RustConnection,
    pub(crate) root: Window,
}

/// The colour of each place on the known drawing: R, G, B.
pub(crate) fn colour(x: u32, y: u32) -> [u8; 3] {
    let [low, middle, ..] = (x.wrapping_mul(7919) ^ y.wrapping_mul(104_729)).to_le_bytes();
    [low, middle, (x + 2 * y).to_le_bytes()[0]]
}

impl Client {
    pub(crate) fn new(xvfb: &Xvfb) -> Self {
        let (x, screen) = x11rb::connect(Some(&xvfb.name())).unwrap();
        let root = x.setup().roots[screen].root;
        Self { x, root }
    }

    /// A window that shows, where it is told to.
    pub(crate) fn window(&self, region: Region) -> Window {
        let window = self.unmapped(region);
        self.x.map_window(window).unwrap();
        let above = ConfigureWindowAux::new().stack_mode(x11rb::protocol::xproto::StackMode::ABOVE);
        self.x.configure_window(window, &above).unwrap();
        self.x.sync().unwrap();
        window
    }

    /// The number of a name.
    pub(crate) fn atom(&self, name: &str) -> u32 {
        let asked = self.x.intern_atom(false, name.as_bytes()).unwrap();
        asked.reply().unwrap().atom
    }

    /// A window that does not show yet.
    pub(crate) fn unmapped(&self, region: Region) -> Window {
        let window = self.x.generate_id().unwrap();
        let look = CreateWindowAux::new()
            .background_pixel(0)
            .event_mask(EventMask::STRUCTURE_NOTIFY);
        let (x, y) = (region.x.try_into().unwrap(), region.y.try_into().unwrap());
        let (width, height) = (
            region.width.try_into().unwrap(),
            region.height.try_into().unwrap(),
        );
        self.x
            .create_window(
                0,
                window,
                self.root,
                x,
                y,
                width,
                height,
                0,
                WindowClass::INPUT_OUTPUT,
                0,
                &look,
            )
            .unwrap();
        window
    }

    /// Paints the known drawing, as large as told.
    pub(crate) fn paint(&self, window: Window, width: u16, height: u16) {
        let gc = self.x.generate_id().unwrap();
        self.x.create_gc(gc, window, &CreateGCAux::new()).unwrap();
        for y in 0..height {
            let row: Vec<u8> = (0..width)
                .flat_map(|x| {
                    let [red, green, blue] = colour(x.into(), y.into());
                    [blue, green, red, 0]
                })
                .collect();
            self.x
                .put_image(
                    ImageFormat::Z_PIXMAP,
                    window,
                    gc,
                    width,
                    1,
                    0,
                    y.try_into().unwrap(),
                    0,
                    24,
                    &row,
                )
                .unwrap();
        }
        self.x.free_gc(gc).unwrap();
        self.x.sync().unwrap();
    }

    /// Where a window is, and how large.
    pub(crate) fn place(&self, window: Window) -> Region {
        let place = self.x.get_geometry(window).unwrap().reply().unwrap();
        Region {
            x: place.x.into(),
            y: place.y.into(),
            width: place.width.into(),
            height: place.height.into(),
        }
    }

    /// How large a window is, without what its manager has put around it.
    pub(crate) fn size(&self, window: Window) -> (u16, u16) {
        let place = self.x.get_geometry(window).unwrap().reply().unwrap();
        (place.width, place.height)
    }

    /// Where a window is on the screen, also within what its manager has put around it.
    pub(crate) fn on_screen(&self, window: Window) -> (i16, i16) {
        let place = self.x.translate_coordinates(window, self.root, 0, 0);
        let place = place.unwrap().reply().unwrap();
        (place.dst_x, place.dst_y)
    }

    /// Starts a window manager, which manages the windows that are there. It ends with the value.
    pub(crate) async fn openbox(&self, xvfb: &Xvfb) -> Child {
        let openbox = Command::new("openbox")
            .arg("--sm-disable")
            .env("DISPLAY", xvfb.name())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        eventually("the windows are managed", async || {
            !self.managed().is_empty()
        })
        .await;
        openbox
    }

    /// The windows of which a manager says that it manages them.
    fn managed(&self) -> Vec<Window> {
        let list = self.x.intern_atom(false, b"_NET_CLIENT_LIST").unwrap();
        let list = list.reply().unwrap().atom;
        let kind = AtomEnum::WINDOW;
        let list = self.x.get_property(false, self.root, list, kind, 0, 100);
        let list = list.unwrap().reply().unwrap();
        list.value32().into_iter().flatten().collect()
    }
}

pub(crate) fn region(x: i32, y: i32, width: u32, height: u32) -> Region {
    Region {
        x,
        y,
        width,
        height,
    }
}
