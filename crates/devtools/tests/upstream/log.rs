//! Every way in which the log can tell where the browser is.

use std::fs;
use std::time::{Duration, Instant};

use crate::server::{Act, Server};
use crate::support::{Watched, append, free_port, line, scratch};

#[tokio::test]
async fn a_log_and_its_directory_absent_at_first() {
    let (dir, _) = scratch();
    let path = dir.path().join("log/supervisord/chromium");
    let watched = Watched::log(&path);
    watched.says("to appear").await;
    let error = watched.wait(Duration::from_millis(20)).await.unwrap_err();
    assert!(error.waiting_for.contains("chromium's log"), "{error}");

    let browser = Server::browser("one", &[]).await;
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    append(&path, "starting\n");
    watched.says("waiting for a DevTools address").await;
    append(&path, browser.line());
    let endpoint = watched.leads_to("one").await;
    assert_eq!(
        (endpoint.peer().port(), endpoint.generation()),
        (browser.port(), 1)
    );
}

#[tokio::test]
async fn the_last_address_of_a_log_counts_and_what_is_added_later() {
    let (_dir, path) = scratch();
    let (one, two) = (
        Server::browser("one", &[]).await,
        Server::browser("two", &[]).await,
    );
    append(&path, format!("{}x\n{}y\n", one.line(), two.line()));
    let watched = Watched::log(&path);
    assert_eq!(watched.up().await.browser_path(), "/devtools/browser/two");
    append(&path, one.line());
    assert_eq!(watched.leads_to("one").await.generation(), 2);
    assert_eq!(watched.generation(), 2);
}

#[tokio::test]
async fn an_address_that_was_rotated_away() {
    let (_dir, path) = scratch();
    let browser = Server::browser("one", &[]).await;
    append(&path.with_extension("2"), line(free_port()));
    append(
        &path.with_extension("1"),
        format!("{}more\n", browser.line()),
    );
    append(&path, "and more\n");
    Watched::log(&path).leads_to("one").await;
}

#[tokio::test]
async fn rotation_by_rename_and_by_copytruncate() {
    let (_dir, path) = scratch();
    let mut browser = Server::browser("b0", &[]).await;
    append(&path, browser.line());
    let watched = Watched::log(&path);
    watched.leads_to("b0").await;
    for round in 1..10 {
        drop(browser);
        watched.goes_down().await;
        if round % 2 == 0 {
            fs::rename(&path, path.with_extension("1")).unwrap();
        } else {
            fs::copy(&path, path.with_extension("1")).unwrap();
            fs::OpenOptions::new()
                .write(true)
                .open(&path)
                .unwrap()
                .set_len(0)
                .unwrap();
        }
        let id = format!("b{round}");
        browser = Server::browser(&id, &[]).await;
        append(&path, browser.line());
        watched.leads_to(&id).await;
    }
}

#[tokio::test]
async fn a_100_kib_line_before_and_around_the_address() {
    let (_dir, path) = scratch();
    let watched = Watched::log(&path);
    let (one, two) = (
        Server::browser("one", &[]).await,
        Server::browser("two", &[]).await,
    );
    let noise = "x".repeat(100 * 1024);
    append(&path, format!("{noise}\n{}", one.line()));
    watched.leads_to("one").await;
    append(
        &path,
        format!("{noise} {} {noise}\n", two.line().trim_end()),
    );
    watched.leads_to("two").await;
}

#[tokio::test]
async fn a_line_in_two_halves() {
    let (_dir, path) = scratch();
    let watched = Watched::log(&path);
    let browser = Server::browser("one", &[]).await;
    let text = browser.line();
    for half in text.as_bytes().chunks(text.len() / 2 - 5) {
        append(&path, half);
        // Read by itself: the follower's state changes, or the line is whole.
        watched
            .says(if half.ends_with(b"\n") {
                "one"
            } else {
                "waiting for a DevTools"
            })
            .await;
    }
}

#[tokio::test]
async fn two_addresses_within_a_second() {
    let (_dir, path) = scratch();
    let watched = Watched::log(&path);
    // The first is gone already, or hangs, or answers too.
    append(&path, line(free_port()));
    let two = Server::browser("two", &[]).await;
    append(&path, two.line());
    watched.leads_to("two").await;

    let hanging = Server::silent().await;
    append(&path, hanging.line());
    let three = Server::browser("three", &[]).await;
    watched.eventually(|| hanging.requests() > 0).await;
    append(&path, three.line());
    watched.leads_to("three").await;
    // A proof that is given up is tried again; the older address was not waited for that long.
    assert_eq!(hanging.requests(), 1, "the older address was waited for");

    let four = Server::browser("four", &[]).await;
    append(&path, format!("{}{}", two.line(), four.line()));
    watched.leads_to("four").await;
}

#[tokio::test]
async fn a_stale_address_whose_port_has_a_newer_browser() {
    let (_dir, path) = scratch();
    let port = free_port();
    append(&path, line(port));
    let watched = Watched::log(&path);
    watched
        .says("waiting for the browser: connect to 127.0.0.1")
        .await;
    let _browser = Server::browser_on(port, "newer", &[]).await;
    watched.leads_to("newer").await;
}

#[tokio::test]
async fn what_is_no_devtools_is_not_published() {
    let (_dir, path) = scratch();
    let other = Server::silent().await;
    let watched = Watched::log(&path);
    append(&path, other.line());
    let url = "\"webSocketDebuggerUrl\":";
    for body in [
        "",
        "hello",
        "[]",
        "{}",
        "null",
        &format!("{{{url} 1}}"),
        &format!("{{{url} \"\"}}"),
        &format!("{{{url} \"ws://127.0.0.1:1\"}}"),
        &format!("{{{url} \"ws://127.0.0.1:1/devtools/page/A\"}}"),
        &format!("{{{url} \"ws://127.0.0.1:1/devtools/browser/\"}}"),
        &format!("{{{url} \"ws://127.0.0.1:1/devtools/browser/a b\"}}"),
        &format!("{{{url} \"ws://127.0.0.1:1/devtools/browser/a\\r\\nb\"}}"),
    ] {
        other.on("/json/version", Act::reply("200 OK", body));
        let before = other.requests();
        watched.eventually(|| other.requests() > before + 1).await;
        assert_eq!(watched.current(), None, "{body}");
    }
    watched.says("does not answer as DevTools").await;
    other.on("/json/version", Act::reply("404 Not Found", "{}"));
    let before = other.requests();
    watched.eventually(|| other.requests() > before + 1).await;
    assert_eq!(watched.current(), None);
    other.is_browser("at-last");
    watched.leads_to("at-last").await;
}

#[tokio::test]
async fn a_page_that_writes_addresses_to_the_log_changes_nothing() {
    let (_dir, path) = scratch();
    let browser = Server::browser("one", &[]).await;
    append(&path, browser.line());
    let watched = Watched::log(&path);
    let endpoint = watched.leads_to("one").await;
    let trap = Server::silent().await;
    append(
        &path,
        "CONSOLE \"DevTools listening on ws://10.0.0.1:80/x\"\n",
    );
    append(
        &path,
        format!("CONSOLE \"{}\"\n", line(free_port()).trim_end()),
    );
    append(&path, trap.line());
    watched.eventually(|| trap.requests() > 0).await;
    assert_eq!(watched.current(), Some(endpoint));
    // And the browser's own end is noticed all the same, though the trap holds on to its request.
    drop(browser);
    watched.goes_down().await;
}

#[tokio::test]
async fn a_huge_log_is_searched_from_its_end() {
    let (_dir, path) = scratch();
    let browser = Server::browser("one", &[]).await;
    let noise = format!("{}\n", "n".repeat(199)).repeat(5000);
    append(&path, line(free_port()));
    for _ in 0..64 {
        append(&path, &noise);
    }
    append(&path, browser.line());
    append(&path, &noise);
    let watched = Watched::log(&path);
    watched.leads_to("one").await;
}

#[tokio::test]
async fn an_unreadable_log_says_why_and_is_read_once_it_can() {
    let (_dir, path) = scratch();
    fs::create_dir(&path).unwrap();
    let watched = Watched::log(&path);
    watched.says("cannot be read: not a regular file").await;
    let browser = Server::browser("one", &[]).await;
    fs::remove_dir(&path).unwrap();
    append(&path, browser.line());
    watched.leads_to("one").await;
}

#[tokio::test]
async fn from_the_line_to_a_new_client_nothing_waits_for_a_clock() {
    let (_dir, path) = scratch();
    let watched = Watched::log(&path);
    watched.says("to appear").await;
    append(&path, "");
    let mut times = Vec::new();
    for round in 0..20 {
        let id = format!("b{round}");
        let browser = Server::browser(&id, &[]).await;
        let start = Instant::now();
        append(&path, browser.line());
        watched.up().await;
        times.push(start.elapsed());
        drop(browser);
        watched.goes_down().await;
    }
    times.sort_unstable();
    println!("median {:?}, longest {:?}", times[10], times[19]);
    // The bench has the figure; this is a fifth of what any pause of the follower's would take.
    assert!(
        times[10] < Duration::from_millis(200),
        "median {:?}",
        times[10]
    );
}
