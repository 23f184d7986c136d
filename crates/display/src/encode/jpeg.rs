//! JPEG in strips, one for each processor: a picture of 1080 lines takes half as long with two.
//!
//! A restart marker sets the decoder back to where a scan begins, so the scans of strips that were
//! encoded each by itself, with the same tables, are one scan with a marker between each two
//! (ITU-T T.81, B.2.1 and E.1.4).

use std::{
    ops::Range,
    thread::{self, ScopedJoinHandle},
};

use jpeg_encoder::{ColorType, Encoder, EncodingError, SamplingFactor};

use super::pixels::Bitmap;

/// Rows of a strip are a multiple of this: the most that is encoded together.
const BLOCK: usize = 16;
/// A strip that is lower is not worth a thread.
const LEAST_ROWS: usize = 128;
/// More threads would take the processor from everybody else.
const MOST_STRIPS: usize = 4;
/// From this quality on, colours have the resolution of brightness.
const SHARP: u8 = 90;

/// Start of a baseline frame. Its height is three bytes behind the marker.
const FRAME: [u8; 2] = [0xFF, 0xC0];
/// Start of a scan.
const SCAN: [u8; 2] = [0xFF, 0xDA];
/// The first of eight restart markers, which take turns.
const RESTART: u8 = 0xD0;
/// End of the picture.
const END: [u8; 2] = [0xFF, 0xD9];

/// The file, with a quality of 1 to 100.
pub(super) fn encode(bitmap: &Bitmap<'_>, quality: u8) -> Result<Vec<u8>, String> {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    in_strips(bitmap, quality, processors.min(MOST_STRIPS))
}

fn in_strips(bitmap: &Bitmap<'_>, quality: u8, most: usize) -> Result<Vec<u8>, String> {
    let (width, height) = (bitmap.width as usize, bitmap.height as usize);
    let strips = (height / LEAST_ROWS).clamp(1, most.max(1));
    let rows = height.div_ceil(strips).next_multiple_of(BLOCK);
    let block = if quality < SHARP { BLOCK } else { BLOCK / 2 };
    // Blocks between two markers. A strip has no more, so that it has no marker within.
    let interval = u16::try_from(width.div_ceil(block) * (rows / block));
    let interval = match interval {
        Ok(interval) if strips > 1 => interval,
        _ => return strip(bitmap, quality, 0..height, 0).map_err(|error| error.to_string()),
    };
    let parts: Result<Vec<_>, _> = thread::scope(|scope| {
        let start = |top| {
            let part = top..height.min(top + rows);
            scope.spawn(move || strip(bitmap, quality, part, interval))
        };
        let running: Vec<_> = (0..height).step_by(rows).map(start).collect();
        let parts = running.into_iter().map(ScopedJoinHandle::join);
        parts
            .map(|part| part.map_err(|_| "a thread of the encoder panicked".to_owned()))
            .map(|part| part?.map_err(|error| error.to_string()))
            .collect()
    });
    join(&parts?, bitmap.height).ok_or_else(|| "a strip is no JPEG".to_owned())
}

/// Some rows as a file of their own.
fn strip(
    bitmap: &Bitmap<'_>,
    quality: u8,
    rows: Range<usize>,
    interval: u16,
) -> Result<Vec<u8>, EncodingError> {
    let side = |pixels: usize| u16::try_from(pixels).unwrap_or(u16::MAX);
    let stride = 4 * bitmap.width as usize;
    let pixels = &bitmap.pixels[stride * rows.start..stride * rows.end];
    let mut file = Vec::with_capacity(pixels.len() / 16);
    let mut encoder = Encoder::new(&mut file, quality);
    encoder.set_sampling_factor(if quality < SHARP {
        SamplingFactor::F_2_2
    } else {
        SamplingFactor::F_1_1
    });
    encoder.set_restart_interval(interval);
    let (width, height) = (side(bitmap.width as usize), side(rows.len()));
    encoder.encode(pixels, width, height, ColorType::Bgra)?;
    Ok(file)
}

/// The first strip's head with the height of all, and every scan behind the other. None where a
/// file does not have the parts that it must have.
fn join(strips: &[Vec<u8>], height: u32) -> Option<Vec<u8>> {
    let mut file = Vec::with_capacity(strips.iter().map(Vec::len).sum());
    for (number, strip) in strips.iter().enumerate() {
        let scan = scan(strip)?;
        if number == 0 {
            file.extend_from_slice(&strip[..scan.start]);
            let frame = segment(&file, FRAME)?;
            let told = file.get_mut(frame + 5..frame + 7)?;
            told.copy_from_slice(&u16::try_from(height).ok()?.to_be_bytes());
        } else {
            let turn = u8::try_from((number - 1) % 8).ok()?;
            file.extend_from_slice(&[0xFF, RESTART + turn]);
        }
        file.extend_from_slice(&strip[scan]);
    }
    file.extend_from_slice(&END);
    Some(file)
}

/// Where a file's entropy-coded data are.
fn scan(file: &[u8]) -> Option<Range<usize>> {
    let start = segment(file, SCAN)?;
    let start = start + 2 + length(file, start)?;
    let end = file.len().checked_sub(END.len())?;
    (file.ends_with(&END) && start <= end).then_some(start..end)
}

/// Where the segment with this marker begins, its length behind the marker.
fn segment(file: &[u8], marker: [u8; 2]) -> Option<usize> {
    // Behind the marker that starts a picture, which has no length.
    let mut at = 2;
    while file.get(at..at + 2)? != marker {
        at += 2 + length(file, at)?;
    }
    Some(at)
}

fn length(file: &[u8], segment: usize) -> Option<usize> {
    let bytes = file.get(segment + 2..segment + 4)?;
    Some(usize::from(u16::from_be_bytes([bytes[0], bytes[1]])))
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use zune_jpeg::{JpegDecoder, zune_core::bytestream::ZCursor};

    use super::*;
    use crate::Region;

    fn bitmap(width: u32, height: u32) -> Bitmap<'static> {
        let pixels = (0..height * width).flat_map(|at| {
            let (x, y) = (at % width, at / width);
            [x * 3, y * 5, x ^ y, 0].map(|value| value.to_le_bytes()[0])
        });
        Bitmap {
            region: Region {
                x: 0,
                y: 0,
                width,
                height,
            },
            width,
            height,
            pixels: Cow::Owned(pixels.collect()),
        }
    }

    fn decode(file: &[u8]) -> Vec<u8> {
        let file = ZCursor::new(file);
        JpegDecoder::new(file).decode().unwrap()
    }

    /// What strips are made of is as it is in one piece, or nearly: a block is coded alike.
    #[test]
    fn strips_decode_to_what_one_piece_does() {
        for (width, height) in [(64, 256), (333, 517), (8, 1000)] {
            for quality in [1, 80, 89, 90, 100] {
                let bitmap = bitmap(width, height);
                let whole = decode(&in_strips(&bitmap, quality, 1).unwrap());
                for most in [2, 3, 4] {
                    let file = in_strips(&bitmap, quality, most).unwrap();
                    let what = format!("{width}x{height}, {quality}, {most} strips");
                    assert!(decode(&file) == whole, "{what}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_jpeg_is_not_joined() {
        for file in [&b""[..], b"\xFF\xD8", b"\xFF\xD8\xFF\xC0\x00\x02\xFF\xD9"] {
            assert!(join(&[file.to_vec(), file.to_vec()], 32).is_none());
        }
    }
}
