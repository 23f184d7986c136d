//! Files: what is said beside the content.

use std::{fs, io::Read as _};

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
