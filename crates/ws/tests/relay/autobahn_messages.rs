//! Autobahn's sections 1, 2, 9 and 10: messages of all sizes, pings, chops.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::autobahn::Want::{Echo, Fails};
use crate::autobahn::{Case, case, connect, fragments, play_all, reply};
use crate::wire::{BINARY, FIN, PING, PONG, TEXT, masked, plain};

/// Both data opcodes, with the middle digit of the suite's numbers.
const DATA: [(u8, u8); 2] = [(1, TEXT), (2, BINARY)];

#[tokio::test]
async fn section_1_messages() {
    let mut cases = Vec::new();
    for (digit, opcode) in DATA {
        for (i, size) in [0, 125, 126, 127, 128, 65_535, 65_536]
            .into_iter()
            .enumerate()
        {
            let payload = vec![b'*'; size];
            let want = Echo(vec![reply(opcode, &payload)]);
            let frames = vec![masked(FIN | opcode, &payload)];
            cases.push(case(format!("1.{digit}.{}", i + 1), frames, want));
        }
        let last = cases.last().unwrap().clone();
        cases.push(
            Case {
                id: format!("1.{digit}.8"),
                ..last
            }
            .chopped(997),
        );
    }
    play_all(cases).await;
}

#[tokio::test]
async fn section_2_pings_and_pongs() {
    let ping = |payload: &[u8]| masked(FIN | PING, payload);
    let unasked = |payload: &[u8]| masked(FIN | PONG, payload);
    let odd = [0, 255, 254, 253, 252, 251, 0, 255];
    let full = [0xFE; 125];
    let ten: Vec<_> = (0..10)
        .map(|i| format!("payload-{i}").into_bytes())
        .collect();
    let many = || ten.iter().map(|payload| ping(payload)).collect::<Vec<_>>();
    // The last of many pings is surely answered; a server may leave the others out.
    let answers = || {
        ten.iter()
            .map(|payload| reply(PONG, payload))
            .collect::<Vec<_>>()
    };
    play_all(vec![
        case("2.1", vec![ping(b"")], Echo(vec![reply(PONG, b"")])),
        case(
            "2.2",
            vec![ping(b"Hello, world!")],
            Echo(vec![reply(PONG, b"Hello, world!")]),
        ),
        case("2.3", vec![ping(&odd)], Echo(vec![reply(PONG, &odd)])),
        case("2.4", vec![ping(&full)], Echo(vec![reply(PONG, &full)])),
        case("2.5", vec![ping(&[0xFE; 126])], Fails(Vec::new())),
        case("2.6", vec![ping(&full)], Echo(vec![reply(PONG, &full)])).chopped(1),
        case("2.7", vec![unasked(b"")], Echo(Vec::new())),
        case("2.8", vec![unasked(b"unsolicited")], Echo(Vec::new())),
        case(
            "2.9",
            vec![unasked(b"unsolicited"), ping(b"p")],
            Echo(vec![reply(PONG, b"p")]),
        ),
        case("2.10", many(), Echo(answers())),
        case("2.11", many(), Echo(answers())).chopped(1),
    ])
    .await;
}

#[tokio::test]
async fn section_9_large_messages() {
    const KIB: usize = 1024;
    const MIB: usize = 1024 * KIB;
    let mut cases = Vec::new();
    for (digit, opcode) in DATA {
        let sizes = [64 * KIB, 256 * KIB, MIB, 4 * MIB, 8 * MIB, 16 * MIB];
        for (i, size) in sizes.into_iter().enumerate() {
            let payload = vec![b'*'; size];
            let want = Echo(vec![reply(opcode, &payload)]);
            let frames = vec![masked(FIN | opcode, &payload)];
            cases.push(case(format!("9.{digit}.{}", i + 1), frames, want));
        }
        let payload = vec![b'*'; 4 * MIB];
        for i in 0..9 {
            let frames = fragments(opcode, &payload, 64 << (2 * i));
            let want = Echo(vec![reply(opcode, &payload)]);
            cases.push(case(format!("9.{}.{}", digit + 2, i + 1), frames, want));
        }
        let payload = vec![b'*'; MIB];
        for i in 0..6 {
            let frames = vec![masked(FIN | opcode, &payload)];
            let want = Echo(vec![reply(opcode, &payload)]);
            let case = case(format!("9.{}.{}", digit + 4, i + 1), frames, want);
            cases.push(case.chopped(64 << i));
        }
    }
    play_all(cases).await;
}

#[tokio::test]
async fn section_9_round_trips() {
    for opcode in [TEXT, BINARY] {
        for size in [0, 16, 64, 256, 1024, 4096] {
            let mut socket = connect(true).await;
            let payload = vec![b'*'; size];
            let (frame, wanted) = (
                masked(FIN | opcode, &payload),
                plain(FIN | opcode, &payload),
            );
            let mut got = vec![0; wanted.len()];
            for _ in 0..1000 {
                socket.write_all(&frame).await.unwrap();
                socket.read_exact(&mut got).await.unwrap();
                assert!(got == wanted);
            }
        }
    }
}

#[tokio::test]
async fn section_10_auto_fragmentation() {
    let payload = vec![b'*'; 65_536];
    let want = Echo(vec![reply(TEXT, &payload)]);
    play_all(vec![case("10.1.1", fragments(TEXT, &payload, 1300), want)]).await;
}
