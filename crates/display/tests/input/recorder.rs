//! A bare X client that has the focus and records what it receives.

use std::{io::IoSlice, sync::mpsc, thread, time::Duration};

use x11rb::{
    connection::{Connection as _, RequestConnection as _},
    protocol::{
        Event,
        xkb::{self, ConnectionExt as _},
        xproto::{
            AtomEnum, ClientMessageEvent, ConnectionExt as _, CreateWindowAux, EventMask,
            GetKeyboardMappingReply, InputFocus, ModMask, PropMode, Window, WindowClass,
        },
    },
    rust_connection::RustConnection,
    wrapper::ConnectionExt as _,
};

/// What the client received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A key, by what it means with the modifiers and the map of that moment.
    Key {
        code: u8,
        keysym: u32,
        down: bool,
        mods: u16,
    },
    Button {
        number: u8,
        down: bool,
        mods: u16,
    },
    Motion {
        x: i16,
        y: i16,
    },
    /// The end of what was sent before [`Recorder::seen`].
    Mark,
}

pub(crate) struct Recorder {
    x: RustConnection,
    window: Window,
    mark: u32,
    seen: mpsc::Receiver<Seen>,
}

impl Recorder {
    /// With `pings`, the client answers them, as those made with a toolkit do.
    pub(crate) fn new(display: &str, pings: bool) -> Self {
        let (x, screen) = x11rb::connect(Some(display)).unwrap();
        let screen = &x.setup().roots[screen];
        let root = screen.root;
        let window = x.generate_id().unwrap();
        let events = EventMask::KEY_PRESS
            | EventMask::KEY_RELEASE
            | EventMask::BUTTON_PRESS
            | EventMask::BUTTON_RELEASE
            | EventMask::POINTER_MOTION
            | EventMask::EXPOSURE;
        let look = CreateWindowAux::new()
            .event_mask(events)
            .override_redirect(1);
        let (width, height) = (screen.width_in_pixels, screen.height_in_pixels);
        let class = WindowClass::INPUT_OUTPUT;
        x.create_window(0, window, root, 0, 0, width, height, 0, class, 0, &look)
            .unwrap();
        let atom = |name: &[u8]| x.intern_atom(false, name).unwrap().reply().unwrap().atom;
        let (protocols, ping, mark) = (
            atom(b"WM_PROTOCOLS"),
            atom(b"_NET_WM_PING"),
            atom(b"_BROWSERD_TEST_MARK"),
        );
        if pings {
            x.change_property32(
                PropMode::REPLACE,
                window,
                protocols,
                AtomEnum::ATOM,
                &[ping],
            )
            .unwrap();
        }
        x.map_window(window).unwrap();
        // Only what is shown can have the focus.
        x.flush().unwrap();
        while !matches!(x.wait_for_event().unwrap(), Event::Expose(_)) {}
        x.set_input_focus(InputFocus::PARENT, window, x11rb::CURRENT_TIME)
            .unwrap();
        x.sync().unwrap();
        let (sender, seen) = mpsc::channel();
        // Pings go to the connection that made the window. Questions and marks come from
        // another one, so that neither waits for the other.
        let (asking, _) = x11rb::connect(Some(display)).unwrap();
        thread::spawn(move || {
            // Ends with the X server or with the recorder.
            let _ = record(&x, window, root, [protocols, ping, mark], &sender);
        });
        Self {
            x: asking,
            window,
            mark,
            seen,
        }
    }

    /// What was received since the last call.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let mark = ClientMessageEvent::new(32, self.window, self.mark, [0; 5]);
        self.x
            .send_event(false, self.window, EventMask::KEY_PRESS, mark)
            .unwrap();
        self.x.flush().unwrap();
        let mut all = Vec::new();
        loop {
            match self.seen.recv_timeout(Duration::from_secs(30)).unwrap() {
                Seen::Mark => return all,
                other => all.push(other),
            }
        }
    }

    /// What a text field would hold after what was received since the last call.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for seen in self.seen() {
            if let Seen::Key {
                keysym, down: true, ..
            } = seen
            {
                match keysym {
                    0xff0d => text.push('\n'),
                    0xff09 => text.push('\t'),
                    0xff08 => {
                        text.pop();
                    }
                    0x20ac => text.push('€'),
                    0x20..=0xff => text.push(char::from_u32(keysym).unwrap()),
                    0x0100_0100.. => text.push(char::from_u32(keysym - 0x0100_0000).unwrap()),
                    0xfe03 | 0xffe1..=0xffee => {}
                    other => panic!("the keysym {other:x} is no text"),
                }
            }
        }
        text
    }

    /// The codes of the keys that are down, and the buttons' mask.
    pub(crate) fn down(&self) -> (Vec<usize>, u16) {
        let keys = self.x.query_keymap().unwrap().reply().unwrap().keys;
        let keys = (0..256).filter(|code| keys[code / 8] & (1 << (code % 8)) != 0);
        let pointer = self.x.query_pointer(self.window).unwrap().reply().unwrap();
        (keys.collect(), u16::from(pointer.mask))
    }

    /// Locks these modifiers and no others.
    pub(crate) fn lock(&self, mods: u16) {
        let (keyboard, all) = (xkb::ID::USE_CORE_KBD.into(), ModMask::from(0xff_u16));
        self.x.xkb_use_extension(1, 0).unwrap().reply().unwrap();
        let (group, none) = (xkb::Group::M1, ModMask::from(0_u16));
        self.x
            .xkb_latch_lock_state(keyboard, all, mods.into(), false, group, none, false, 0)
            .unwrap()
            .check()
            .unwrap();
    }

    /// Latches these modifiers: the next key gets them.
    pub(crate) fn latch(&self, mods: u8) {
        let request = xkb::LatchLockStateRequest {
            device_spec: xkb::ID::USE_CORE_KBD.into(),
            affect_mod_locks: ModMask::from(0_u16),
            mod_locks: ModMask::from(0_u16),
            lock_group: false,
            group_lock: xkb::Group::M1,
            affect_mod_latches: ModMask::from(0xff_u16),
            latch_group: false,
            group_latch: 0,
        };
        let extension = self.x.extension_information(xkb::X11_EXTENSION_NAME);
        let opcode = extension.unwrap().unwrap().major_opcode;
        let ([bytes], fds) = request.serialize(opcode);
        // The protocol's modLatches, which the descriptions for XCB take for padding.
        let mut bytes = bytes.into_owned();
        bytes[11] = mods;
        let latched = self
            .x
            .send_request_without_reply(&[IoSlice::new(&bytes)], fds);
        latched.unwrap().check().unwrap();
    }

    /// What each key gives, from key 8 on.
    pub(crate) fn keymap(&self) -> Vec<Vec<u32>> {
        let map = keymap(&self.x);
        let rows = map.keysyms.chunks(map.keysyms_per_keycode.into());
        // How wide the map is depends on the widest key.
        let shorten = |row: &[u32]| {
            let end = row.iter().rposition(|&keysym| keysym != 0);
            row[..end.map_or(0, |end| end + 1)].to_vec()
        };
        rows.map(shorten).collect()
    }
}

fn keymap(x: &RustConnection) -> GetKeyboardMappingReply {
    x.get_keyboard_mapping(8, 248).unwrap().reply().unwrap()
}

fn record(
    x: &RustConnection,
    window: Window,
    root: Window,
    [protocols, ping, mark]: [u32; 3],
    sender: &mpsc::Sender<Seen>,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut map = keymap(x);
    loop {
        let seen = match x.wait_for_event()? {
            // As Xlib's clients do, and as late.
            Event::MappingNotify(_) => {
                map = x.get_keyboard_mapping(8, 248)?.reply()?;
                continue;
            }
            Event::KeyPress(event) => key(&map, event.detail, event.state.into(), true),
            Event::KeyRelease(event) => key(&map, event.detail, event.state.into(), false),
            Event::ButtonPress(event) => button(event.detail, event.state.into(), true),
            Event::ButtonRelease(event) => button(event.detail, event.state.into(), false),
            Event::MotionNotify(event) => Seen::Motion {
                x: event.root_x,
                y: event.root_y,
            },
            Event::ClientMessage(event) if event.type_ == mark => Seen::Mark,
            Event::ClientMessage(mut event) if event.type_ == protocols => {
                if event.data.as_data32()[0] == ping && event.window == window {
                    event.window = root;
                    let to = EventMask::SUBSTRUCTURE_NOTIFY | EventMask::SUBSTRUCTURE_REDIRECT;
                    x.send_event(false, root, to, event)?;
                    x.flush()?;
                }
                continue;
            }
            _ => continue,
        };
        sender.send(seen)?;
    }
}

fn button(number: u8, mods: u16, down: bool) -> Seen {
    Seen::Button { number, down, mods }
}

/// The core protocol's view: the first group's levels are at 0, 1, 4 and 5.
fn key(map: &GetKeyboardMappingReply, code: u8, mods: u16, down: bool) -> Seen {
    let width = usize::from(map.keysyms_per_keycode);
    let row = &map.keysyms[usize::from(code - 8) * width..][..width];
    let level3 = mods & 0x80 != 0;
    let shift = mods & 1 != 0;
    let at = usize::from(shift) + if level3 { 4 } else { 0 };
    let keysym = row.get(at).copied().unwrap_or(0);
    let keysym = if keysym == 0 { row[0] } else { keysym };
    Seen::Key {
        code,
        keysym,
        down,
        mods,
    }
}
