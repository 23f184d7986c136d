//! What can go wrong with an X display.

use std::{io, sync::Arc};

use x11rb::{
    errors::{ConnectError, ConnectionError, ReplyError, ReplyOrIdError},
    protocol::randr::SetConfig,
};

use crate::{
    CLIPBOARD_MAX, Region,
    encode::{Format, SCALES},
};

/// Why a display could not be asked or changed.
/// Cheap to clone: one failed attempt may have to be told to several callers.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Nothing listens on the display's socket.
    #[error("cannot reach the X server of display :{number}")]
    Unreachable {
        /// The display.
        number: u16,
        /// The cause.
        source: Arc<io::Error>,
    },
    /// The server does not answer in time.
    #[error("the X server of display :{number} does not answer")]
    Silent {
        /// The display.
        number: u16,
    },
    /// The server turned the connection down.
    #[error("the X server of display :{number} refuses the connection")]
    Refused {
        /// The display.
        number: u16,
        /// The cause.
        source: Arc<ConnectError>,
    },
    /// A size that no screen can be given.
    #[error("{what} {value} is not between {least} and {most}")]
    OutOfRange {
        /// What was given.
        what: &'static str,
        /// Its value.
        value: u16,
        /// The least allowed.
        least: u16,
        /// The most allowed.
        most: u16,
    },
    /// A change of the screen's size that names nothing.
    #[error("nothing to change: give a width, a height or a refresh rate")]
    NothingToChange,
    /// A scale that no picture can be given.
    #[error("scale {value} is not between {} and {}", SCALES.start(), SCALES.end())]
    Scale {
        /// What was given.
        value: f64,
    },
    /// A part of the screen that is empty, or not wholly on it.
    #[error("the region {region} is empty or not within the screen of {width}x{height}")]
    RegionOutside {
        /// What was given.
        region: Region,
        /// Pixels across the screen.
        width: u16,
        /// Pixels down the screen.
        height: u16,
    },
    /// The screen was resized again and again while its pixels were read.
    #[error("the screen of {screen} changes its size too fast to be read")]
    Resizing {
        /// Its last size.
        screen: crate::Size,
    },
    /// The screen's pixels are not of 24 bits.
    #[error("cannot read a screen with pixels of {depth} bits")]
    Depth {
        /// Bits of a pixel.
        depth: u8,
    },
    /// There is no memory for the pixels.
    #[error("cannot make {len} bytes of shared memory")]
    Memory {
        /// How much was asked for.
        len: usize,
        /// The cause.
        source: Arc<io::Error>,
    },
    /// A picture could not be made of the pixels.
    #[error("cannot encode a picture as {format:?}: {reason}")]
    Encode {
        /// The format.
        format: Format,
        /// What the encoder said.
        reason: String,
    },
    /// The owner of the clipboard does not hand its text over.
    #[error("the program that owns the clipboard does not hand its text over")]
    ClipboardSilent,
    /// Another client became the owner of the clipboard in the same moment.
    #[error("another program took the clipboard over while it was written")]
    ClipboardTaken,
    /// The owner of the clipboard has more text than is taken.
    #[error("the clipboard's text is longer than {CLIPBOARD_MAX} bytes")]
    ClipboardTooLong,
    /// The server lacks the XFixes extension, version 4 or later.
    #[error("the X server cannot tell of its cursor: it has no XFixes 4")]
    NoXfixes,
    /// The kernel gave no thread, or no means to wake one.
    #[error("cannot start a thread for the display")]
    Wake {
        /// The cause.
        source: Arc<io::Error>,
    },
    /// The server lacks the RandR extension, version 1.3 or later.
    #[error("the X server cannot resize its screen: it has no RandR 1.3")]
    NoRandr,
    /// The server has no output with a CRTC.
    #[error("the X server has no output to resize")]
    NoOutput,
    /// The server would not take the new mode.
    #[error("the X server did not take the mode {size}: {status:?}")]
    NotTaken {
        /// The wanted size.
        size: crate::Size,
        /// Its answer.
        status: SetConfig,
    },
    /// The connection to the server broke, or the server fell silent on it.
    #[error("lost the X server in the attempt to {what}")]
    Lost {
        /// What was attempted.
        what: &'static str,
        /// The cause.
        source: Arc<io::Error>,
    },
    /// The server failed a request.
    #[error("cannot {what}")]
    Request {
        /// What was attempted.
        what: &'static str,
        /// The cause.
        source: Arc<ReplyOrIdError>,
    },
    /// A field of a request that breaks a rule.
    #[error("{field}: {reason}")]
    Invalid {
        /// The field, with its index where it is a list.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A character that cannot be typed. Those before it may have been typed.
    #[error("text: cannot type {character:?} (character {position}): {reason}")]
    Untypable {
        /// The character.
        character: char,
        /// Its place in the text, from 0, in characters.
        position: usize,
        /// Why not.
        reason: &'static str,
    },
    /// An action of a batch failed.
    #[error("actions[{index}] ({kind}): {source}")]
    Action {
        /// Its place in the batch, from 0.
        index: usize,
        /// Its type.
        kind: &'static str,
        /// Why.
        source: Box<Error>,
    },
    /// There is no X display to work on.
    #[error("there is no X display")]
    NoDisplay,
    /// The cursor can be neither hidden nor shown.
    #[error("the cursor cannot be hidden on this display")]
    NoCursor,
    /// The server lacks an extension.
    #[error("the X server has no extension {name}")]
    NoExtension {
        /// Its name.
        name: &'static str,
    },
    /// The layout lacks the key, and there is no unused key to put it on.
    #[error("the keyboard's layout has no such key, and no spare key to lend")]
    NoSpareKey,
    /// Somebody holds keys that cannot be let go of for them.
    #[error("somebody holds keys of the keyboard down, which would change what is pressed")]
    Held,
    /// Somebody else used or changed the keyboard in the middle of a text.
    #[error("somebody else used the keyboard meanwhile: the text may have arrived otherwise")]
    Disturbed,
    /// The focused window reads no events, so it cannot be known what it would make of keys.
    #[error("the focused window does not answer")]
    Unresponsive,
    /// The program xdotool failed.
    #[error("xdotool {step}: {reason}")]
    Xdotool {
        /// Its command.
        step: String,
        /// What it said.
        reason: String,
    },
    /// The runtime stopped before the work was done.
    #[error("the runtime stopped while the X server was asked")]
    Interrupted,
}

/// Names what a failed request was for.
pub(crate) trait Attempt<T> {
    fn attempt(self, what: &'static str) -> Result<T, Error>;
}

impl<T> Attempt<T> for Result<T, ReplyOrIdError> {
    fn attempt(self, what: &'static str) -> Result<T, Error> {
        self.map_err(|source| match source {
            ReplyOrIdError::ConnectionError(ConnectionError::IoError(source)) => Error::Lost {
                what,
                source: Arc::new(source),
            },
            source => Error::Request {
                what,
                source: Arc::new(source),
            },
        })
    }
}

impl<T> Attempt<T> for Result<T, ReplyError> {
    fn attempt(self, what: &'static str) -> Result<T, Error> {
        self.map_err(ReplyOrIdError::from).attempt(what)
    }
}

impl<T> Attempt<T> for Result<T, ConnectionError> {
    fn attempt(self, what: &'static str) -> Result<T, Error> {
        self.map_err(ReplyOrIdError::from).attempt(what)
    }
}
