//! Pixels of the X server, and what is done to them before they are encoded.

use std::borrow::Cow;

use fast_image_resize::{
    FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer,
    images::{Image, ImageRef},
};

use crate::{Error, Region, capture::Frame, cursor::CursorImage, encode::Format};

/// A picture in memory: rows of B, G, R and an unused byte, without gaps.
pub(super) struct Bitmap<'a> {
    /// What it shows, before scaling.
    pub(super) region: Region,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) pixels: Cow<'a, [u8]>,
}

/// A part of a frame; it is copied where the frame holds more.
pub(super) fn part(frame: &Frame, region: Region) -> Bitmap<'_> {
    let pixels = if region == frame.region {
        Cow::Borrowed(frame.pixels())
    } else {
        Cow::Owned(cut(frame, region))
    };
    Bitmap {
        region,
        width: region.width,
        height: region.height,
        pixels,
    }
}

fn cut(frame: &Frame, region: Region) -> Vec<u8> {
    let stride = 4 * frame.region.width as usize;
    let left = 4 * region.x.abs_diff(frame.region.x) as usize;
    let top = region.y.abs_diff(frame.region.y) as usize;
    let mut pixels = Vec::with_capacity(region.bytes());
    for row in frame
        .pixels()
        .chunks_exact(stride)
        .skip(top)
        .take(region.height as usize)
    {
        pixels.extend_from_slice(&row[left..left + 4 * region.width as usize]);
    }
    pixels
}

impl Bitmap<'_> {
    /// Draws the cursor where it is.
    pub(super) fn draw(&mut self, cursor: &CursorImage) {
        let (width, height) = (self.width as usize, self.height as usize);
        let pixels = self.pixels.to_mut();
        for (row, y) in cursor
            .pixels
            .chunks_exact(cursor.width.max(1))
            .zip(cursor.top..)
        {
            let Some(y) = within(y, self.region.y, height) else {
                continue;
            };
            for (&above, x) in row.iter().zip(cursor.left..) {
                let Some(x) = within(x, self.region.x, width) else {
                    continue;
                };
                let at = 4 * (y * width + x);
                blend(&mut pixels[at..at + 3], above);
            }
        }
    }

    /// The picture in another size.
    pub(super) fn scaled(&self, scale: f64) -> Result<Self, Error> {
        let failed = |error: &dyn ToString| Error::Encode {
            format: Format::Png,
            reason: error.to_string(),
        };
        let (width, height) = (side(self.width, scale), side(self.height, scale));
        let source = ImageRef::new(self.width, self.height, &self.pixels, PixelType::U8x4)
            .map_err(|error| failed(&error))?;
        let mut scaled = Image::new(width, height, PixelType::U8x4);
        // The fourth byte is no alpha. Bilinear, over all of the pixels that one replaces.
        let options = ResizeOptions::new()
            .use_alpha(false)
            .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
        Resizer::new()
            .resize(&source, &mut scaled, &options)
            .map_err(|error| failed(&error))?;
        Ok(Self {
            region: self.region,
            width,
            height,
            pixels: Cow::Owned(scaled.into_vec()),
        })
    }

    /// The pixels as R, G, B.
    pub(super) fn rgb(&self) -> Vec<u8> {
        let mut rgb = vec![0; self.pixels.len() / 4 * 3];
        let (from, _) = self.pixels.as_chunks::<4>();
        let (to, _) = rgb.as_chunks_mut::<3>();
        for (from, to) in from.iter().zip(to) {
            *to = [from[2], from[1], from[0]];
        }
        rgb
    }
}

/// A length, scaled and rounded, at least 1.
fn side(pixels: u32, scale: f64) -> u32 {
    let scaled = (f64::from(pixels) * scale).round();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a scale is at most 1, and not negative"
    )]
    let scaled = scaled as u32;
    scaled.max(1)
}

/// Where a coordinate of the screen is in a picture that begins at `start`.
fn within(at: i32, start: i32, len: usize) -> Option<usize> {
    let at = usize::try_from(at.checked_sub(start)?).ok()?;
    (at < len).then_some(at)
}

/// Lays a pixel with premultiplied alpha over another.
fn blend(under: &mut [u8], above: u32) {
    let [blue, green, red, alpha] = above.to_le_bytes();
    let rest = u32::from(u8::MAX - alpha);
    for (under, above) in under.iter_mut().zip([blue, green, red]) {
        let seen = (u32::from(*under) * rest + 127) / 255;
        *under = above.saturating_add(u8::try_from(seen).unwrap_or(u8::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blending_ends_where_alpha_ends() {
        for (above, wanted) in [
            (0, [10, 20, 30]),
            (0xff01_0203, [3, 2, 1]),
            (0x8040_4040, [69, 74, 79]),
        ] {
            let mut under = [10, 20, 30];
            blend(&mut under, above);
            assert_eq!(under, wanted, "{above:x}");
        }
    }

    #[test]
    fn sides_are_rounded_and_never_nothing() {
        assert_eq!(side(1080, 0.5), 540);
        assert_eq!(side(101, 0.5), 51);
        assert_eq!(side(3, 0.1), 1);
        assert_eq!(side(1920, 1.0), 1920);
    }
}
