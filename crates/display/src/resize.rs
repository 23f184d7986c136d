//! Resizing by RandR.
//!
//! A CRTC must lie inside the screen at any time (randrproto, `RRSetScreenSize` and
//! `RRSetCrtcConfig`). So the screen first grows to hold both the old and the new mode, then
//! the CRTC changes, then the screen shrinks to the new mode.

use x11rb::{
    CURRENT_TIME,
    protocol::randr::{
        ConnectionExt as _, Crtc, GetScreenResourcesCurrentReply, Mode, ModeInfo, Output, Rotation,
        SetConfig,
    },
};

use crate::{Connection, Error, Size, error::Attempt as _};

/// How the modes made here are named, before their size; others are left alone.
const MODE_PREFIX: &[u8] = b"browserd-";
/// Dots per inch of which the physical size is made up, as X servers without a monitor do.
const DPI: u32 = 96;

/// The output that shows the screen, with the CRTC that feeds it.
struct Head {
    resources: GetScreenResourcesCurrentReply,
    output: Output,
    crtc: Crtc,
    /// The mode that the CRTC shows; 0 when it shows none.
    mode: Mode,
    /// The modes that the output can show.
    modes: Vec<Mode>,
}

fn head(connection: &Connection) -> Result<Head, Error> {
    let what = "read the outputs of the screen";
    let x = &connection.x;
    let resources = x
        .randr_get_screen_resources_current(connection.root)
        .attempt(what)?
        .reply()
        .attempt(what)?;
    for &output in &resources.outputs {
        let info = x
            .randr_get_output_info(output, resources.config_timestamp)
            .attempt(what)?
            .reply()
            .attempt(what)?;
        let crtc = if info.crtc == 0 {
            info.crtcs.first().copied()
        } else {
            Some(info.crtc)
        };
        let Some(crtc) = crtc else { continue };
        let shown = x
            .randr_get_crtc_info(crtc, resources.config_timestamp)
            .attempt(what)?
            .reply()
            .attempt(what)?;
        return Ok(Head {
            output,
            crtc,
            mode: shown.mode,
            modes: info.modes,
            resources,
        });
    }
    Err(Error::NoOutput)
}

/// The refresh rate that the screen shows now, in Hz; 0 when its mode tells none.
pub(crate) fn refresh(connection: &Connection) -> Result<u16, Error> {
    let head = match head(connection) {
        Err(Error::NoOutput) => return Ok(0),
        head => head?,
    };
    let mode = head
        .resources
        .modes
        .iter()
        .find(|mode| mode.id == head.mode);
    Ok(mode.map_or(0, refresh_of))
}

fn refresh_of(mode: &ModeInfo) -> u16 {
    let dots = u32::from(mode.htotal) * u32::from(mode.vtotal);
    let rounded = (mode.dot_clock + dots / 2).checked_div(dots).unwrap_or(0);
    u16::try_from(rounded).unwrap_or(0)
}

/// Shows the screen in another size, or leaves it as it was. The caller holds the server grabbed.
pub(crate) fn resize(connection: &Connection, size: Size) -> Result<(), Error> {
    let head = head(connection)?;
    let shown = find_or_make_mode(connection, &head, size).and_then(|mode| {
        show(connection, &head, mode, size)?;
        Ok(mode)
    });
    let used = *shown.as_ref().unwrap_or(&head.mode);
    // A mode too many does no harm, and is dropped with the next change.
    let _ = drop_unused_modes(connection, used);
    shown.map(|_| ())
}

/// Shows a mode of that size; puts things back where that fails.
fn show(connection: &Connection, head: &Head, mode: Mode, size: Size) -> Result<(), Error> {
    let now = connection.root_size()?;
    let both = Size {
        width: now.width.max(size.width),
        height: now.height.max(size.height),
        ..size
    };
    let is_same = |a: Size, b: Size| (a.width, a.height) == (b.width, b.height);
    if !is_same(both, now) {
        set_screen_size(connection, both)?;
    }
    let shown = set_mode(connection, head, mode, size).and_then(|()| {
        if is_same(both, size) {
            return Ok(());
        }
        set_screen_size(connection, size).inspect_err(|_| {
            let _ = set_mode(connection, head, head.mode, now);
        })
    });
    if shown.is_err() && !is_same(both, now) {
        // What went wrong first is what is told.
        let _ = set_screen_size(connection, now);
    }
    shown
}

fn set_mode(connection: &Connection, head: &Head, mode: Mode, size: Size) -> Result<(), Error> {
    let what = "set the mode of the screen";
    let answer = connection
        .x
        .randr_set_crtc_config(
            head.crtc,
            CURRENT_TIME,
            head.resources.config_timestamp,
            0,
            0,
            mode,
            Rotation::ROTATE0,
            &[head.output],
        )
        .attempt(what)?
        .reply()
        .attempt(what)?;
    if answer.status == SetConfig::SUCCESS {
        return Ok(());
    }
    Err(Error::NotTaken {
        size,
        status: answer.status,
    })
}

fn set_screen_size(connection: &Connection, size: Size) -> Result<(), Error> {
    let what = "set the size of the screen";
    let millimetres = |pixels: u16| u32::from(pixels) * 254 / (DPI * 10);
    connection
        .x
        .randr_set_screen_size(
            connection.root,
            size.width,
            size.height,
            millimetres(size.width),
            millimetres(size.height),
        )
        .attempt(what)?
        .check()
        .attempt(what)
}

fn find_or_make_mode(connection: &Connection, head: &Head, size: Size) -> Result<Mode, Error> {
    let fits = |mode: &&ModeInfo| {
        (mode.width, mode.height, refresh_of(mode)) == (size.width, size.height, size.refresh)
    };
    let known = head.resources.modes.iter().find(fits).map(|mode| mode.id);
    let mode = match known {
        Some(mode) => mode,
        None => make_mode(connection, size)?,
    };
    if !head.modes.contains(&mode) {
        let what = "add a mode to the output";
        let added = connection
            .x
            .randr_add_output_mode(head.output, mode)
            .attempt(what)?;
        added.check().attempt(what)?;
    }
    Ok(mode)
}

fn make_mode(connection: &Connection, size: Size) -> Result<Mode, Error> {
    let what = "make a mode";
    let name = [MODE_PREFIX, size.to_string().as_bytes()].concat();
    // There is no monitor, hence no blanking: the whole of the signal is picture.
    let mode = ModeInfo {
        width: size.width,
        height: size.height,
        dot_clock: u32::from(size.width) * u32::from(size.height) * u32::from(size.refresh),
        hsync_start: size.width,
        hsync_end: size.width,
        htotal: size.width,
        vsync_start: size.height,
        vsync_end: size.height,
        vtotal: size.height,
        name_len: u16::try_from(name.len()).unwrap_or(u16::MAX),
        ..ModeInfo::default()
    };
    let cookie = connection
        .x
        .randr_create_mode(connection.root, mode, &name)
        .attempt(what)?;
    Ok(cookie.reply().attempt(what)?.mode)
}

/// Drops the modes that earlier calls made, so that they do not pile up in the server.
fn drop_unused_modes(connection: &Connection, used: Mode) -> Result<(), Error> {
    let what = "drop an unused mode";
    let head = head(connection)?;
    let mut names = head.resources.names.as_slice();
    for mode in &head.resources.modes {
        let (name, rest) = names.split_at(usize::from(mode.name_len).min(names.len()));
        names = rest;
        if mode.id == used || !name.starts_with(MODE_PREFIX) {
            continue;
        }
        if head.modes.contains(&mode.id) {
            let gone = connection
                .x
                .randr_delete_output_mode(head.output, mode.id)
                .attempt(what)?;
            gone.check().attempt(what)?;
        }
        connection
            .x
            .randr_destroy_mode(mode.id)
            .attempt(what)?
            .check()
            .attempt(what)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader},
        process::{Child, Command, Stdio},
        time::Duration,
    };

    use super::*;
    use crate::Display;

    /// An X server of the test's own.
    struct Xvfb {
        child: Child,
        display: Display,
    }

    impl Xvfb {
        fn start() -> Self {
            let mut child = Command::new("Xvfb")
                .args(["-displayfd", "1", "-noreset", "-ac", "-nolisten", "tcp"])
                .args(["-screen", "0", "1000x800x24"])
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut line = String::new();
            let told = child.stdout.take().unwrap();
            BufReader::new(told).read_line(&mut line).unwrap();
            let display = Display::new(line.trim().parse().unwrap());
            Self { child, display }
        }

        fn connect(&self) -> Connection {
            self.display.connect(Duration::from_secs(20)).unwrap()
        }
    }

    impl Drop for Xvfb {
        fn drop(&mut self) {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
    }

    fn size(width: u16, height: u16) -> Size {
        Size {
            width,
            height,
            refresh: 60,
        }
    }

    #[test]
    fn a_mode_that_is_refused_leaves_the_screen_as_it_was() {
        let xvfb = Xvfb::start();
        let connection = xvfb.connect();
        connection.set_size(size(500, 400)).unwrap();
        let head = head(&connection).unwrap();
        for wanted in [size(800, 300), size(900, 700), size(320, 240)] {
            // No mode has this number.
            show(&connection, &head, Mode::MAX >> 4, wanted).unwrap_err();
            assert_eq!(connection.size().unwrap(), size(500, 400), "{wanted}");
        }
    }
}
