//! Pictures of a known drawing.

use std::{io::Cursor as Reader, time::Duration};

use browserd_display::{Cursor, Error, Format, Picture, Screen, Shot, Size};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    client::{Client, colour, region},
    xvfb::{Xvfb, eventually},
};

/// The handle with the task that serves it.
pub(crate) fn screen(xvfb: &Xvfb) -> (Screen, DropGuard) {
    let token = CancellationToken::new();
    let (cursor, _never_hides) = Cursor::spawn(xvfb.display(), token.clone()).unwrap();
    let (screen, run) = Screen::spawn(xvfb.display(), &cursor, token.clone());
    #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
    tokio::spawn(run);
    (screen, token.drop_guard())
}

/// The pixels of a PNG: R, G, B.
pub(crate) fn pixels(picture: &Picture) -> Vec<[u8; 3]> {
    assert_eq!(picture.format, Format::Png);
    let mut reader = png::Decoder::new(Reader::new(&picture.bytes))
        .read_info()
        .unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.width, info.height), (picture.width, picture.height));
    assert_eq!(info.color_type, png::ColorType::Rgb);
    pixels.as_chunks::<3>().0.to_vec()
}

fn drawing(x: u32, y: u32, width: u32, height: u32) -> Vec<[u8; 3]> {
    (y..y + height)
        .flat_map(|y| (x..x + width).map(move |x| colour(x, y)))
        .collect()
}

fn shot(x: i32, y: i32, width: u32, height: u32) -> Shot {
    Shot {
        region: Some(region(x, y, width, height)),
        ..Shot::default()
    }
}

/// A server whose screen shows the drawing; the client has to stay.
async fn painted(arguments: &[&str]) -> (Xvfb, Client) {
    let xvfb = Xvfb::start(&[&["-screen", "0", "640x480x24"], arguments].concat()).await;
    let client = Client::new(&xvfb);
    client.paint(client.root, 640, 480);
    (xvfb, client)
}

#[tokio::test]
async fn every_pixel_is_what_was_drawn() {
    for arguments in [&[][..], &["-extension", "MIT-SHM"]] {
        let (xvfb, _client) = painted(arguments).await;
        let (screen, _run) = screen(&xvfb);
        let picture = screen.screenshot(Shot::default()).await.unwrap();
        assert_eq!((picture.width, picture.height), (640, 480));
        assert!(pixels(&picture) == drawing(0, 0, 640, 480), "{arguments:?}");
    }
}

#[tokio::test]
async fn a_region_is_exact_to_the_pixel_in_every_corner() {
    let (xvfb, _client) = painted(&[]).await;
    let (screen, _run) = screen(&xvfb);
    for (x, y, width, height) in [
        (0, 0, 1, 1),
        (639, 479, 1, 1),
        (0, 479, 640, 1),
        (639, 0, 1, 480),
        (17, 33, 101, 57),
    ] {
        let (left, top) = (i32::try_from(x).unwrap(), i32::try_from(y).unwrap());
        let picture = screen
            .screenshot(shot(left, top, width, height))
            .await
            .unwrap();
        assert!(pixels(&picture) == drawing(x, y, width, height), "{x},{y}");
    }
}

#[tokio::test]
async fn a_region_outside_the_screen_is_refused_and_named() {
    let (xvfb, _client) = painted(&[]).await;
    let (screen, _run) = screen(&xvfb);
    for (x, y, width, height) in [
        (-1, 0, 10, 10),
        (0, -1, 10, 10),
        (631, 0, 10, 10),
        (0, 471, 10, 10),
        (0, 0, 0, 10),
        (0, 0, 10, 0),
        (i32::MAX, i32::MAX, u32::MAX, u32::MAX),
        (i32::MIN, i32::MIN, u32::MAX, u32::MAX),
    ] {
        let error = screen
            .screenshot(shot(x, y, width, height))
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "the region {width}x{height}{x:+}{y:+} is empty or not within the screen of 640x480"
            )
        );
    }
}

#[tokio::test]
async fn bad_qualities_and_scales_are_refused_and_named() {
    let display = browserd_display::Display::new(u16::MAX);
    let token = CancellationToken::new();
    let (cursor, _never_run) = Cursor::spawn(display.clone(), token.clone()).unwrap();
    let (screen, _never_run) = Screen::spawn(display, &cursor, token);
    let refused = async |shot| screen.screenshot(shot).await.unwrap_err().to_string();
    for quality in [0, 101, 300] {
        let shot = Shot {
            quality,
            ..Shot::default()
        };
        let wanted = format!("quality {quality} is not between 1 and 100");
        assert_eq!(refused(shot).await, wanted);
    }
    for scale in [0.0, 0.099, 1.001, -1.0, f64::NAN, f64::INFINITY] {
        let shot = Shot {
            scale,
            ..Shot::default()
        };
        let wanted = format!("scale {scale} is not between 0.1 and 1");
        assert_eq!(refused(shot).await, wanted);
    }
}

#[tokio::test]
async fn a_burst_of_different_requests_gets_what_each_asked_for() {
    let (xvfb, _client) = painted(&[]).await;
    let (screen, _run) = screen(&xvfb);
    let mut asked = tokio::task::JoinSet::new();
    for step in 0..60_u32 {
        let screen = screen.clone();
        asked.spawn(async move {
            let (x, y) = (step % 7 * 31, step % 5 * 17);
            let shot = shot(x.cast_signed(), y.cast_signed(), 100 + x, 90 + y);
            let picture = screen.screenshot(shot).await.unwrap();
            assert!(pixels(&picture) == drawing(x, y, 100 + x, 90 + y));
            // One that cannot be served must not spoil those it shares the grab with.
            let bad = Shot {
                region: Some(region(600, 0, 41, 1)),
                ..shot
            };
            assert!(screen.screenshot(bad).await.is_err());
        });
    }
    while let Some(done) = asked.join_next().await {
        done.unwrap();
    }
}

#[tokio::test]
async fn the_scale_is_exact_and_the_colours_stay() {
    use x11rb::{
        protocol::xproto::{ChangeWindowAttributesAux, ConnectionExt as _},
        wrapper::ConnectionExt as _,
    };

    let (xvfb, client) = painted(&[]).await;
    let (screen, _run) = screen(&xvfb);
    // Squares of one colour, which a halved picture shows exactly, away from their edges.
    let gc = client.window(region(0, 0, 640, 480));
    let red = ChangeWindowAttributesAux::new().background_pixel(0x00ff_8001);
    client.x.change_window_attributes(gc, &red).unwrap();
    client.x.clear_area(false, gc, 0, 0, 640, 480).unwrap();
    client.x.sync().unwrap();
    for (scale, width, height) in [
        (0.5, 320, 240),
        (0.1, 64, 48),
        (0.333, 213, 160),
        (1.0, 640, 480),
    ] {
        let shot = Shot {
            scale,
            ..Shot::default()
        };
        let picture = screen.screenshot(shot).await.unwrap();
        assert_eq!((picture.width, picture.height), (width, height), "{scale}");
        assert!(
            pixels(&picture).iter().all(|pixel| *pixel == [255, 128, 1]),
            "{scale}"
        );
    }
}

#[tokio::test]
async fn jpeg_and_webp_are_what_they_say_and_obey_their_quality() {
    let (xvfb, _client) = painted(&[]).await;
    let (screen, _run) = screen(&xvfb);
    for (format, start) in [
        (Format::Jpeg, &b"\xff\xd8\xff"[..]),
        (Format::Webp, b"RIFF"),
    ] {
        let mut sizes = Vec::new();
        for quality in [1, 50, 100] {
            let shot = Shot {
                format,
                quality,
                ..Shot::default()
            };
            let picture = screen.screenshot(shot).await.unwrap();
            assert_eq!(picture.format, format);
            assert!(picture.bytes.starts_with(start), "{format:?}");
            sizes.push(picture.bytes.len());
        }
        assert!(
            sizes.is_sorted() && sizes[0] * 2 < sizes[2],
            "{format:?} {sizes:?}"
        );
    }
}

#[tokio::test]
async fn a_picture_right_after_a_resize_has_the_new_size() {
    let xvfb = Xvfb::start(&["-screen", "0", "3840x2160x24"]).await;
    let (screen, _run) = screen(&xvfb);
    for (width, height) in [
        (800, 600),
        (1920, 1080),
        (320, 240),
        (3840, 2160),
        (390, 844),
    ] {
        let size = Size {
            width,
            height,
            refresh: 60,
        };
        xvfb.display().set_size(size).await.unwrap();
        let client = Client::new(&xvfb);
        client.paint(client.root, 320, 240);
        let picture = screen.screenshot(Shot::default()).await.unwrap();
        assert_eq!(
            (picture.width, picture.height),
            (width.into(), height.into())
        );
        let pixels = pixels(&picture);
        assert_eq!(pixels[0], colour(0, 0));
        assert_eq!(pixels[usize::from(width) * 239 + 319], colour(319, 239));
    }
}

#[tokio::test]
async fn pictures_taken_while_the_screen_changes_are_whole() {
    let xvfb = Xvfb::start(&["-screen", "0", "3840x2160x24"]).await;
    let display = xvfb.display();
    let (screen, _run) = screen(&xvfb);
    let sizes = [(800, 600), (320, 240)];
    let resized = async {
        for (width, height) in sizes.into_iter().cycle().take(30) {
            let size = Size {
                width,
                height,
                refresh: 60,
            };
            display.set_size(size).await.unwrap();
        }
    };
    let taken = async {
        for _ in 0..60 {
            match screen.screenshot(Shot::default()).await {
                Ok(picture) => drop(pixels(&picture)),
                Err(error) => assert!(matches!(error, Error::Resizing { .. }), "{error:?}"),
            }
        }
    };
    tokio::join!(resized, taken);
}

#[tokio::test]
async fn a_restarted_server_is_found_again_by_the_next_request() {
    let (mut xvfb, _client) = painted(&[]).await;
    let (screen, _run) = screen(&xvfb);
    screen.screenshot(Shot::default()).await.unwrap();
    xvfb.kill().await;
    for _ in 0..3 {
        let error = screen.screenshot(Shot::default()).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    }
    xvfb.restart(&["-screen", "0", "800x600x24"]).await;
    let client = Client::new(&xvfb);
    client.paint(client.root, 640, 480);
    let picture = screen.screenshot(shot(0, 0, 640, 480)).await.unwrap();
    assert!(pixels(&picture) == drawing(0, 0, 640, 480));
    // And one that was replaced without a request in between, which only the next one notices.
    xvfb.restart(&["-screen", "0", "1024x768x24"]).await;
    let picture = screen.screenshot(Shot::default()).await.unwrap();
    assert_eq!((picture.width, picture.height), (1024, 768));
}

#[tokio::test]
async fn abandoned_requests_cost_nobody_else_anything() {
    let (xvfb, _client) = painted(&[]).await;
    let (screen, _run) = screen(&xvfb);
    for _ in 0..50 {
        let left = screen.screenshot(Shot::default());
        let _ = tokio::time::timeout(Duration::from_micros(50), left).await;
    }
    let picture = screen.screenshot(Shot::default()).await.unwrap();
    assert!(pixels(&picture) == drawing(0, 0, 640, 480));
}

#[tokio::test]
async fn the_cursor_is_drawn_when_asked_for() {
    let (xvfb, client) = painted(&[]).await;
    let (screen, _run) = screen(&xvfb);
    let cursor = crate::cursor::square(&client, 200, 100);
    let with = Shot {
        cursor: true,
        ..Shot::default()
    };
    let plain = pixels(&screen.screenshot(Shot::default()).await.unwrap());
    assert!(plain == drawing(0, 0, 640, 480));
    eventually("the cursor is in the picture", async || {
        pixels(&screen.screenshot(with).await.unwrap()) != plain
    })
    .await;
    let seen = pixels(&screen.screenshot(with).await.unwrap());
    let mut wanted = plain.clone();
    for (x, y) in cursor {
        wanted[y * 640 + x] = [255, 0, 0];
    }
    assert!(seen == wanted);
    // In a part of the screen it is cut off at the edges.
    let half = Shot {
        region: Some(region(203, 0, 100, 480)),
        ..with
    };
    let part = pixels(&screen.screenshot(half).await.unwrap());
    for y in 0..480 {
        assert!(
            part[y * 100..][..100] == wanted[y * 640 + 203..][..100],
            "row {y}"
        );
    }
}
