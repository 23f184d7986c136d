//! The client against something on the socket that is not, or no longer, a supervisord.

#![expect(clippy::unwrap_used, reason = "a failed helper fails the test")]

use std::time::{Duration, Instant};

use browserd_supervisor::{Client, Error};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
};

/// Asks one question of a server that does with its connection what the test says.
async fn ask<F: Future<Output = ()>>(serve: impl FnOnce(UnixStream) -> F) -> Error {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let serving = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut call = vec![0; 65536];
        let mut length = 0;
        while !call[..length].ends_with(b"</methodCall>") {
            length += stream.read(&mut call[length..]).await.unwrap();
        }
        serve(stream).await;
    };
    let client = Client::new(&socket);
    let (answer, ()) = tokio::join!(client.processes(), serving);
    answer.unwrap_err()
}

async fn answer(stream: &mut UnixStream, text: &str) {
    // The client may have hung up in the middle of it.
    stream.write_all(text.as_bytes()).await.ok();
}

fn http(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {length}\r\n\r\n{body}")
}

fn reply(value: &str) -> String {
    http(&format!(
        "<methodResponse><params><param>{value}</param></params></methodResponse>"
    ))
}

#[tokio::test]
async fn nobody_there() {
    let client = Client::new("/nonexistent/socket");
    let error = client.state().await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "cannot reach supervisord at /nonexistent/socket"
    );
}

#[tokio::test]
async fn it_hangs_up() {
    let error = ask(|stream| async move { drop(stream) }).await;
    assert!(matches!(error, Error::Broken(_)), "{error:?}");
    let error = ask(|mut stream| async move {
        let whole = reply("<value><array><data></data></array></value>");
        answer(&mut stream, &whole[..whole.len() - 10]).await;
    })
    .await;
    assert!(matches!(error, Error::Broken(_)), "{error:?}");
}

#[tokio::test]
async fn it_speaks_something_else() {
    let error = ask(|mut stream| async move { answer(&mut stream, "220 mail ready\r\n").await });
    let error = error.await;
    assert!(matches!(error, Error::Broken(_)), "{error:?}");
    let error = ask(|mut stream| async move {
        answer(&mut stream, "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n").await;
    });
    assert!(matches!(error.await, Error::Status(401)));
}

#[tokio::test]
async fn it_answers_with_other_types() {
    for value in [
        "<value><int>1</int></value>",
        "<value><array><data><value>x</value></data></array></value>",
        "<value><array><data><value><struct></struct></value></data></array></value>",
        "<value><array><data><value><struct><member><name>pid</name><value>x</value></member>\
         </struct></value></data></array></value>",
    ] {
        let error = ask(|mut stream| async move { answer(&mut stream, &reply(value)).await });
        assert!(matches!(error.await, Error::Malformed(_)), "{value}");
    }
}

#[tokio::test]
async fn it_floods() {
    // With a length that it announces, and without one, without an end.
    let error = ask(|mut stream| async move {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n";
        answer(&mut stream, head).await;
        let chunk = "<value>".repeat(10_000);
        while stream.write_all(chunk.as_bytes()).await.is_ok() {}
    });
    assert!(matches!(error.await, Error::TooLarge(_)));
    let error = ask(|mut stream| async move {
        answer(&mut stream, "HTTP/1.1 200 OK\r\n\r\n").await;
        let chunk = "<value>".repeat(10_000);
        while stream.write_all(chunk.as_bytes()).await.is_ok() {}
    });
    assert!(matches!(error.await, Error::TooLarge(_)));
    let error = ask(|mut stream| async move {
        answer(&mut stream, "HTTP/1.1 200 OK\r\n").await;
        while stream.write_all(b"X: y\r\n").await.is_ok() {}
    });
    assert!(matches!(error.await, Error::Broken(_)));
}

#[tokio::test]
async fn it_says_nothing() {
    let start = Instant::now();
    let error = ask(|mut stream| async move {
        // Until the client hangs up.
        stream.read_u8().await.ok();
    });
    assert!(matches!(error.await, Error::Silent(_)));
    assert!(start.elapsed() < Duration::from_secs(10));
}
