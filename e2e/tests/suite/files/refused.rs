//! What cannot be: each is refused with its status, and named.

use std::fs;

use browserd_e2e::Call;
use http::Method;
use serde_json::{Value, json};

use super::{Machine, Outcome, json as json_call};
use crate::shared::Suite;

pub(crate) async fn bad_paths_and_modes_are_named(_: Suite) -> Outcome {
    let machine = Machine::start().await?;
    fs::create_dir(machine.path("dir"))?;
    fs::write(machine.path("file"), "x")?;
    std::os::unix::fs::symlink("loop", machine.path("loop"))?;
    paths(&machine).await?;
    kinds(&machine).await?;
    modes_and_owners(&machine).await?;
    assert_eq!(fs::read(machine.path("file"))?, b"x");
    Ok(())
}

/// Paths that cannot be, at every route that takes one.
async fn paths(machine: &Machine) -> Outcome {
    let file = machine.path("file");
    let long = format!("/{}", "n".repeat(5_000));
    let everywhere = [
        ("relative/path", "is not absolute"),
        ("/a/../b", "has a component \"..\""),
        ("", "is empty"),
        ("/a%00b", "has a NUL byte"),
        (&*long, "longer than"),
    ];
    for (path, named) in everywhere {
        for route in [
            "read_file",
            "list_files",
            "file_info",
            "download_dir_zip",
            "download_dir_zstd",
        ] {
            let call = Call::get(format!("/fs/{route}?path={path}"));
            is_refused(machine, call, 400, &["path: ", named]).await?;
        }
        let call = Call::new(Method::PUT, format!("/fs/write_file?path={path}"));
        is_refused(machine, call, 400, &["path: ", named]).await?;
        let path = path.replace("%00", "\0");
        for route in ["create_directory", "delete_file", "delete_directory"] {
            let call = json_call(Method::PUT, &format!("/fs/{route}"), &json!({"path": path}));
            is_refused(machine, call, 400, &["path: ", named]).await?;
        }
        let body = json!({"path": path, "mode": "644"});
        let call = json_call(Method::PUT, "/fs/set_file_permissions", &body);
        is_refused(machine, call, 400, &["path: ", named]).await?;
        let call = json_call(Method::POST, "/fs/watch", &json!({"path": path}));
        is_refused(machine, call, 400, &["path: ", named]).await?;
        for route in ["move", "copy"] {
            for (field, body) in [
                ("src_path: ", json!({"src_path": path, "dest_path": file})),
                ("dest_path: ", json!({"src_path": file, "dest_path": path})),
            ] {
                let call = json_call(Method::PUT, &format!("/fs/{route}"), &body);
                is_refused(machine, call, 400, &[field, named]).await?;
            }
        }
        destinations(machine, &path, named).await?;
    }
    Ok(())
}

/// The same as the place of what is uploaded.
async fn destinations(machine: &Machine, path: &str, named: &str) -> Outcome {
    for (route, parts, field) in [
        (
            "upload",
            [("file", "x"), ("dest_path", path)],
            "dest_path: ",
        ),
        (
            "upload",
            [("files[0][dest_path]", path), ("files[0][file]", "x")],
            "files[0][dest_path]: ",
        ),
        (
            "upload_zip",
            [("zip_file", "x"), ("dest_path", path)],
            "dest_path: ",
        ),
        (
            "upload_zstd",
            [("dest_path", path), ("archive", "x")],
            "dest_path: ",
        ),
    ] {
        is_refused(machine, form(route, &parts), 400, &[field, named]).await?;
    }
    Ok(())
}

/// Directories where files are meant, the reverse, and what is not there.
async fn kinds(machine: &Machine) -> Outcome {
    let (dir, file) = (machine.path("dir"), machine.path("file"));
    let (looped, none) = (machine.path("loop"), machine.path("none"));
    let inside = format!("{file}/inside");
    let get = |route: &str, path: &str| Call::get(format!("/fs/{route}?path={path}"));
    let put = |route: &str, path: &str| {
        json_call(Method::PUT, &format!("/fs/{route}"), &json!({"path": path}))
    };
    let write = |path: &str| Call::new(Method::PUT, format!("/fs/write_file?path={path}"));
    for (call, status, named) in [
        (get("read_file", &dir), 400, "directory"),
        (get("read_file", &inside), 400, "not a directory"),
        (get("read_file", &looped), 400, "symbolic links"),
        (get("read_file", &none), 404, "no such file"),
        (write(&dir), 400, "directory"),
        (
            form("upload", &[("dest_path", &dir), ("file", "x")]),
            400,
            "directory",
        ),
        (
            form("upload", &[("dest_path", &inside), ("file", "x")]),
            400,
            "not a directory",
        ),
        (
            form("upload_zip", &[("dest_path", &file), ("zip_file", "x")]),
            400,
            "",
        ),
        (write(&inside), 400, "not a directory"),
        (write(&looped), 400, "symbolic links"),
        (get("list_files", &file), 400, "not a directory"),
        (get("list_files", &none), 404, "no such file"),
        (get("download_dir_zip", &file), 400, "not a directory"),
        (get("download_dir_zstd", &none), 404, "no such file"),
        (get("file_info", &none), 404, "no such file"),
        (put("delete_file", &dir), 400, "directory"),
        (put("delete_file", &none), 404, "no such file"),
        (put("delete_directory", &file), 400, "not a directory"),
        (put("delete_directory", &none), 404, "no such file"),
        (put("create_directory", &file), 409, "exists"),
        (put("create_directory", &inside), 400, "not a directory"),
    ] {
        is_refused(machine, call, status, &[named]).await?;
    }
    Ok(())
}

async fn modes_and_owners(machine: &Machine) -> Outcome {
    let (file, none) = (machine.path("file"), machine.path("none"));
    for mode in ["999", "rwx", "", "10000"] {
        for (route, body) in [
            ("set_file_permissions", json!({"path": file, "mode": mode})),
            ("create_directory", json!({"path": none, "mode": mode})),
        ] {
            let call = json_call(Method::PUT, &format!("/fs/{route}"), &body);
            is_refused(machine, call, 400, &["mode: "]).await?;
        }
        let call = machine.write("file", &format!("&mode={mode}"), "y");
        is_refused(machine, call, 400, &["mode: "]).await?;
    }
    let body = json!({"path": file, "mode": "644", "owner": "nobody-of-that-name"});
    let call = json_call(Method::PUT, "/fs/set_file_permissions", &body);
    is_refused(machine, call, 400, &["no user", "nobody-of-that-name"]).await
}

pub(crate) async fn bad_requests_are_named(_: Suite) -> Outcome {
    let machine = Machine::start().await?;
    fs::write(machine.path("file"), "x")?;
    forms(&machine).await?;
    content_types(&machine).await?;
    parameters(&machine).await?;
    assert_eq!(fs::read(machine.path("file"))?, b"x");
    assert!(!fs::exists(machine.path("dest"))?);
    Ok(())
}

fn form(route: &str, parts: &[(&str, &str)]) -> Call {
    let parts: String = parts
        .iter()
        .map(|(name, content)| {
            let disposition = format!("Content-Disposition: form-data; name=\"{name}\"");
            ["--b", &disposition, "", content, ""].join("\r\n")
        })
        .collect();
    let kind = "multipart/form-data; boundary=b";
    Call::new(Method::POST, format!("/fs/{route}")).body(kind, format!("{parts}--b--\r\n"))
}

/// Forms with unknown, missing, doubled and wrong parts.
async fn forms(machine: &Machine) -> Outcome {
    let dest = machine.path("dest");
    for (call, status, named) in [
        (form("upload", &[("other", "x")]), 400, "other: unknown"),
        (form("upload", &[]), 400, "missing"),
        (form("upload", &[("file", "x")]), 400, "dest_path: "),
        (form("upload", &[("dest_path", &dest)]), 400, "file: "),
        (
            form("upload", &[("files[3][dest_path]", &dest)]),
            400,
            "files[3][file]: ",
        ),
        (
            form("upload", &[("dest_path", &dest), ("dest_path", &dest)]),
            400,
            "dest_path: it is in the form twice",
        ),
        (
            form("upload", &[("dest_path", "relative"), ("file", "x")]),
            400,
            "dest_path: ",
        ),
        (
            form("upload_zip", &[("archive", "x")]),
            400,
            "archive: unknown field",
        ),
        (
            form("upload_zip", &[("dest_path", &dest)]),
            400,
            "zip_file: ",
        ),
        (form("upload_zstd", &[("archive", "x")]), 400, "dest_path: "),
        (
            form("upload_zstd", &[("strip_components", "-1")]),
            400,
            "strip_components: ",
        ),
    ] {
        is_refused(machine, call, status, &[named]).await?;
    }
    Ok(())
}

async fn content_types(machine: &Machine) -> Outcome {
    for route in ["upload", "upload_zip", "upload_zstd"] {
        let path = format!("/fs/{route}");
        let call = json_call(Method::POST, &path, &json!({"file": 1}));
        is_refused(machine, call, 415, &["Content-Type", "multipart/form-data"]).await?;
        let bare = Call::new(Method::POST, &*path).body("multipart/form-data", "x");
        is_refused(machine, bare, 400, &["boundary"]).await?;
        let cut = Call::new(Method::POST, &*path).body(
            "multipart/form-data; boundary=b",
            "--b\r\nContent-Disposition: form-data; name=\"dest_path\"\r\n\r\n/cut",
        );
        is_refused(machine, cut, 400, &["dest_path: ", "ended before"]).await?;
    }
    let plain = Call::new(Method::PUT, "/fs/delete_file").body("text/plain", "{}");
    is_refused(machine, plain, 415, &["application/json"]).await?;
    Ok(())
}

/// Parameters and fields that are missing, unknown or cannot be.
async fn parameters(machine: &Machine) -> Outcome {
    for (call, named) in [
        (Call::get("/fs/read_file"), "path"),
        (Call::get("/fs/list_files?path=/&limit=0"), "limit: "),
        (Call::get("/fs/list_files?path=/&limit=many"), "limit: "),
        (Call::get("/fs/list_files?path=/&cursor=zz"), "cursor"),
        (
            Call::get("/fs/download_dir_zstd?path=/&compression_level=most"),
            "compression_level: ",
        ),
        (
            json_call(Method::PUT, "/fs/move", &json!({"src_path": "/a"})),
            "dest_path",
        ),
        (
            json_call(Method::POST, "/fs/watch", &json!({"path": "/", "x": 1})),
            "x: unknown field",
        ),
        (
            machine.write("file", "&append=true&offset=1", "y"),
            "offset",
        ),
        (machine.write("file", "&offset=-1", "y"), "offset: "),
    ] {
        is_refused(machine, call, 400, &[named]).await?;
    }
    let past = machine.read("file").header("range", "bytes=1-");
    is_refused(machine, past, 416, &["Range: "]).await?;
    Ok(())
}

async fn is_refused(machine: &Machine, call: Call, status: u16, named: &[&str]) -> Outcome {
    let shown = format!("{call:?}");
    let shown: String = shown.chars().take(300).collect();
    let answer = machine.send(call).await?;
    assert_eq!(answer.status.as_u16(), status, "{shown}: {}", answer.text());
    let error: Value = answer.json()?;
    let message = error["message"].as_str().unwrap_or_default();
    for part in named {
        assert!(message.contains(part), "{shown}: {message}");
    }
    Ok(())
}
