//! Which windows follow the screen when its size changes.

use std::time::Duration;

use browserd_display::{Display, Error, Filling, PRESETS, Region, Resize, Size};
use x11rb::{
    connection::Connection as _,
    properties::WmSizeHints,
    protocol::xproto::{
        AtomEnum, ChangeWindowAttributesAux, ConfigureWindowAux, ConnectionExt as _,
        CreateWindowAux, EventMask, PropMode, Window, WindowClass,
    },
    wrapper::ConnectionExt as _,
};

use crate::{
    client::{Client, region},
    xvfb::{Xvfb, eventually},
};

async fn large() -> Xvfb {
    let xvfb = Xvfb::start(&["-screen", "0", "3840x2160x24"]).await;
    resize(&xvfb.display(), 1280, 720).await;
    xvfb
}

async fn resize(display: &Display, width: u16, height: u16) {
    let size = Size {
        width,
        height,
        refresh: 60,
    };
    display.set_size(size).await.unwrap();
}

#[tokio::test]
async fn without_a_manager_the_largest_window_follows_alone() {
    let xvfb = large().await;
    let client = Client::new(&xvfb);
    let small = client.window(region(30, 40, 200, 100));
    let browser = client.window(region(10, 10, 1200, 600));
    let hidden = client.window(region(0, 0, 1280, 720));
    client.x.unmap_window(hidden).unwrap();
    let menu = client.x.generate_id().unwrap();
    let look = CreateWindowAux::new().override_redirect(1);
    let class = WindowClass::INPUT_OUTPUT;
    client
        .x
        .create_window(0, menu, client.root, 0, 0, 1280, 720, 0, class, 0, &look)
        .unwrap();
    client.x.map_window(menu).unwrap();
    client.x.sync().unwrap();
    for (width, height) in [(390, 844), (320, 240), (3840, 2160), (1920, 1080)] {
        resize(&xvfb.display(), width, height).await;
        let whole = region(0, 0, width.into(), height.into());
        assert_eq!(client.place(browser), whole);
        assert_eq!(client.place(small), region(30, 40, 200, 100));
        assert_eq!(client.place(hidden), region(0, 0, 1280, 720));
        assert_eq!(client.place(menu), region(0, 0, 1280, 720));
    }
}

#[tokio::test]
async fn without_a_manager_every_window_that_covers_the_screen_follows() {
    let xvfb = large().await;
    let client = Client::new(&xvfb);
    let first = client.window(region(0, 0, 1280, 720));
    let second = client.window(region(-10, -10, 1300, 800));
    resize(&xvfb.display(), 800, 600).await;
    for window in [first, second] {
        assert_eq!(client.place(window), region(0, 0, 800, 600));
    }
}

#[tokio::test]
async fn with_a_manager_windows_are_left_to_it() {
    let xvfb = large().await;
    let client = Client::new(&xvfb);
    let window = client.window(region(0, 0, 1280, 720));
    let manager = Client::new(&xvfb);
    let role = ChangeWindowAttributesAux::new().event_mask(EventMask::SUBSTRUCTURE_REDIRECT);
    let taken = manager.x.change_window_attributes(manager.root, &role);
    taken.unwrap().check().unwrap();
    resize(&xvfb.display(), 800, 600).await;
    assert_eq!(client.place(window), region(0, 0, 1280, 720));
    manager.x.sync().unwrap();
    assert!(
        manager.x.poll_for_event().unwrap().is_none(),
        "nothing was asked of the manager"
    );
}

/// A window that covers the screen and wants to be no smaller than Chromium's does.
fn large_at_least(client: &Client) -> Window {
    let window = client.window(region(0, 0, 1279, 719));
    let hints = WmSizeHints {
        min_size: Some((500, 87)),
        ..WmSizeHints::default()
    };
    hints.set_normal_hints(&client.x, window).unwrap();
    client.x.sync().unwrap();
    window
}

#[tokio::test]
async fn a_real_manager_makes_windows_follow_at_any_size() {
    let xvfb = large().await;
    let client = Client::new(&xvfb);
    let covering = large_at_least(&client);
    let small = client.window(region(30, 40, 200, 100));
    let _openbox = client.openbox(&xvfb).await;
    for (width, height) in [(1024, 768), (390, 844), (320, 240), (3840, 2160)] {
        let before = client.size(small);
        resize(&xvfb.display(), width, height).await;
        eventually("the window follows", async || {
            let (x, y) = client.on_screen(covering);
            let (across, down) = client.size(covering);
            // Its manager has decorated it.
            (0..=30).contains(&x)
                && (0..=30).contains(&y)
                && (width - 30..=width).contains(&across)
                && (height - 40..=height).contains(&down)
        })
        .await;
        assert_eq!(client.size(small), before);
    }
}

#[tokio::test]
async fn a_change_keeps_what_it_does_not_name() {
    let xvfb = large().await;
    let display = xvfb.display();
    for preset in PRESETS {
        let change = Resize {
            width: Some(preset.width),
            height: Some(preset.height),
            refresh: None,
        };
        assert_eq!(display.resize(change).await.unwrap(), preset);
        assert_eq!(display.size().await.unwrap(), preset);
    }
    let refresh = Resize {
        refresh: Some(30),
        ..Resize::default()
    };
    let now = display.resize(refresh).await.unwrap();
    assert_eq!((now.width, now.height, now.refresh), (390, 844, 30));
    let height = Resize {
        height: Some(600),
        ..Resize::default()
    };
    let now = display.resize(height).await.unwrap();
    assert_eq!((now.width, now.height, now.refresh), (390, 600, 60));
}

#[tokio::test]
async fn a_change_of_nothing_or_out_of_range_is_refused_without_a_server() {
    let display = Display::new(u16::MAX);
    let error = display.resize(Resize::default()).await.unwrap_err();
    assert!(matches!(error, Error::NothingToChange), "{error:?}");
    let wide = Resize {
        width: Some(3841),
        ..Resize::default()
    };
    let error = display.resize(wide).await.unwrap_err();
    assert_eq!(error.to_string(), "width 3841 is not between 320 and 3840");
}

#[tokio::test]
async fn of_changes_at_the_same_time_none_is_lost() {
    let xvfb = Xvfb::start(&["-screen", "0", "1920x1080x24"]).await;
    let display = xvfb.display();
    for round in 0..20 {
        let (width, height) = (800 + 8 * round, 600 + 8 * round);
        let wider = Resize {
            width: Some(width),
            ..Resize::default()
        };
        let higher = Resize {
            height: Some(height),
            ..Resize::default()
        };
        let (wider, higher) = tokio::join!(display.resize(wider), display.resize(higher));
        let (wider, higher) = (wider.unwrap(), higher.unwrap());
        let last = display.size().await.unwrap();
        assert_eq!((last.width, last.height), (width, height));
        assert_eq!((wider.width, higher.height), (width, height));
        assert!(
            wider == last || higher == last,
            "{wider} and {higher} made {last}"
        );
    }
}

/// A window as Chromium makes one, whose own part is as high as told.
fn browser(client: &Client, role: &str, own: i32, place: Region) -> Window {
    let window = client.unmapped(place);
    let (name, kind) = (client.atom("WM_WINDOW_ROLE"), AtomEnum::STRING);
    let replace = PropMode::REPLACE;
    client
        .x
        .change_property8(replace, window, name, kind, role.as_bytes())
        .unwrap();
    ask_for_least_height(client, window, own);
    client.x.map_window(window).unwrap();
    client.x.sync().unwrap();
    window
}

fn ask_for_least_height(client: &Client, window: Window, height: i32) {
    let hints = WmSizeHints {
        min_size: Some((500, height)),
        ..WmSizeHints::default()
    };
    hints.set_normal_hints(&client.x, window).unwrap();
    client.x.sync().unwrap();
}

/// Has the browser's windows of that size fill the screen, until the server ends.
fn fill(xvfb: &Xvfb, hide_ui: bool, given: (u16, u16)) {
    let connection = xvfb.display().connect(Duration::from_secs(20)).unwrap();
    let filling = Filling::new(connection, hide_ui, given).unwrap();
    std::thread::spawn(move || filling.run());
}

async fn is_at(client: &Client, window: Window, whole: Region) {
    eventually("the window is in its place", async || {
        client.place(window) == whole
    })
    .await;
}

#[tokio::test]
async fn what_is_the_browsers_own_is_above_the_edge() {
    let xvfb = large().await;
    let client = Client::new(&xvfb);
    fill(&xvfb, true, (1280, 807));
    // The height on the command line was a guess.
    let first = browser(&client, "browser", 143, region(0, -87, 1280, 807));
    let popup = browser(&client, "pop-up", 36, region(0, 0, 1279, 719));
    let small = browser(&client, "browser", 87, region(30, 40, 800, 600));
    is_at(&client, first, region(0, -143, 1280, 863)).await;
    is_at(&client, popup, region(0, -35, 1280, 755)).await;
    // A bar goes, and the screen changes.
    ask_for_least_height(&client, first, 87);
    is_at(&client, first, region(0, -87, 1280, 807)).await;
    resize(&xvfb.display(), 800, 600).await;
    is_at(&client, first, region(0, -87, 800, 687)).await;
    is_at(&client, popup, region(0, -35, 800, 635)).await;
    ask_for_least_height(&client, first, 143);
    is_at(&client, first, region(0, -143, 800, 743)).await;
    // Of the size that the command line gives it, long after the screen had that one.
    let late = browser(&client, "browser", 87, region(0, -87, 1280, 807));
    is_at(&client, late, region(0, -87, 800, 687)).await;
    let late = browser(&client, "pop-up", 36, region(0, 0, 1280, 841));
    is_at(&client, late, region(0, -35, 800, 635)).await;
    assert_eq!(client.place(small), region(30, 40, 800, 600));
    // Where somebody put it, it stays.
    let aside = ConfigureWindowAux::new().x(7);
    client.x.configure_window(first, &aside).unwrap();
    ask_for_least_height(&client, first, 87);
    let last = browser(&client, "browser", 87, region(0, -87, 1280, 807));
    is_at(&client, last, region(0, -87, 800, 687)).await;
    assert_eq!(client.place(first), region(7, -143, 800, 743));
}

#[tokio::test]
async fn with_its_own_part_a_browser_covers_the_screen_exactly() {
    let xvfb = large().await;
    let client = Client::new(&xvfb);
    fill(&xvfb, false, (1280, 720));
    let first = browser(&client, "browser", 87, region(0, 0, 1279, 719));
    is_at(&client, first, region(0, 0, 1280, 720)).await;
    resize(&xvfb.display(), 800, 600).await;
    is_at(&client, first, region(0, 0, 800, 600)).await;
    let late = browser(&client, "browser", 87, region(0, 0, 1280, 720));
    is_at(&client, late, region(0, 0, 800, 600)).await;
}
