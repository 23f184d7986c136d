//! Why Chromium ended a session.

use std::time::Duration;

use http::{Method, StatusCode};
use serde::Deserialize;
use tokio::time::timeout;

use super::prove::{Failure, browser_path};
use super::state::Shared;
use crate::Endpoint;
use crate::client::{connect, fetch_within};
use browserd_ws::Close;

/// How long all of it may take.
const LIMIT: Duration = Duration::from_secs(2);
/// How long one question may take, so that a second one fits in.
const QUESTION: Duration = Duration::from_millis(900);
/// How long a browser that exits in order still answers after it has closed its sessions.
const GRACE: Duration = Duration::from_millis(500);

/// An entry of `/json/list`.
#[derive(Debug, Deserialize)]
struct Target {
    id: String,
    #[serde(rename = "type")]
    kind: String,
}

pub(super) async fn verdict(shared: &Shared, endpoint: &Endpoint, target: Option<&str>) -> Close {
    let judged = timeout(LIMIT, judge(shared, endpoint, target)).await;
    judged.unwrap_or(Close::UPSTREAM_LOST)
}

async fn judge(shared: &Shared, endpoint: &Endpoint, target: Option<&str>) -> Close {
    if !is_there(shared, endpoint).await {
        return Close::BROWSER_RESTARTED;
    }
    if let (Some(target), true) = (target, endpoint.is_proven()) {
        let targets = targets(endpoint).await;
        let is_listed = targets.iter().flatten().any(|listed| listed.id == target);
        // A browser that exits closes its pages first. With none left, that may be the case.
        let has_pages = targets.iter().flatten().any(|listed| listed.kind == "page");
        if targets.is_some() && !is_listed && has_pages {
            return Close::TARGET_CLOSED;
        }
    }
    if goes_away(shared, endpoint).await {
        return Close::BROWSER_RESTARTED;
    }
    if let (Some(target), true) = (target, endpoint.is_proven())
        && let Some(targets) = targets(endpoint).await
        && targets.iter().all(|listed| listed.id != target)
    {
        return Close::TARGET_CLOSED;
    }
    Close::UPSTREAM_LOST
}

/// Whether the port still answers as the same browser. One that does not answer in time is
/// there: it is stopped or busy.
async fn is_there(shared: &Shared, endpoint: &Endpoint) -> bool {
    let there = if endpoint.is_proven() {
        match browser_path(endpoint.peer(), QUESTION).await {
            Ok(path) => path == endpoint.browser_path(),
            Err(Failure::Client(error)) => !error.is_gone(),
            Err(Failure::NotDevTools(_)) => false,
        }
    } else {
        !matches!(
            timeout(QUESTION, connect(endpoint.peer())).await,
            Ok(Err(_))
        )
    };
    if !there {
        // Known here first: no new session shall be led there.
        shared.suspect(endpoint);
    }
    there
}

/// Whether the endpoint is withdrawn, or replaced, within the grace.
async fn goes_away(shared: &Shared, endpoint: &Endpoint) -> bool {
    let mut view = shared.subscribe();
    let gone = view.wait_for(|view| {
        view.current
            .as_ref()
            .is_none_or(|now| now.generation() != endpoint.generation())
    });
    timeout(GRACE, gone).await.is_ok()
}

/// What the browser lists, tabs included, which it lists only when asked to.
async fn targets(endpoint: &Endpoint) -> Option<Vec<Target>> {
    let path = "/json/list?for_tab";
    let reply = fetch_within(endpoint.peer(), Method::GET, path, QUESTION)
        .await
        .ok()?;
    let targets = serde_json::from_slice(&reply.body).ok()?;
    (reply.status == StatusCode::OK).then_some(targets)
}
