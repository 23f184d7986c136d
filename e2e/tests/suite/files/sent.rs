//! Files that the kernel sends by itself, between answers that it does not.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use browserd_e2e::settings;
use rustix::fs::{Advice, fadvise};

use super::{Machine, Outcome};
use crate::shared::Suite;

/// One connection that is kept.
struct Connection {
    at: SocketAddr,
    stream: BufReader<TcpStream>,
}

impl Connection {
    fn open(at: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(at)?;
        stream.set_read_timeout(Some(settings::patience(Duration::from_secs(20))))?;
        Ok(Self {
            at,
            stream: BufReader::new(stream),
        })
    }

    fn ask(&mut self, method: &str, path: &str, range: &str) -> anyhow::Result<()> {
        let at = self.at;
        let request = format!("{method} {path} HTTP/1.1\r\nHost: {at}\r\n{range}\r\n");
        Ok(self.stream.get_mut().write_all(request.as_bytes())?)
    }

    /// Reads a head; returns its length in bytes of content.
    fn head(&mut self) -> anyhow::Result<usize> {
        let mut length = None;
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line)?;
            if line == "\r\n" {
                return length.context("no content-length");
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = Some(value.trim().parse()?);
            }
        }
    }

    fn body(&mut self) -> anyhow::Result<Vec<u8>> {
        let mut body = vec![0; self.head()?];
        self.stream.read_exact(&mut body)?;
        Ok(body)
    }
}

/// Bytes of which no two parts are alike.
fn content(length: usize) -> Vec<u8> {
    let mut random = 12_345_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        bytes.extend_from_slice(&random.to_be_bytes()[..5]);
    }
    bytes.truncate(length);
    bytes
}

pub(crate) async fn files_follow_each_other_on_one_connection(_: Suite) -> Outcome {
    let machine = Machine::start().await?;
    let large = content((5 << 20) + 7);
    fs::write(machine.path("large"), &large)?;
    fs::write(machine.path("small"), &large[..1000])?;
    let evict = || -> anyhow::Result<()> {
        let file = File::open(machine.path("large"))?;
        file.sync_all()?;
        Ok(fadvise(&file, 0, None, Advice::DontNeed)?)
    };
    let path = |name| format!("/fs/read_file?path={}", machine.path(name));
    let mut connection = Connection::open(machine.daemon.at.api.address())?;
    let steps = [
        ("GET", path("large"), "", &large[..]),
        ("GET", path("small"), "", &large[..1000]),
        ("HEAD", path("large"), "", &[]),
        (
            "GET",
            path("large"),
            "Range: bytes=1048575-3145729\r\n",
            &large[1_048_575..3_145_730],
        ),
        (
            "GET",
            path("large"),
            "Range: bytes=-70001\r\n",
            &large[large.len() - 70_001..],
        ),
        ("GET", path("large"), "", &large[..]),
    ];
    for round in ["in memory", "on the disk"] {
        for (method, path, range, expected) in &steps {
            if round == "on the disk" {
                evict()?;
            }
            connection.ask(method, path, range)?;
            if *method == "HEAD" {
                assert_eq!(connection.head()?, large.len());
                continue;
            }
            let body = connection.body()?;
            assert!(body == *expected, "{round}: {method} {path} {range}");
        }
    }
    // All at once: the answers come in the order of the requests.
    for (method, path, range, _) in &steps {
        connection.ask(method, path, range)?;
    }
    for (method, path, range, expected) in &steps {
        if *method == "HEAD" {
            connection.head()?;
            continue;
        }
        let body = connection.body()?;
        assert!(body == *expected, "at once: {method} {path} {range}");
    }
    Ok(())
}

pub(crate) async fn a_file_cut_while_it_is_sent_ends_the_connection(_: Suite) -> Outcome {
    const LENGTH: u64 = 256 << 20;
    let machine = Machine::start().await?;
    let path = machine.path("sparse");
    let file = File::create(&path)?;
    file.set_len(LENGTH)?;
    let mut connection = Connection::open(machine.daemon.at.api.address())?;
    connection.ask("GET", &format!("/fs/read_file?path={path}"), "")?;
    assert_eq!(u64::try_from(connection.head()?)?, LENGTH);
    // More than any socket holds is still to come.
    file.set_len(1)?;
    let received = io::copy(&mut connection.stream, &mut io::sink());
    let broken = received.as_ref().map_or(true, |bytes| *bytes < LENGTH);
    ensure!(broken, "all of it arrived");
    let mut again = Connection::open(machine.daemon.at.api.address())?;
    again.ask("GET", "/healthz", "")?;
    again.body()?;
    Ok(())
}
