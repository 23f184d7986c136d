//! Autobahn's sections 3 to 7: reserved bits and opcodes, fragments, UTF-8, closing.

use crate::autobahn::Want::{Closed, Echo, Fails};
use crate::autobahn::{Case, case, close, fragments, play_all, reply};
use crate::wire::{BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT, close_payload, masked};

/// A case in which nothing comes before the connection fails.
fn fails(id: &str, frames: Vec<Vec<u8>>) -> Case {
    case(id, frames, Fails(Vec::new()))
}

/// A case in which nothing comes before the answer to the close.
fn closed(id: &str, frames: Vec<Vec<u8>>, code: u16) -> Case {
    case(id, frames, Closed(Vec::new(), Some(code)))
}

#[tokio::test]
async fn sections_3_and_4_reserved_bits_and_opcodes() {
    let mut cases = Vec::new();
    let small = || masked(FIN | TEXT, b"Hello, world!");
    let echoed = || vec![reply(TEXT, b"Hello, world!")];
    let bits = [
        (1, TEXT),
        (2, TEXT),
        (3, TEXT),
        (4, TEXT),
        (5, BINARY),
        (6, PING),
        (7, CLOSE),
    ];
    for (bits, opcode) in bits {
        let bad = masked(FIN | bits << 4 | opcode, b"");
        let frames = vec![small(), bad, masked(FIN | PING, b"")];
        cases.push(case(format!("3.{bits}"), frames.clone(), Fails(echoed())));
        cases.push(case(format!("3.{bits} chopped"), frames, Fails(echoed())).chopped(1));
    }
    for (section, opcodes) in [(1, 3..=7), (2, 11..=15)] {
        for (i, opcode) in opcodes.enumerate() {
            let bad = masked(FIN | opcode, if i % 2 == 0 { b"" } else { b"reserved" });
            let frames = vec![small(), bad, masked(FIN | PING, b"")];
            let id = format!("4.{section}.{}", i + 1);
            cases.push(case(id.clone(), frames.clone(), Fails(echoed())));
            cases.push(case(id, frames, Fails(echoed())).chopped(1));
        }
    }
    play_all(cases).await;
}

fn fragmentation() -> Vec<Case> {
    let start = || masked(TEXT, b"fragment1");
    let more = || masked(CONTINUATION, b"fragment2");
    let last = || masked(FIN | CONTINUATION, b"fragment2");
    let ping = |payload: &[u8]| masked(FIN | PING, payload);
    let whole = || reply(TEXT, b"fragment1fragment2");
    let answer = |payload: &[u8]| reply(PONG, payload);
    let hello = || masked(FIN | TEXT, b"Hello, world!");
    let stray = |fin| vec![masked(fin | CONTINUATION, b"non-continuation"), hello()];
    let many = vec![start(), more(), ping(b"1"), more(), ping(b"2"), last()];
    let joined = reply(TEXT, b"fragment1fragment2fragment2fragment2");
    let pinged = vec![start(), ping(b"ping"), last()];
    let pinged_answers = vec![answer(b"ping"), whole()];
    vec![
        fails("5.1", vec![masked(PING, b"fragment1"), last()]),
        fails("5.2", vec![masked(PONG, b"fragment1"), last()]),
        case("5.3", vec![start(), last()], Echo(vec![whole()])),
        case("5.6", pinged, Echo(pinged_answers)),
        fails("5.9", stray(FIN)),
        fails("5.12", stray(0)),
        case(
            "5.15",
            [vec![start(), last()], stray(0)].concat(),
            Fails(vec![whole()]),
        ),
        fails("5.16", [stray(0), vec![start(), last()]].concat()),
        fails("5.18", vec![start(), masked(FIN | TEXT, b"fragment2")]),
        case("5.19", many, Echo(vec![answer(b"1"), answer(b"2"), joined])),
    ]
}

#[tokio::test]
async fn section_5_fragmentation() {
    let cases = fragmentation();
    // 5.4, 5.5, 5.7, 5.8, 5.10, 5.11, 5.13, 5.14, 5.17 and 5.20 are these, cut otherwise.
    let frame_wise = cases.iter().cloned().map(|case| {
        let first = case.frames[0].len();
        case.chopped(first)
    });
    let octet_wise = cases.iter().cloned().map(|case| case.chopped(1));
    play_all(frame_wise.chain(octet_wise).chain(cases.clone()).collect()).await;
}

#[tokio::test]
async fn section_6_utf_8() {
    let greek = "κόσμε".as_bytes();
    let valid: [&[u8]; 12] = [
        b"",
        "Hello-µ@ßöäüàá-UTF-8!!".as_bytes(),
        greek,
        "hello\u{A2}world".as_bytes(),
        "hello\u{20AC}world".as_bytes(),
        "hello\u{24B62}world".as_bytes(),
        b"\x00",
        b"\x7f",
        b"\xdf\xbf",
        b"\xef\xbf\xbf",
        b"\xf4\x8f\xbf\xbf",
        b"\xf0\x9f\xbf\xbe",
    ];
    let mut cases = Vec::new();
    for (i, text) in valid.into_iter().enumerate() {
        let want = || Echo(vec![reply(TEXT, text)]);
        cases.push(case(
            format!("6 valid {i}"),
            vec![masked(FIN | TEXT, text)],
            want(),
        ));
        if !text.is_empty() {
            // Fragments that split code points, and octets.
            let octets = fragments(TEXT, text, 1);
            cases.push(case(
                format!("6 valid {i} in fragments"),
                octets.clone(),
                want(),
            ));
            cases.push(case(format!("6 valid {i} in octets"), octets, want()).chopped(1));
        }
    }
    let invalid: [&[u8]; 12] = [
        b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
        b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80edited",
        b"\xf8\x88\x80\x80\x80",
        b"\xfc\x84\x80\x80\x80\x80",
        b"\xf7\xbf\xbf\xbf",
        b"\xfd\xbf\xbf\xbf\xbf\xbf",
        b"\x80",
        b"\xc3",
        b"\xe2\x82",
        b"\xc0\xaf",
        b"\xfe\xfe\xff\xff",
        b"\xed\xad\xbf\xed\xb0\x80",
    ];
    for (i, text) in invalid.into_iter().enumerate() {
        let id = format!("6 invalid {i}");
        cases.push(case(
            id.clone(),
            vec![masked(FIN | TEXT, text)],
            Fails(Vec::new()),
        ));
        cases.push(case(id, fragments(TEXT, text, 1), Fails(Vec::new())));
    }
    play_all(cases).await;
}

fn closing() -> Vec<Case> {
    let hello = || masked(FIN | TEXT, b"Hello World!");
    let echoed = || vec![reply(TEXT, b"Hello World!")];
    let ping = || masked(FIN | PING, b"");
    let with = |payload: &[u8]| vec![masked(FIN | CLOSE, payload)];
    let coded = |reason: &str| with(&close_payload(1000, reason));
    let (start, last) = (masked(TEXT, b"fragment1"), masked(FIN | CONTINUATION, b"2"));
    let long = vec![b'*'; 256 * 1024];
    let long_first = vec![masked(FIN | TEXT, &long), hello(), close(1000), ping()];
    let long_echoed = [vec![reply(TEXT, &long)], echoed()].concat();
    vec![
        case(
            "7.1.1",
            vec![hello(), close(1000)],
            Closed(echoed(), Some(1000)),
        ),
        closed("7.1.2", vec![close(1000), close(1000)], 1000),
        closed("7.1.3", vec![close(1000), ping()], 1000),
        closed("7.1.4", vec![close(1000), hello()], 1000),
        closed("7.1.5", vec![start, close(1000), last], 1000),
        case("7.1.6", long_first, Closed(long_echoed, Some(1000))),
        case("7.3.1", with(b""), Closed(Vec::new(), None)),
        fails("7.3.2", with(b"a")),
        closed("7.3.3", coded(""), 1000),
        closed("7.3.4", coded("Hello World!"), 1000),
        closed("7.3.5", coded(&"*".repeat(123)), 1000),
        fails("7.3.6", coded(&"*".repeat(124))),
        fails("7.5.1", with(b"\x03\xE8\xce\xba\xed\xa0\x80edited")),
    ]
}

#[tokio::test]
async fn section_7_closing() {
    let mut cases = closing();
    let valid = [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999,
    ];
    for (i, code) in valid.into_iter().enumerate() {
        cases.push(closed(&format!("7.7.{}", i + 1), vec![close(code)], code));
    }
    let invalid = [
        0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65_535,
    ];
    for (i, code) in invalid.into_iter().enumerate() {
        cases.push(fails(&format!("7.9.{}", i + 1), vec![close(code)]));
    }
    let octets = cases.clone().into_iter().filter(|case| case.id != "7.1.6");
    let octets: Vec<_> = octets.map(|case| case.chopped(1)).collect();
    play_all(cases).await;
    play_all(octets).await;
}
