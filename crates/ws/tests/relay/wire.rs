//! Frames as bytes, made and read without any code of the crate.

/// Opcodes of RFC 6455.
pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// The last or only fragment.
pub(crate) const FIN: u8 = 0x80;

const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// A client's frame; `first` is the whole first byte.
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = head(first, 0x80, payload.len());
    out.extend(KEY);
    out.extend(
        payload
            .iter()
            .zip(KEY.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    out
}

/// A server's frame.
pub(crate) fn plain(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = head(first, 0, payload.len());
    out.extend(payload);
    out
}

/// The payload of a close frame.
pub(crate) fn close_payload(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes()[..], reason.as_bytes()].concat()
}

fn head(first: u8, mask_bit: u8, length: usize) -> Vec<u8> {
    match length {
        0..=125 => vec![first, mask_bit | u8::try_from(length).unwrap()],
        126..=65_535 => {
            let length = u16::try_from(length).unwrap().to_be_bytes();
            [&[first, mask_bit | 0x7E], &length[..]].concat()
        }
        _ => [
            &[first, mask_bit | 0x7F],
            &(length as u64).to_be_bytes()[..],
        ]
        .concat(),
    }
}

/// A frame from a server, as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) first: u8,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn opcode(&self) -> u8 {
        self.first & 0xF
    }

    /// The code of a close frame, if it carries one.
    pub(crate) fn code(&self) -> Option<u16> {
        assert_eq!(self.opcode(), CLOSE, "{self:?}");
        self.payload
            .get(..2)
            .map(|code| u16::from_be_bytes([code[0], code[1]]))
    }
}

/// Takes the first whole frame off the front of `bytes`.
pub(crate) fn take_frame(bytes: &mut Vec<u8>) -> Option<Frame> {
    let [first, second, ..] = **bytes else {
        return None;
    };
    assert_eq!(second & 0x80, 0, "a server masks nothing");
    let (start, length) = match second {
        126 => (
            4,
            usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().unwrap())),
        ),
        127 => {
            let length = u64::from_be_bytes(bytes.get(2..10)?.try_into().unwrap());
            (10, usize::try_from(length).unwrap())
        }
        short => (2, usize::from(short)),
    };
    let payload = bytes.get(start..start + length)?.to_vec();
    bytes.drain(..start + length);
    Some(Frame { first, payload })
}

/// All frames of a stream, and what is left of one that is cut short.
pub(crate) fn frames(mut bytes: Vec<u8>) -> (Vec<Frame>, Vec<u8>) {
    let frames = std::iter::from_fn(|| take_frame(&mut bytes)).collect();
    (frames, bytes)
}
