//! The store under any interleaving of writers, readers, resumes and eviction.

mod settle;
mod threads;

use std::sync::OnceLock;
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::{Instant, sleep, timeout};

use super::*;

fn limits(capacity: usize, memory: usize, block: usize) -> Limits {
    Limits {
        capacity,
        memory,
        block,
        directory: std::env::temp_dir(),
        disk: Budget::new(u64::MAX),
        readers: 64,
    }
}

/// What the streams hold repeats after this many bytes.
const PERIOD: u32 = 65_521;

/// `len` bytes of a stream from an offset on.
fn expected(stream: Stream, offset: u64, len: usize) -> &'static [u8] {
    static BYTES: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
    let bytes = BYTES.get_or_init(|| {
        [1_u32, 101].map(|salt| {
            let hash = |at: u32| (at % PERIOD + salt).wrapping_mul(2_654_435_761);
            (0..2 * PERIOD + 1_000_000)
                .map(|at| hash(at).to_be_bytes()[0])
                .collect()
        })
    });
    let start = usize::try_from(offset % u64::from(PERIOD)).unwrap();
    &bytes[usize::from(stream == Stream::Stderr)][start..start + len]
}

/// Writes what the streams are meant to hold.
struct Source {
    writer: Writer,
    at: Offsets,
}

impl Source {
    fn write(&mut self, stream: Stream, len: usize) {
        let bytes = expected(stream, self.at.of(stream), len);
        self.writer.append(stream, bytes);
        *self.at.of_mut(stream) += len as u64;
    }
}

/// A reader that checks what it is given.
struct Checked {
    reader: Reader,
    place: Offsets,
    lost: u64,
    /// Places behind events, to resume from.
    ids: Vec<Offsets>,
}

impl Checked {
    fn new(output: &Output, from: Offsets) -> Self {
        let reader = output.reader(from).unwrap();
        Self {
            reader,
            place: from,
            lost: 0,
            ids: vec![from],
        }
    }

    fn take(&mut self, event: Event) {
        let (stream, len, next) = match event {
            Event::Data {
                stream,
                bytes,
                next,
            } => {
                assert!(!bytes.is_empty());
                let at = self.place.of(stream);
                let true_bytes = bytes == expected(stream, at, bytes.len());
                assert!(true_bytes, "{stream:?} at {at}: {bytes:?}");
                (stream, bytes.len() as u64, next)
            }
            Event::Gap {
                stream,
                lost_bytes,
                next,
            } => {
                assert!(lost_bytes > 0);
                self.lost += lost_bytes;
                (stream, lost_bytes, next)
            }
        };
        *self.place.of_mut(stream) += len;
        assert_eq!(next, self.place);
        assert_eq!(self.reader.place(), self.place);
        self.ids.push(next);
    }

    async fn read_to_end(&mut self) {
        while let Some(event) = self.reader.next().await {
            self.take(event);
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Write(Stream, usize),
    Settle,
    /// A new reader: at a place of an earlier one, or at any place.
    Join(
        prop::sample::Index,
        Option<(prop::sample::Index, prop::sample::Index)>,
    ),
    Read(prop::sample::Index, usize),
    Leave(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    let stream = prop_oneof![Just(Stream::Stdout), Just(Stream::Stderr)];
    prop_oneof![
        6 => (stream, 1_usize..300).prop_map(|(stream, len)| Step::Write(stream, len)),
        3 => Just(Step::Settle),
        2 => any::<(prop::sample::Index, Option<(prop::sample::Index, prop::sample::Index)>)>().prop_map(|(id, any)| Step::Join(id, any)),
        4 => (any::<prop::sample::Index>(), 1_usize..20).prop_map(|(who, n)| Step::Read(who, n)),
        1 => any::<prop::sample::Index>().prop_map(Step::Leave),
    ]
}

async fn play(steps: Vec<Step>, limits: Limits) {
    let (capacity, block) = (limits.capacity as u64, limits.block as u64);
    let (writer, output) = output(limits);
    let mut source = Source {
        writer,
        at: Offsets::default(),
    };
    let mut readers = vec![Checked::new(&output, Offsets::default())];
    let mut ids = vec![Offsets::default()];
    for step in steps {
        match step {
            Step::Write(stream, len) => source.write(stream, len),
            Step::Settle => source.writer.settle().await,
            Step::Join(id, None) => readers.push(Checked::new(&output, *id.get(&ids))),
            Step::Join(_, Some((out, err))) => {
                let place = |index: prop::sample::Index, end: u64| {
                    index.index(usize::try_from(end).unwrap() + 1) as u64
                };
                let from = Offsets {
                    stdout: place(out, source.at.stdout),
                    stderr: place(err, source.at.stderr),
                };
                readers.push(Checked::new(&output, from));
            }
            Step::Read(who, count) => {
                let index = who.index(readers.len());
                let reader = &mut readers[index];
                for _ in 0..count {
                    if !reader.place.is_before(source.at) {
                        break;
                    }
                    let event = timeout(Duration::from_secs(10), reader.reader.next()).await;
                    reader.take(event.unwrap().unwrap());
                }
                ids.append(&mut reader.ids);
            }
            Step::Leave(who) if readers.len() > 1 => {
                let mut gone = readers.swap_remove(who.index(readers.len()));
                ids.append(&mut gone.ids);
            }
            Step::Leave(_) => {}
        }
    }
    source.writer.end();
    source.writer.settle().await;
    readers.push(Checked::new(&output, Offsets::default()));
    let written = source.at.sum();
    for reader in &mut readers {
        reader.read_to_end().await;
        assert!(!reader.place.is_before(source.at));
        // Headers take their share of small blocks; a quarter is kept in any case.
        if written < capacity / 4 && block >= 64 {
            assert_eq!(reader.lost, 0);
        }
    }
    let late = readers.last().unwrap();
    // All but headers, half a block at each end, and what did not fill a head block.
    assert!(late.lost <= written.saturating_sub(capacity / 8) || written == 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn every_reader_gets_a_true_sequence(
        steps in prop::collection::vec(step(), 1..120),
        capacity in 512_usize..16_384,
        memory in 0_usize..4_096,
        block in 64_usize..600,
        without_disk in any::<bool>(),
    ) {
        let mut limits = limits(capacity, memory.max(capacity / 4), block.min(capacity / 8));
        if without_disk {
            limits.directory = "/nonexistent".into();
            limits.memory = capacity;
        } else {
            limits.memory = memory;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(play(steps, limits));
    }

    #[test]
    fn offsets_are_read_as_they_are_written(stdout: u64, stderr: u64) {
        let offsets = Offsets { stdout, stderr };
        prop_assert_eq!(offsets.to_string().parse(), Ok(offsets));
    }
}

#[test]
fn what_is_no_offset_is_refused() {
    for bad in [
        "",
        "1",
        ".",
        "1.",
        ".1",
        "1.2.3",
        "-1.0",
        "+1.0",
        "a.b",
        "1,2",
        "99999999999999999999.0",
    ] {
        assert_eq!(bad.parse::<Offsets>(), Err(ParseOffsetsError), "{bad}");
    }
}

#[tokio::test]
async fn a_late_reader_gets_head_gap_and_tail() {
    let (writer, output) = output(limits(64 * 1024, 8 * 1024, 1024));
    let mut source = Source {
        writer,
        at: Offsets::default(),
    };
    for _ in 0..1_000 {
        source.write(Stream::Stdout, 1_000);
        source.writer.settle().await;
    }
    let mut reader = Checked::new(&output, Offsets::default());
    source.writer.end();
    let (mut before, mut after, mut gaps) = (0, 0, 0);
    while let Some(event) = reader.reader.next().await {
        match &event {
            Event::Data { bytes, .. } if gaps == 0 => before += bytes.len(),
            Event::Data { bytes, .. } => after += bytes.len(),
            Event::Gap { .. } => gaps += 1,
        }
        reader.take(event);
    }
    assert_eq!(gaps, 1);
    assert!((30_000..=32 * 1024).contains(&before), "{before}");
    assert!((30_000..=32 * 1024).contains(&after), "{after}");
    assert_eq!(reader.place, source.at);
}

#[tokio::test]
async fn a_waiting_reader_wakes_at_once_and_ends() {
    let (writer, output) = output(limits(64 * 1024, 8 * 1024, 1024));
    let mut reader = output.reader(Offsets::default()).unwrap();
    let task = async {
        let first = reader.next().await;
        let last = reader.next().await;
        (first, last)
    };
    let write = async {
        tokio::task::yield_now().await;
        writer.append(Stream::Stderr, b"hi");
        tokio::task::yield_now().await;
        writer.end();
    };
    let ((first, last), ()) = tokio::join!(task, write);
    assert!(matches!(
        first,
        Some(Event::Data {
            stream: Stream::Stderr,
            ..
        })
    ));
    assert_eq!(last, None);
}

#[tokio::test]
async fn readers_are_limited_and_leave() {
    let (_writer, output) = output(Limits {
        readers: 2,
        ..limits(1024, 1024, 128)
    });
    let first = output.reader(Offsets::default()).unwrap();
    let _second = output.reader(Offsets::default()).unwrap();
    assert!(output.reader(Offsets::default()).is_err());
    drop(first);
    assert!(output.reader(Offsets::default()).is_ok());
}
