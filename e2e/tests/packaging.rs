//! What the folders of images/ say to other programs: the manifests for Kubernetes, the Kraftfile,
//! and the scripts around them. Nothing here needs a container engine, a cluster or an account.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use browserd_e2e::{clients, settings};
use serde::Deserialize as _;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    process::Command,
};

fn image_file(path: &str) -> PathBuf {
    settings::repository().join("images").join(path)
}

fn documents(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    serde_norway::Deserializer::from_str(&text)
        .map(|document| Value::deserialize(document).unwrap())
        .collect()
}

fn of_kind(kind: &str) -> Value {
    let mut all = documents(&image_file("kubernetes/browsers.yaml")).into_iter();
    all.find(|document| document["kind"] == kind).unwrap()
}

async fn check(path: &Path) -> anyhow::Result<Value> {
    clients::run("manifests.py", &[path.to_str().unwrap()]).await
}

#[tokio::test]
async fn manifests_fit_their_schemas() {
    let kinds = check(&image_file("kubernetes/browsers.yaml"))
        .await
        .unwrap();
    assert_eq!(kinds, json!(["Deployment", "Service", "NetworkPolicy"]));
    let kinds = check(&image_file("kubernetes/seccomp.yaml")).await.unwrap();
    assert_eq!(kinds, json!(["DaemonSet"]));
}

#[tokio::test]
async fn a_manifest_with_a_slip_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(image_file("kubernetes/browsers.yaml")).unwrap();
    for (right, wrong) in [("replicas: 3", "replicas: three"), ("subPath:", "subpath:")] {
        let path = folder.path().join("wrong.yaml");
        fs::write(&path, text.replace(right, wrong)).unwrap();
        let refused = check(&path).await.unwrap_err().to_string();
        assert!(refused.contains("Deployment"), "{refused}");
    }
}

#[test]
fn a_pod_gets_no_more_than_the_compose_file_gives() {
    let deployment = of_kind("Deployment");
    let pod = &deployment["spec"]["template"]["spec"];
    assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() >= 15);
    assert_eq!(pod["automountServiceAccountToken"], false);
    let container = &pod["containers"][0];
    let probe = |name: &str| container[name]["httpGet"].clone();
    assert_eq!(
        probe("livenessProbe"),
        json!({ "path": "/healthz", "port": "api" })
    );
    assert_eq!(
        probe("readinessProbe"),
        json!({ "path": "/readyz", "port": "api" })
    );
    let compose = &documents(&image_file("compose.yaml"))[0]["services"]["browser"];
    let security = &container["securityContext"];
    assert_eq!(security["capabilities"]["add"], compose["cap_add"]);
    assert_eq!(security["capabilities"]["drop"], compose["cap_drop"]);
    assert_eq!(security["privileged"], false);
    assert_eq!(security["readOnlyRootFilesystem"], true);
    let sorted = |mut folders: Vec<String>| {
        folders.sort();
        folders
    };
    let mounts = container["volumeMounts"].as_array().unwrap();
    let mounted = mounts
        .iter()
        .map(|mount| mount["mountPath"].as_str().unwrap().to_owned())
        .filter(|path| path != "/dev/shm")
        .collect();
    let written = ["tmpfs", "volumes"]
        .iter()
        .flat_map(|kind| compose[*kind].as_array().unwrap())
        .map(|line| {
            let line = line.as_str().unwrap().trim_start_matches("user-data:");
            line.split(':').next().unwrap().to_owned()
        })
        .collect();
    assert_eq!(sorted(mounted), sorted(written));
}

#[test]
fn only_the_gateway_comes_in() {
    let policy = of_kind("NetworkPolicy");
    let labels = &of_kind("Deployment")["spec"]["template"]["metadata"]["labels"];
    let selected = &policy["spec"]["podSelector"]["matchLabels"];
    for (name, value) in selected.as_object().unwrap() {
        assert_eq!(&labels[name], value);
    }
    assert!(
        policy["spec"]["policyTypes"]
            .as_array()
            .unwrap()
            .contains(&json!("Ingress"))
    );
    let from = &policy["spec"]["ingress"][0]["from"];
    let gateway = json!({ "app.kubernetes.io/name": "browser-gateway" });
    assert_eq!(
        *from,
        json!([{ "podSelector": { "matchLabels": gateway } }])
    );
}

#[test]
fn the_kraftfile_suspends_idle_machines_with_their_state() {
    let kraftfile = &documents(&image_file("unikernel/Kraftfile"))[0];
    assert_eq!(kraftfile["spec"], "v0.6");
    let label = |name: &str| {
        kraftfile["labels"][format!("cloud.unikraft.v1.instances/scale_to_zero.{name}")].clone()
    };
    assert_eq!(label("policy"), "idle");
    assert_eq!(label("stateful"), "true");
    assert!(label("cooldown_time_ms").as_u64().unwrap() >= 1000);
    // What the build script puts beside it, and what that has for a first process.
    assert_eq!(kraftfile["rootfs"], "./root.erofs");
    let script = fs::read_to_string(image_file("microvm/rootfs")).unwrap();
    assert!(script.contains(&format!(
        "place {} 755",
        kraftfile["cmd"][0].as_str().unwrap()
    )));
}

/// Runs a script of images/ with these variables and no others.
async fn script(path: &str, arguments: &[&str], variables: &[(&str, &str)]) -> (bool, String) {
    let output = Command::new(image_file(path))
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .envs(variables.iter().copied())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), text)
}

#[tokio::test]
async fn scripts_say_what_they_lack() {
    let token = ("UKC_TOKEN", "secret");
    let metro = ("UKC_METRO", "fra");
    for (path, arguments, variables, lacking) in [
        (
            "unikernel/run",
            &["image"][..],
            &[][..],
            "UKC_TOKEN is not set",
        ),
        (
            "unikernel/run",
            &["image"],
            &[token],
            "UKC_METRO is not set",
        ),
        (
            "unikernel/run",
            &["image"],
            &[token, metro],
            "ALLOWED_HOSTS is not set",
        ),
        (
            "unikernel/build",
            &[],
            &[("PUSH", "a/b")],
            "pushing takes UKC_TOKEN",
        ),
        (
            "microvm/run",
            &[],
            &[("OUT", "/nowhere")],
            "make microvm builds it",
        ),
    ] {
        let (succeeded, text) = script(path, arguments, variables).await;
        assert!(!succeeded);
        assert!(text.contains(lacking), "{path}: {text}");
        assert_eq!(text.lines().count(), 1, "{path}: {text}");
    }
}

/// A stand-in for the platform, which sees what would be asked of it.
#[tokio::test]
async fn an_instance_is_asked_for_as_the_platform_wants_it() {
    let platform = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", platform.local_addr().unwrap());
    let variables = [
        ("UKC_TOKEN", "secret"),
        ("UKC_METRO", "fra"),
        ("UKC_API", address.as_str()),
        ("ALLOWED_HOSTS", "a.example,b.example"),
        ("AUTH_TOKEN", "hidden"),
    ];
    let answer = async {
        let (mut stream, _) = platform.accept().await.unwrap();
        let mut request = Vec::new();
        while !is_whole(&request) {
            assert!(stream.read_buf(&mut request).await.unwrap() > 0);
        }
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(request).unwrap()
    };
    let arguments = ["account/browserd:latest", "WIDTH=1280"];
    let ((succeeded, text), request) =
        tokio::join!(script("unikernel/run", &arguments, &variables), answer);
    assert!(succeeded, "{text}");
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(
        head.starts_with("POST /v1/instances HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(head.contains("Authorization: Bearer secret"), "{head}");
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["image"], "account/browserd:latest");
    let env = json!({
        "ALLOWED_HOSTS": "a.example,b.example",
        "AUTH_TOKEN": "hidden",
        "WIDTH": "1280",
    });
    assert_eq!(body["env"], env);
    let asleep = json!({ "policy": "idle", "stateful": true, "cooldown_time_ms": 5000 });
    assert_eq!(body["scale_to_zero"], asleep);
}

/// Whether a request has come to its end.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    let length = lines.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    length.is_some_and(|(_, length)| length.parse() == Ok(body.len()))
}
