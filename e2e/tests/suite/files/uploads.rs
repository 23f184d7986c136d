//! Many files in one request.

use std::fs;

use browserd_e2e::Call;
use http::Method;

use super::{Machine, Outcome};
use crate::shared::Suite;

/// A form of these parts.
pub(super) fn form(path: &str, parts: &[(&str, &[u8])]) -> Call {
    let mut body = Vec::new();
    for (name, content) in parts {
        let head = format!(
            "--limit\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"f\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--limit--\r\n");
    Call::new(Method::POST, path).body("multipart/form-data; boundary=limit", body)
}

pub(crate) async fn every_spelling_of_an_upload(_: Suite) -> Outcome {
    let machine = Machine::start().await?;
    for (file, dest) in [
        ("file", "dest_path"),
        ("files[0][file]", "files[0][dest_path]"),
        ("files[7].file", "files[7].dest_path"),
        ("files.2.file", "files.2.dest_path"),
    ] {
        let path = machine.path(&format!("new/{file}"));
        let (content, to) = (file.as_bytes(), path.as_bytes());
        let in_order = form("/fs/upload", &[(dest, to), (file, content)]);
        machine.send(in_order).await?.expect(201)?;
        assert_eq!(fs::read(&path)?, content, "{file}");
        let reversed = form("/fs/upload", &[(file, b"again"), (dest, to)]);
        machine.send(reversed).await?.expect(201)?;
        assert_eq!(fs::read(&path)?, b"again", "{file}");
    }
    // Many at once, their parts apart.
    let paths: Vec<String> = (0..580)
        .map(|n| machine.path(&format!("many/{n}")))
        .collect();
    let fields: Vec<[String; 2]> = (0..580)
        .map(|n| {
            [
                format!("files[{n}][file]"),
                format!("files[{n}][dest_path]"),
            ]
        })
        .collect();
    let mut parts: Vec<(&str, &[u8])> = Vec::new();
    for [file, _] in &fields {
        parts.push((file, file.as_bytes()));
    }
    for ([_, dest], path) in fields.iter().zip(&paths) {
        parts.push((dest, path.as_bytes()));
    }
    machine
        .send(form("/fs/upload", &parts))
        .await?
        .expect(201)?;
    for ([file, _], path) in fields.iter().zip(&paths) {
        assert_eq!(fs::read(path)?, file.as_bytes());
    }
    assert_eq!(super::names(machine.path("many").as_ref())?.len(), 580);
    Ok(())
}

pub(crate) async fn contents_may_come_before_their_paths(_: Suite) -> Outcome {
    let machine = Machine::start().await?;
    let large: Vec<u8> = (0..=250).cycle().take(5 << 20).collect();
    let (one, two) = (machine.path("one"), machine.path("two"));
    let call = form(
        "/fs/upload",
        &[
            ("files[0][file]", &large),
            ("files[1][dest_path]", two.as_bytes()),
            ("files[1][file]", &large[1..]),
            ("files[0][dest_path]", one.as_bytes()),
        ],
    );
    machine.send(call).await?.expect(201)?;
    assert!(fs::read(&one)? == large);
    assert!(fs::read(&two)? == large[1..]);
    // A content without a path is refused, and nothing is left of it.
    let call = form("/fs/upload", &[("files[0][file]", &large)]);
    machine.send(call).await?.expect(400)?;
    assert_eq!(super::names(machine.folder.path())?.len(), 2);
    Ok(())
}
