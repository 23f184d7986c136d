//! The whole screen by MIT-SHM and an encoder, with nothing around: what a screenshot costs at
//! least.

use anyhow::Context as _;
use x11rb::{
    connection::Connection as _,
    protocol::{shm::ConnectionExt as _, xproto::ImageFormat},
    rust_connection::RustConnection,
};

use crate::sys::Shared;

/// The quality that the daemon takes without being asked for another.
const QUALITY: i32 = 80;

/// A connection with a segment of the screen's size.
#[derive(Debug)]
pub(crate) struct Screen {
    connection: RustConnection,
    root: u32,
    size: (u16, u16),
    segment: u32,
    memory: Shared,
}

impl Screen {
    /// Opens a display whose pixels take four bytes.
    pub(crate) fn open(display: &str) -> anyhow::Result<Self> {
        let (connection, number) = x11rb::connect(Some(display)).context("cannot reach X")?;
        let screen = &connection.setup().roots[number];
        let (root, size) = (
            screen.root,
            (screen.width_in_pixels, screen.height_in_pixels),
        );
        let memory = Shared::new(usize::from(size.0) * usize::from(size.1) * 4)?;
        let segment = connection.generate_id()?;
        let descriptor = memory.descriptor()?;
        connection
            .shm_attach_fd(segment, descriptor, false)?
            .check()?;
        Ok(Self {
            connection,
            root,
            size,
            segment,
            memory,
        })
    }

    fn grab(&mut self) -> anyhow::Result<&[u8]> {
        let (width, height) = self.size;
        let format = ImageFormat::Z_PIXMAP.into();
        self.connection
            .shm_get_image(self.root, 0, 0, width, height, !0, format, self.segment, 0)?
            .reply()?;
        Ok(self.memory.bytes())
    }

    /// A JPEG by libjpeg-turbo, at the daemon's quality and with its halved colours.
    pub(crate) fn jpeg(&mut self) -> anyhow::Result<Vec<u8>> {
        let (width, height) = (usize::from(self.size.0), usize::from(self.size.1));
        let image = turbojpeg::Image {
            pixels: self.grab()?,
            width,
            pitch: width * 4,
            height,
            format: turbojpeg::PixelFormat::BGRX,
        };
        let file = turbojpeg::compress(image, QUALITY, turbojpeg::Subsamp::Sub2x2)?;
        Ok(file.to_vec())
    }

    /// A PNG with the daemon's settings.
    pub(crate) fn png(&mut self) -> anyhow::Result<Vec<u8>> {
        let (width, height) = (u32::from(self.size.0), u32::from(self.size.1));
        let pixels = self.grab()?;
        let mut rgb = vec![0; pixels.len() / 4 * 3];
        let (from, _) = pixels.as_chunks::<4>();
        let (to, _) = rgb.as_chunks_mut::<3>();
        for (from, to) in from.iter().zip(to) {
            *to = [from[2], from[1], from[0]];
        }
        let mut file = Vec::with_capacity(rgb.len() / 4);
        let mut encoder = png::Encoder::new(&mut file, width, height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::Fast);
        encoder.set_filter(png::Filter::Paeth);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&rgb)?;
        writer.finish()?;
        Ok(file)
    }
}
