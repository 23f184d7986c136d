//! Why a session ended, as far as the port can tell.

use std::time::Duration;

use browserd_ws::Close;
use tokio::time::{sleep, timeout};

use crate::server::{Act, Server};
use crate::support::{PATIENCE, Watched};

async fn browser(targets: &[&str]) -> (Server, Watched) {
    let server = Server::browser("one", targets).await;
    let watched = Watched::fixed(&format!("http://127.0.0.1:{}", server.port()));
    watched.up().await;
    (server, watched)
}

#[tokio::test]
async fn a_closed_target_with_the_browser_alive() {
    let (server, watched) = browser(&["A"]).await;
    let endpoint = watched.up().await;
    let before = server.requests();
    assert_eq!(
        watched.verdict(&endpoint, Some("B")).await,
        Close::TARGET_CLOSED
    );
    // Who it is, and what it lists.
    let asked = server.requests() - before;
    assert!(
        asked <= 2,
        "asked {asked} times, though it was plain at once"
    );
}

#[tokio::test]
async fn a_lost_connection_with_all_alive() {
    let (_server, watched) = browser(&["A"]).await;
    let endpoint = watched.up().await;
    assert_eq!(
        watched.verdict(&endpoint, Some("A")).await,
        Close::UPSTREAM_LOST
    );
    assert_eq!(watched.verdict(&endpoint, None).await, Close::UPSTREAM_LOST);
    assert_eq!(watched.current(), Some(endpoint));
}

#[tokio::test]
async fn a_browser_that_is_gone_or_another() {
    let (server, watched) = browser(&["A"]).await;
    let endpoint = watched.up().await;
    server.is_browser("two");
    assert_eq!(
        watched.verdict(&endpoint, Some("A")).await,
        Close::BROWSER_RESTARTED
    );
    let two = watched.leads_to("two").await;
    drop(server);
    assert_eq!(watched.verdict(&two, None).await, Close::BROWSER_RESTARTED);
    assert_eq!(watched.current(), None);
}

#[tokio::test]
async fn a_browser_that_exits_in_order() {
    for target in [None, Some("A")] {
        // Its pages are closed already, and its port lives a moment longer.
        let (server, watched) = browser(&[]).await;
        let endpoint = watched.up().await;
        let dying = async {
            sleep(Duration::from_millis(200)).await;
            drop(server);
        };
        let (close, ()) = tokio::join!(watched.verdict(&endpoint, target), dying);
        assert_eq!(close, Close::BROWSER_RESTARTED, "{target:?}");
    }
}

#[tokio::test]
async fn a_target_that_is_still_listed_for_a_moment() {
    let (server, watched) = browser(&["A", "B"]).await;
    let endpoint = watched.up().await;
    let closing = async {
        sleep(Duration::from_millis(200)).await;
        server.lists(&["A"]);
    };
    let (close, ()) = tokio::join!(watched.verdict(&endpoint, Some("B")), closing);
    assert_eq!(close, Close::TARGET_CLOSED);
}

#[tokio::test]
async fn a_browser_that_does_not_answer_is_bounded() {
    let (server, watched) = browser(&["A"]).await;
    let endpoint = watched.up().await;
    server.on("/json/version", Act::Hang);
    server.on("/json/list?for_tab", Act::Hang);
    for target in [None, Some("A")] {
        let verdict = timeout(PATIENCE, watched.verdict(&endpoint, target)).await;
        assert_eq!(verdict.unwrap(), Close::UPSTREAM_LOST);
    }
}

#[tokio::test]
async fn a_given_upstream_is_there_or_not() {
    let server = Server::silent().await;
    let watched = Watched::fixed(&format!("ws://127.0.0.1:{}/echo", server.port()));
    let endpoint = watched.up().await;
    assert_eq!(watched.verdict(&endpoint, None).await, Close::UPSTREAM_LOST);
    drop(server);
    assert_eq!(
        watched.verdict(&endpoint, None).await,
        Close::BROWSER_RESTARTED
    );
}
