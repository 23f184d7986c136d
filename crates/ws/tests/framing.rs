//! The boundary follower against a reference parser that has the whole stream at once.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use browserd_ws::frame::{End, Fault, Follower, Header};
use proptest::collection::vec;
use proptest::prelude::*;

/// A frame as its sender means it. `width` is the number of length bytes, which need not be
/// the fewest possible.
#[derive(Debug, Clone)]
struct Frame {
    first: u8,
    width: usize,
    mask: Option<[u8; 4]>,
    payload: Vec<u8>,
}

impl Frame {
    fn encode(&self) -> Vec<u8> {
        let masked = if self.mask.is_some() { 0x80 } else { 0 };
        let length = self.payload.len();
        let mut out = vec![self.first];
        match self.width {
            0 => out.push(masked | u8::try_from(length).unwrap()),
            2 => {
                out.push(masked | 0x7E);
                out.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            _ => {
                out.push(masked | 0x7F);
                out.extend((length as u64).to_be_bytes());
            }
        }
        let key = self.mask.unwrap_or_default();
        out.extend(self.mask.iter().flatten());
        out.extend(
            self.payload
                .iter()
                .zip(key.iter().cycle())
                .map(|(byte, key)| byte ^ key),
        );
        out
    }

    fn is_close(&self) -> bool {
        self.first & 0xF == 8
    }
}

fn frame(opcodes: impl Strategy<Value = u8>) -> impl Strategy<Value = Frame> {
    let length = prop_oneof![
        Just(0),
        0..=125_usize,
        126..=300_usize,
        65_530..=65_540_usize
    ];
    // Only the first bytes of a payload can matter, to a close frame.
    let payload = (any::<[u8; 8]>(), length)
        .prop_map(|(bytes, length)| bytes.into_iter().cycle().take(length).collect::<Vec<_>>());
    (
        opcodes,
        0_u8..16,
        prop::option::of(any::<[u8; 4]>()),
        payload,
        0_usize..3,
    )
        .prop_map(|(opcode, bits, mask, payload, wider)| {
            let least = match payload.len() {
                0..=125 => 0,
                126..=65_535 => 1,
                _ => 2,
            };
            let width = [0, 2, 8][wider.max(least)];
            Frame {
                first: bits << 4 | opcode,
                width,
                mask,
                payload,
            }
        })
}

fn not_close() -> impl Strategy<Value = u8> {
    (0_u8..16).prop_filter("a close ends the stream", |&opcode| opcode != 8)
}

/// What a whole stream is: the headers, and where each frame ends.
fn reference(stream: &[u8]) -> (Vec<(u8, u64)>, Vec<usize>) {
    let (mut headers, mut ends, mut at) = (Vec::new(), Vec::new(), 0);
    while at < stream.len() {
        let first = stream[at];
        let (length, width) = match stream[at + 1] & 0x7F {
            126 => (
                u64::from(u16::from_be_bytes([stream[at + 2], stream[at + 3]])),
                2,
            ),
            127 => (
                u64::from_be_bytes(stream[at + 2..at + 10].try_into().unwrap()),
                8,
            ),
            short => (u64::from(short), 0),
        };
        let key = if stream[at + 1] & 0x80 == 0 { 0 } else { 4 };
        at += 2 + width + key + usize::try_from(length).unwrap();
        headers.push((first, length));
        ends.push(at);
    }
    (headers, ends)
}

/// Cuts a stream into chunks at the given places, in any order and number.
fn chop<'a>(stream: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    places.push(stream.len());
    places.sort_unstable();
    let mut at = 0;
    places
        .into_iter()
        .map(|place| {
            let chunk = &stream[at..place];
            at = place;
            chunk
        })
        .collect()
}

proptest! {
    /// Whatever the cuts: the same headers, and between frames exactly at the frames' ends.
    #[test]
    fn boundaries_do_not_depend_on_the_cuts(
        frames in vec(frame(not_close()), 0..8),
        cuts in vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let stream = frames.iter().flat_map(Frame::encode).collect::<Vec<_>>();
        let (headers, ends) = reference(&stream);
        let mut follower = Follower::new();
        let (mut seen, mut at) = (Vec::new(), 0);
        for chunk in chop(&stream, &cuts) {
            let passed = follower.feed(chunk, |header| {
                let bits = u8::from(header.fin) << 7 | header.reserved << 4 | header.opcode;
                seen.push((bits, header.length));
            });
            prop_assert_eq!(passed, chunk.len());
            at += passed;
            prop_assert_eq!(follower.is_between(), at == 0 || ends.contains(&at));
            prop_assert_eq!(follower.end(), None);
        }
        prop_assert_eq!(seen, headers);
    }

    /// A reader that takes no more than `within` lands on the boundary and not behind it.
    #[test]
    fn within_leads_to_the_boundary(
        frames in vec(frame(not_close()), 2),
        cut in any::<prop::sample::Index>(),
    ) {
        let stream = frames.iter().flat_map(Frame::encode).collect::<Vec<_>>();
        let (_, ends) = reference(&stream);
        let mut at = cut.index(stream.len() + 1);
        let mut follower = Follower::new();
        follower.feed(&stream[..at], |_| {});
        let boundary = *ends.iter().find(|&&end| end >= at).unwrap();
        let boundary = if at == 0 { 0 } else { boundary };
        while !follower.is_between() {
            let n = usize::try_from(follower.within()).unwrap();
            prop_assert!(n > 0);
            follower.feed(&stream[at..at + n], |_| {});
            at += n;
        }
        prop_assert_eq!(at, boundary);
        prop_assert_eq!(follower.within(), 0);
    }

    /// A close frame passes whole, its code is known, and nothing passes after it.
    #[test]
    fn nothing_passes_after_a_close(
        frames in vec(frame(not_close()), 0..4),
        close in frame(Just(8)),
        rest in vec(any::<u8>(), 0..200),
        cuts in vec(any::<prop::sample::Index>(), 0..20),
    ) {
        prop_assert!(close.is_close());
        let mut stream = frames.iter().chain([&close]).flat_map(Frame::encode).collect::<Vec<_>>();
        let whole = stream.len();
        stream.extend(rest);
        let mut follower = Follower::new();
        let passed: usize =
            chop(&stream, &cuts).into_iter().map(|chunk| follower.feed(chunk, |_| {})).sum();
        prop_assert_eq!(passed, whole);
        prop_assert_eq!(follower.end(), Some(End::Close));
        prop_assert!(follower.is_between());
        let code = close.payload.get(..2).map(|code| u16::from_be_bytes([code[0], code[1]]));
        prop_assert_eq!(follower.close_code(), code);
    }

    /// A length with its top bit set ends it; what passed is whole frames, unless bytes of
    /// that very header had to pass before it could be known.
    #[test]
    fn an_unfollowable_length_ends_it(
        frames in vec(frame(not_close()), 0..4),
        first in any::<u8>(),
        masked in any::<bool>(),
        length in (1_u64 << 63..=u64::MAX),
        rest in vec(any::<u8>(), 0..50),
        cuts in vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let mut stream = frames.iter().flat_map(Frame::encode).collect::<Vec<_>>();
        let whole = stream.len();
        stream.push(first);
        stream.push(if masked { 0xFF } else { 0x7F });
        stream.extend(length.to_be_bytes());
        stream.extend(rest);
        let mut follower = Follower::new();
        let passed: usize =
            chop(&stream, &cuts).into_iter().map(|chunk| follower.feed(chunk, |_| {})).sum();
        prop_assert_eq!(follower.end(), Some(End::Unfollowable));
        prop_assert!((whole..=whole + 2).contains(&passed), "{} of {}", passed, whole);
        prop_assert_eq!(follower.is_between(), passed == whole);
        prop_assert_eq!(follower.feed(&stream, |_| {}), 0);
        prop_assert_eq!(follower.close_code(), None);
    }

    /// Noise is followed as far as it goes, without a panic and without a byte too many.
    #[test]
    fn noise_is_harmless(chunks in vec(vec(any::<u8>(), 0..64), 0..64)) {
        let mut follower = Follower::new();
        for chunk in chunks {
            let passed = follower.feed(&chunk, |_| {});
            prop_assert!(passed <= chunk.len());
        }
    }
}

#[test]
fn the_longest_length_is_followed() {
    let mut follower = Follower::new();
    let mut head = vec![0x82, 0x7F];
    head.extend((u64::MAX >> 1).to_be_bytes());
    let mut length = 0;
    assert_eq!(
        follower.feed(&head, |header| length = header.length),
        head.len()
    );
    assert_eq!(length, u64::MAX >> 1);
    assert_eq!(follower.feed(&[0; 4096], |_| {}), 4096);
    assert_eq!(follower.within(), (u64::MAX >> 1) - 4096);
}

#[test]
fn faults_are_told() {
    let header = |fin, opcode, length| Header {
        fin,
        reserved: 0,
        opcode,
        masked: true,
        length,
    };
    for opcode in (3..8).chain(11..16) {
        assert_eq!(header(true, opcode, 0).fault(), Some(Fault::ReservedOpcode));
    }
    for opcode in 8..11 {
        assert_eq!(header(true, opcode, 125).fault(), None);
        assert_eq!(
            header(true, opcode, 126).fault(),
            Some(Fault::ControlTooLong)
        );
        assert_eq!(
            header(false, opcode, 1).fault(),
            Some(Fault::ControlFragmented)
        );
    }
    for opcode in 0..3 {
        assert_eq!(header(false, opcode, 1 << 40).fault(), None);
    }
}
