//! The flags that every Chromium of this machine starts with, each with its reason.

use std::path::Path;

use super::Flags;

/// How high tabs and address of a window are in Chromium 156, in pixels. Another height is seen
/// once the window is there, and put right then.
pub const UI_HEIGHT: u16 = 87;

/// The screen that windows should fill, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// Its width.
    pub width: u16,
    /// Its height.
    pub height: u16,
    /// How much of a window is above its edge, where the browser's own part is to be there.
    pub above: Option<u16>,
}

impl Screen {
    /// The size of a window that fills it.
    #[must_use]
    pub fn window(self) -> (u16, u16) {
        (self.width, self.height + self.above.unwrap_or(0))
    }
}

/// The lowest layer of flags. `screen` is what the window should fill; where a window manager
/// makes it do so there is none: given a place or a size, Chromium 156 is not maximised.
///
/// Not among them, on purpose: `--disable-background-networking` (it stops the extension
/// updater, and with it every extension installed by policy), `--disable-popup-blocking`,
/// `--enable-automation` and other flags that change what sites see, and
/// `--remote-allow-origins` (the relay sends no Origin; other callers should be refused).
#[must_use]
pub fn base(data_dir: &Path, internal_port: u16, screen: Option<Screen>) -> Flags {
    let mut flags = Flags::default();
    let mut set = |name: &str, value: &str| flags.set(name, Some(value));

    // Where the daemon looks for the browser, and which profile it uses.
    set("remote-debugging-port", &internal_port.to_string());
    set("user-data-dir", &data_dir.to_string_lossy());
    // A keyring would ask for a password that nobody is there to type, and a profile sealed
    // by one machine's keyring loses its cookies on the next.
    set("password-store", "basic");
    // The X server is what input and screenshots use; a desktop's Wayland session must not win.
    set("ozone-platform", "x11");
    // Without a window manager the window is where and what these say.
    if let Some(screen) = screen {
        let (width, height) = screen.window();
        let y = -i32::from(screen.above.unwrap_or(0));
        set("window-position", &format!("0,{y}"));
        set("window-size", &format!("{width},{height}"));
    }
    // Discarded and frozen tabs make `connectOverCDP` hang for ever.
    set(
        "disable-features",
        "UrgentPageDiscarding,InfiniteTabsFreezing",
    );

    let mut enable = |name: &str| flags.set(name, None);
    // Pages of the first run and questions that no one answers.
    enable("no-first-run");
    enable("no-default-browser-check");
    enable("disable-search-engine-choice-screen");
    enable("hide-crash-restore-bubble");
    enable("noerrdialogs");
    // With a window manager the window fills the screen.
    enable("start-maximized");
    // Several clients drive several tabs at once: the ones behind must not slow down.
    enable("disable-background-timer-throttling");
    enable("disable-backgrounding-occluded-windows");
    enable("disable-renderer-backgrounding");
    flags
}
