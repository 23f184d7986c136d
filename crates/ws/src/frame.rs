//! Follows the frame boundaries of a WebSocket byte stream by its headers alone
//! (RFC 6455, section 5.2).
//!
//! A [`Follower`] is fed chunks cut anywhere and skips payloads without looking at them, but
//! for the two bytes of a close code. It is no validator: what breaks the protocol and still
//! has a length is told by [`Header::fault`] and followed; only a length that cannot be
//! followed ends it.

/// Opcode of a close frame.
pub const OPCODE_CLOSE: u8 = 0x8;
/// Opcode of a ping frame.
pub const OPCODE_PING: u8 = 0x9;
/// Opcode of a pong frame.
pub const OPCODE_PONG: u8 = 0xA;

/// The longest payload that a control frame may have (RFC 6455, section 5.5).
pub const MAX_CONTROL_PAYLOAD: u64 = 125;

/// The longest reason that fits in a close frame beside its code.
const MAX_REASON: u8 = 123;
/// Two bytes, an eight-byte length and a masking key.
const MAX_HEADER: usize = 14;

/// A frame's header, unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Whether this is the last fragment of its message.
    pub fin: bool,
    /// The three reserved bits, as the low bits.
    pub reserved: u8,
    /// What kind of frame it is, 0 to 15.
    pub opcode: u8,
    /// Whether a masking key follows the length.
    pub masked: bool,
    /// Bytes of payload.
    pub length: u64,
}

impl Header {
    /// Whether the opcode is one of close, ping, pong and the reserved ones beside them.
    #[must_use]
    pub const fn is_control(&self) -> bool {
        self.opcode & 0x8 != 0
    }

    /// What is wrong with the header by itself, if it can be followed all the same.
    #[must_use]
    pub const fn fault(&self) -> Option<Fault> {
        match self.opcode {
            0x3..=0x7 | 0xB..=0xF => return Some(Fault::ReservedOpcode),
            _ => {}
        }
        if !self.is_control() {
            None
        } else if self.length > MAX_CONTROL_PAYLOAD {
            Some(Fault::ControlTooLong)
        } else if !self.fin {
            Some(Fault::ControlFragmented)
        } else {
            None
        }
    }
}

/// What RFC 6455 forbids in a header, and yet leaves its frame's end known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// An opcode without a meaning.
    ReservedOpcode,
    /// A control frame of more than 125 bytes.
    ControlTooLong,
    /// A control frame that is not final.
    ControlFragmented,
}

/// Why nothing behind a byte is followed any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// A whole close frame has gone by: nothing may come after it.
    Close,
    /// A 64-bit length has its top bit set: no boundary can be found behind it.
    Unfollowable,
}

/// Knows where the frames of one direction begin and end.
#[derive(Debug, Default)]
pub struct Follower {
    head: [u8; MAX_HEADER],
    /// Header bytes gathered so far.
    have: usize,
    /// Payload bytes of the current frame still to come.
    left: u64,
    /// Whether the current frame is a close frame.
    closing: bool,
    /// The masking key of a close frame.
    key: [u8; 4],
    /// The first two payload bytes of a close frame, and how many are in.
    code: [u8; 2],
    code_have: usize,
    end: Option<End>,
}

impl Follower {
    /// Starts between frames.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Follows `chunk`, gives each complete header to `on_header`, and returns how many bytes
    /// of the chunk belong to frames that may pass. That is all of them, unless a close frame
    /// ends in it (what comes after does not count) or a header that cannot be followed
    /// begins in it (that header does not count).
    pub fn feed(&mut self, chunk: &[u8], mut on_header: impl FnMut(&Header)) -> usize {
        if self.end.is_some() {
            return 0;
        }
        let mut at = 0;
        let mut header_at = 0;
        while at < chunk.len() {
            if self.left > 0 {
                at += self.skip(&chunk[at..]);
            } else {
                if self.have == 0 {
                    header_at = at;
                }
                at += self.gather(&chunk[at..]);
                if self.is_unfollowable() {
                    self.end = Some(End::Unfollowable);
                    // Nothing passes of a header whose start is in this chunk, which leaves
                    // the passed bytes between frames.
                    if at - header_at == self.have {
                        self.have = 0;
                    }
                    return header_at;
                }
                if self.have < self.header_len() {
                    continue;
                }
                let header = self.header();
                on_header(&header);
                self.enter(&header);
            }
            if self.closing && self.left == 0 && self.have == 0 {
                self.end = Some(End::Close);
                return at;
            }
        }
        at
    }

    /// Whether everything fed and passed so far ends on a frame boundary.
    #[must_use]
    pub const fn is_between(&self) -> bool {
        self.have == 0 && self.left == 0
    }

    /// How many of the next bytes are sure to belong to the frame that has begun; 0 between
    /// frames. A reader that takes no more than that arrives at the boundary exactly.
    #[must_use]
    pub fn within(&self) -> u64 {
        match self.have {
            0 => self.left,
            have => (self.header_len() - have) as u64,
        }
    }

    /// Why following has ended, if it has.
    #[must_use]
    pub const fn end(&self) -> Option<End> {
        self.end
    }

    /// The code of the close frame that went by; `None` too if it carried none.
    #[must_use]
    pub fn close_code(&self) -> Option<u16> {
        (self.end == Some(End::Close) && self.code_have == 2).then(|| u16::from_be_bytes(self.code))
    }

    /// Passes over payload and returns how much.
    fn skip(&mut self, bytes: &[u8]) -> usize {
        let n = usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
        if self.closing {
            for &byte in bytes[..n].iter().take(2 - self.code_have) {
                self.code[self.code_have] = byte ^ self.key[self.code_have];
                self.code_have += 1;
            }
        }
        self.left -= n as u64;
        n
    }

    /// Takes bytes of the header, never more than it needs, and returns how many.
    fn gather(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        // The second byte tells how long the header is.
        while self.have < self.header_len() && taken < bytes.len() {
            let n = (self.header_len() - self.have).min(bytes.len() - taken);
            self.head[self.have..self.have + n].copy_from_slice(&bytes[taken..taken + n]);
            self.have += n;
            taken += n;
        }
        taken
    }

    /// Bytes of the header as far as can be told from what is in of it.
    const fn header_len(&self) -> usize {
        if self.have < 2 {
            return 2;
        }
        let length = match self.head[1] & 0x7F {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let key = if self.head[1] & 0x80 == 0 { 0 } else { 4 };
        2 + length + key
    }

    /// Whether the length begun in the header has its top bit set.
    const fn is_unfollowable(&self) -> bool {
        self.have > 2 && self.head[1] & 0x7F == 127 && self.head[2] & 0x80 != 0
    }

    /// Unpacks the gathered header.
    fn header(&self) -> Header {
        let head = &self.head;
        let length = match head[1] & 0x7F {
            126 => u64::from(u16::from_be_bytes([head[2], head[3]])),
            127 => {
                let mut wide = [0; 8];
                wide.copy_from_slice(&head[2..10]);
                u64::from_be_bytes(wide)
            }
            short => u64::from(short),
        };
        Header {
            fin: head[0] & 0x80 != 0,
            reserved: (head[0] >> 4) & 0x7,
            opcode: head[0] & 0xF,
            masked: head[1] & 0x80 != 0,
            length,
        }
    }

    /// Turns from a gathered header to its payload.
    fn enter(&mut self, header: &Header) {
        self.closing = header.opcode == OPCODE_CLOSE;
        self.key = [0; 4];
        if self.closing && header.masked {
            self.key
                .copy_from_slice(&self.head[self.have - 4..self.have]);
        }
        self.left = header.length;
        self.have = 0;
    }
}

/// The close frame that a server sends: unmasked; without a code it has no payload. A reason
/// longer than a control frame can carry is left out.
#[must_use]
pub fn close_frame(code: Option<u16>, reason: &str) -> Vec<u8> {
    let Some(code) = code else {
        return vec![0x80 | OPCODE_CLOSE, 0];
    };
    let (length, reason) = match u8::try_from(reason.len()) {
        Ok(length @ ..=MAX_REASON) => (length + 2, reason),
        _ => (2, ""),
    };
    let mut frame = vec![0x80 | OPCODE_CLOSE, length];
    frame.extend_from_slice(&code.to_be_bytes());
    frame.extend_from_slice(reason.as_bytes());
    frame
}

/// A ping without a payload, as a server sends it.
pub const PING: &[u8] = &[0x80 | OPCODE_PING, 0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_code_is_unmasked_when_split() {
        let frame = [0x88, 0x82, 1, 2, 3, 4, 0x03 ^ 1, 0xE8 ^ 2];
        for cut in 0..frame.len() {
            let mut follower = Follower::new();
            assert_eq!(follower.feed(&frame[..cut], |_| {}), cut);
            assert_eq!(follower.feed(&frame[cut..], |_| {}), frame.len() - cut);
            assert_eq!(follower.end(), Some(End::Close));
            assert_eq!(follower.close_code(), Some(1000));
        }
    }

    #[test]
    fn own_frames_are_well_formed() {
        let mut headers = Vec::new();
        let mut follower = Follower::new();
        let frame = close_frame(Some(1012), "browser restarted");
        assert_eq!(
            follower.feed(PING, |header| headers.push(*header)),
            PING.len()
        );
        assert_eq!(
            follower.feed(&frame, |header| headers.push(*header)),
            frame.len()
        );
        assert_eq!(follower.close_code(), Some(1012));
        assert!(
            headers
                .iter()
                .all(|header| header.fault().is_none() && !header.masked)
        );
        assert_eq!(close_frame(None, ""), [0x88, 0]);
    }
}
