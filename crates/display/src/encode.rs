//! Pixels as PNG, JPEG and WebP.

mod jpeg;
mod pixels;

use bytes::Bytes;

use crate::{Error, Region, capture::Frame};
use pixels::{Bitmap, part};

/// The qualities of JPEG and WebP.
pub const QUALITIES: std::ops::RangeInclusive<u16> = 1..=100;
/// The quality of JPEG and WebP for which none was asked.
pub const DEFAULT_QUALITY: u16 = 80;
/// The scales of a picture.
pub const SCALES: std::ops::RangeInclusive<f64> = 0.1..=1.0;

/// How a picture is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// PNG, every pixel as it is.
    #[default]
    Png,
    /// JPEG with a quality; the colours' resolution is halved below 90.
    Jpeg,
    /// WebP with a quality.
    Webp,
}

/// What a picture is to show, and how.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shot {
    /// A part of the screen; all of it without one.
    pub region: Option<Region>,
    /// How it is encoded.
    pub format: Format,
    /// The quality of JPEG and WebP, within [`QUALITIES`].
    pub quality: u16,
    /// The size of the picture in relation to what it shows, within [`SCALES`].
    pub scale: f64,
    /// Whether the cursor is drawn into it. A hidden cursor is not drawn.
    pub cursor: bool,
}

impl Default for Shot {
    fn default() -> Self {
        Self {
            region: None,
            format: Format::Png,
            quality: DEFAULT_QUALITY,
            scale: 1.0,
            cursor: false,
        }
    }
}

impl Shot {
    /// Checks what can be checked without a screen.
    pub fn check(&self) -> Result<(), Error> {
        if !QUALITIES.contains(&self.quality) {
            return Err(Error::OutOfRange {
                what: "quality",
                value: self.quality,
                least: *QUALITIES.start(),
                most: *QUALITIES.end(),
            });
        }
        if !SCALES.contains(&self.scale) {
            return Err(Error::Scale { value: self.scale });
        }
        Ok(())
    }
}

/// An encoded picture. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Picture {
    /// The file.
    pub bytes: Bytes,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// How it is encoded.
    pub format: Format,
}

/// Encodes what `shot` asks for out of a frame that holds it. Takes milliseconds.
pub(crate) fn encode(frame: &Frame, shot: Shot) -> Result<Picture, Error> {
    let mut bitmap = part(frame, shot.region.unwrap_or(frame.region));
    if shot.cursor
        && let Some(cursor) = &frame.cursor
    {
        bitmap.draw(cursor);
    }
    if shot.scale < 1.0 {
        bitmap = bitmap.scaled(shot.scale)?;
    }
    let bytes = match shot.format {
        Format::Png => png(&bitmap),
        Format::Jpeg => {
            let quality = u8::try_from(shot.quality).unwrap_or(u8::MAX);
            jpeg::encode(&bitmap, quality).map_err(|reason| failed(Format::Jpeg, &reason))
        }
        Format::Webp => webp(&bitmap, shot.quality),
    };
    Ok(Picture {
        bytes: bytes?.into(),
        width: bitmap.width,
        height: bitmap.height,
        format: shot.format,
    })
}

fn failed(format: Format, reason: &impl ToString) -> Error {
    Error::Encode {
        format,
        reason: reason.to_string(),
    }
}

/// Paeth for every row: of the filters it is the one that loses least against choosing row by
/// row (6 to 9 % of the bytes), at two thirds of the time.
fn png(bitmap: &Bitmap<'_>) -> Result<Vec<u8>, Error> {
    let failed = |error| failed(Format::Png, &error);
    let rgb = bitmap.rgb();
    let mut file = Vec::with_capacity(rgb.len() / 4);
    let mut encoder = png::Encoder::new(&mut file, bitmap.width, bitmap.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    encoder.set_filter(png::Filter::Paeth);
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(&rgb).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(file)
}

/// Method 0, the fastest: method 4, libwebp's default, takes four times as long for files that
/// are a quarter smaller.
fn webp(bitmap: &Bitmap<'_>, quality: u16) -> Result<Vec<u8>, Error> {
    let mut config = webp::WebPConfig::new().map_err(|()| failed(Format::Webp, &"no setup"))?;
    config.quality = f32::from(quality);
    config.method = 0;
    let rgb = bitmap.rgb();
    webp::Encoder::from_rgb(&rgb, bitmap.width, bitmap.height)
        .encode_advanced(&config)
        .map(|memory| memory.to_vec())
        .map_err(|error| failed(Format::Webp, &format!("{error:?}")))
}
