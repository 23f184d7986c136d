//! Watches as event streams.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::Duration,
};

use anyhow::Context as _;
use browserd_e2e::{Call, settings, sse::Events};
use http::Method;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{Machine, Outcome, json as json_call};
use crate::shared::Suite;

const PATIENCE: Duration = Duration::from_secs(30);

async fn watch(machine: &Machine, path: &str) -> anyhow::Result<String> {
    let body = json!({"path": path, "recursive": true});
    let call = json_call(Method::POST, "/fs/watch", &body);
    let watch: Value = machine.send(call).await?.expect(201)?.json()?;
    Ok(watch["watch_id"].as_str().context("no id")?.to_owned())
}

async fn open(machine: &Machine, id: &str, after: Option<&str>) -> anyhow::Result<Events> {
    let path = format!("/fs/watch/{id}/events");
    Events::open(machine.daemon.at.api.address(), &path, after).await
}

async fn next(events: &mut Events) -> anyhow::Result<Option<(String, Value)>> {
    let event = timeout(settings::patience(PATIENCE), events.next())
        .await
        .context("no event in time")??;
    event
        .map(|event| Ok((event.id.clone(), event.json()?)))
        .transpose()
}

pub(crate) async fn a_burst_is_told_whole(_: Suite) -> Outcome {
    const FILES: usize = 2_000;
    let machine = Machine::start().await?;
    let id = watch(&machine, &machine.path("")).await?;
    let mut events = open(&machine, &id, None).await?;
    let mut left = BTreeSet::new();
    for n in 0..FILES {
        let folder = machine.path(&format!("{}/{}", n % 7, n % 13));
        fs::create_dir_all(&folder)?;
        let path = format!("{folder}/{n}");
        fs::write(&path, "x")?;
        left.insert(path);
    }
    let mut seen = BTreeMap::new();
    while !left.is_empty() {
        let (_, event) = next(&mut events).await?.context("the stream ended")?;
        if event["type"] == "CREATE" {
            let path = event["path"].as_str().context("no path")?.to_owned();
            left.remove(&path);
            *seen.entry(path).or_insert(0) += 1;
        }
        assert_ne!(event["event"], "error", "{event}");
    }
    let twice: Vec<_> = seen.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    Ok(())
}

pub(crate) async fn a_watch_is_resumed_and_ended(_: Suite) -> Outcome {
    let machine = Machine::start().await?;
    let folder = machine.path("watched");
    fs::create_dir(&folder)?;
    let id = watch(&machine, &folder).await?;
    for name in ["a", "b", "c"] {
        fs::create_dir(format!("{folder}/{name}"))?;
    }
    fs::rename(format!("{folder}/c"), format!("{folder}/d"))?;
    let mut events = open(&machine, &id, None).await?;
    let mut told = Vec::new();
    for _ in 0..4 {
        told.push(next(&mut events).await?.context("the stream ended")?);
    }
    let (_, renamed) = &told[3];
    assert_eq!(renamed["type"], "RENAME", "{renamed}");
    assert_eq!(renamed["path"], format!("{folder}/c"));
    assert_eq!(renamed["dest_path"], format!("{folder}/d"));
    assert_eq!(renamed["is_dir"], true);
    // Another reader goes on behind the second event, at the same time.
    let mut resumed = open(&machine, &id, Some(&told[1].0)).await?;
    assert_eq!(next(&mut resumed).await?.as_ref(), Some(&told[2]));
    let wrong = Call::get(format!("/fs/watch/{id}/events?last_event_id=first"));
    machine.send(wrong).await?.expect(400)?;
    let end = Call::new(Method::DELETE, format!("/fs/watch/{id}"));
    machine.send(end.clone()).await?.expect(204)?;
    assert_eq!(next(&mut events).await?, None);
    machine.send(end).await?.expect(404)?;
    let gone = Call::get(format!("/fs/watch/{id}/events"));
    machine.send(gone).await?.expect(404)?;
    Ok(())
}
