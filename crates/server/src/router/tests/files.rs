//! Files: what is said beside the content, and names of any bytes.

use std::{ffi::OsStr, fs, io::Read as _, os::unix::ffi::OsStrExt as _};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use super::*;

/// The archive waits for whoever reads it, so that something vanishes after it has begun.
#[tokio::test]
async fn an_archive_tells_in_trailers_what_it_does_not_have() {
    for (route, strict) in [
        ("download_dir_zip", false),
        ("download_dir_zstd", false),
        ("download_dir_zip", true),
    ] {
        let dir = tempfile::tempdir().unwrap();
        // More than is made before anybody reads, and nothing that becomes small.
        let mut noise = vec![0; 16 << 20];
        let mut random = fs::File::open("/dev/urandom").unwrap();
        random.read_exact(&mut noise).unwrap();
        fs::write(dir.path().join("1"), noise).unwrap();
        fs::write(dir.path().join("2,é"), "").unwrap();
        let path = format!("/fs/{route}?path={}&strict={strict}", dir.path().display());
        let mut request = Request::get(path).body(Body::empty()).unwrap();
        request
            .headers_mut()
            .insert("host", "127.0.0.1".parse().unwrap());
        request.extensions_mut().insert(Peer {
            listener: "test",
            address: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 40_000),
            own_machine: true,
        });
        let router = router::api(&app(Rules::default()));
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(response.headers().contains_key("trailer"));
        let mut body = response.into_body();
        // From here on the directory has been listed.
        body.frame().await.unwrap().unwrap();
        fs::remove_file(dir.path().join("2,é")).unwrap();
        let collected = body.collect().await;
        if strict {
            assert!(collected.is_err(), "it is broken off");
            continue;
        }
        let collected = collected.unwrap();
        let trailers = collected.trailers().unwrap();
        assert_eq!(trailers["x-archive-omitted"], "1");
        assert_eq!(trailers["x-archive-omitted-names"], "2%2C%C3%A9");
    }
}

async fn call(method: &str, path: &str, content_type: &str, body: impl Into<Body>) -> Answer {
    let request = Request::builder().method(method).uri(path);
    let request = request.header("content-type", content_type);
    send_with(router::api(&app(Rules::default())), request, body.into()).await
}

async fn put(path: &str, body: Value) -> u16 {
    let answer = call("PUT", path, "application/json", body.to_string()).await;
    answer.status.as_u16()
}

/// Whatever is listed can be asked for by what the list says.
#[tokio::test]
async fn names_that_are_not_utf8_are_told_and_taken() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_str().unwrap();
    let named = |name: &'static [u8]| dir.path().join(OsStr::from_bytes(name));
    fs::create_dir(named(b"caf\xe9")).unwrap();
    fs::write(named(b"caf\xe9/\xff\xee\xbe\x80"), "content").unwrap();
    let list = get(&format!("/fs/list_files?path={root}&recursive=true")).await;
    let list = list.json();
    let listed = list[1]["path"].as_str().unwrap();
    assert_eq!(list[0]["name"], "caf\u{efe9}");
    assert_eq!(list[1]["name"], "\u{efff}\u{efee}\u{efbe}\u{ef80}");
    let encoded = utf8_percent_encode(listed, NON_ALPHANUMERIC);
    let read = get(&format!("/fs/read_file?path={encoded}")).await;
    assert_eq!(read.body, b"content");
    let to = format!("{root}/caf\u{efe9}/moved \u{efc0}");
    let transfer = json!({"src_path": listed, "dest_path": to});
    assert_eq!(put("/fs/move", transfer).await, 200);
    let moved = named(b"caf\xe9/moved \xc0");
    assert_eq!(fs::read(&moved).unwrap(), b"content");
    let raw = get(&format!("/fs/read_file?path={root}/caf%E9/moved+%C0")).await;
    assert_eq!(raw.body, b"content");
    assert_eq!(put("/fs/delete_file", json!({"path": to})).await, 200);
    assert!(!moved.exists());

    let mut form =
        format!("--b\r\nContent-Disposition: form-data; name=\"dest_path\"\r\n\r\n{root}/")
            .into_bytes();
    form.extend(
        b"form\xe9\r\n--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nx\r\n--b--\r\n",
    );
    let kind = "multipart/form-data; boundary=b";
    assert_eq!(call("POST", "/fs/upload", kind, form).await.status, 201);
    assert_eq!(fs::read(named(b"form\xe9")).unwrap(), b"x");
    let gone = json!({"path": format!("{root}/caf\u{efe9}")});
    assert_eq!(put("/fs/delete_directory", gone).await, 200);
    let watched = json!({"path": format!("{root}/form\u{efe9}")});
    let watch = call("POST", "/fs/watch", "application/json", watched.to_string()).await;
    assert_eq!(watch.status, 201);
}

/// A file's name is opaque, and a name has a bound: thousands may be kept.
#[tokio::test]
async fn the_name_of_a_part_is_its_own_parameter() {
    let dir = tempfile::tempdir().unwrap();
    let dest = dir.path().join("uploaded");
    let upload = async |disposition: &str| {
        let form = format!(
            "--b\r\nContent-Disposition: form-data; {disposition}\r\n\r\nx\r\n\
             --b\r\nContent-Disposition: form-data; name=\"dest_path\"\r\n\r\n{}\r\n--b--\r\n",
            dest.display()
        );
        call(
            "POST",
            "/fs/upload",
            "multipart/form-data; boundary=b",
            form,
        )
        .await
    };
    for decoy in ["a; name=dest_path.txt", r#"x;name=\"zip_file\""#] {
        let answer = upload(&format!("filename=\"{decoy}\"; name=\"file\"")).await;
        assert_eq!(answer.status, 201, "{decoy}: {:?}", answer.body);
        assert_eq!(fs::read(&dest).unwrap(), b"x");
        fs::remove_file(&dest).unwrap();
    }
    let long = "n".repeat(1025);
    assert_eq!(upload(&format!("name=\"{long}\"")).await.status, 413);
    assert!(!dest.exists());
}
