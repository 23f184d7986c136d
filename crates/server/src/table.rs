//! The table of all routes: what each needs of its caller, whether a client may run it again by
//! itself, and what its body is.
//!
//! The answers' `x-should-retry` and the document's `x-scope` are taken from it, and so is the
//! table in docs/security.md, which a test compares. A documented route without a row fails a
//! test.

use self::{
    Body::{Binary, Form, Json, Nothing},
    Port::{Api, DevTools, Metrics},
    Retry::{Again, Once},
    Scope::{Admin, Any, Cdp, Computer, Fs, FsRead, Logs, Open, Process},
};

/// The listener that a route is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    Api,
    DevTools,
    Metrics,
}

/// What a caller must be allowed to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Nothing: the route is for everybody who gets past the rules about callers.
    Open,
    /// Anything at all.
    Any,
    Process,
    FsRead,
    Fs,
    Logs,
    Computer,
    Cdp,
    Admin,
}

/// Whether a client may run a call again by itself when it cannot tell if it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retry {
    /// Twice is as good as once.
    Again,
    /// Twice would do it twice.
    Once,
}

/// The body of a request, and what bounds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    /// None is read.
    Nothing,
    /// A document, up to `MAX_JSON_BYTES`.
    Json,
    /// The content of a file, streamed: the room on the disk is its bound.
    Binary,
    /// A form with files, streamed.
    Form,
}

/// One route.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) port: Port,
    /// The method, or `*` for those that the route itself sorts out.
    pub(crate) method: &'static str,
    /// The path as the router has it.
    pub(crate) path: &'static str,
    pub(crate) scope: Scope,
    pub(crate) retry: Retry,
    pub(crate) body: Body,
}

/// All routes.
#[rustfmt::skip] // A row a line.
pub(crate) const TABLE: &[Row] = &[
    row(Api, "POST", "/process/exec", Process, Once, Json),
    row(Api, "POST", "/process/spawn", Process, Once, Json),
    row(Api, "GET", "/process", Process, Again, Nothing),
    row(Api, "GET", "/process/{process_id}/status", Process, Again, Nothing),
    row(Api, "GET", "/process/{process_id}/stdout/stream", Process, Again, Nothing),
    row(Api, "POST", "/process/{process_id}/stdin", Process, Once, Json),
    row(Api, "POST", "/process/{process_id}/kill", Process, Again, Json),
    row(Api, "POST", "/process/{process_id}/resize", Process, Again, Json),
    row(Api, "GET", "/process/{process_id}/attach", Process, Again, Nothing),
    row(Api, "GET", "/fs/read_file", FsRead, Again, Nothing),
    // `append=true` marks its own answers: all else may be run again.
    row(Api, "PUT", "/fs/write_file", Fs, Again, Binary),
    row(Api, "POST", "/fs/upload", Fs, Again, Form),
    row(Api, "POST", "/fs/upload_zip", Fs, Again, Form),
    row(Api, "POST", "/fs/upload_zstd", Fs, Again, Form),
    row(Api, "GET", "/fs/download_dir_zip", FsRead, Again, Nothing),
    row(Api, "GET", "/fs/download_dir_zstd", FsRead, Again, Nothing),
    row(Api, "GET", "/fs/list_files", FsRead, Again, Nothing),
    row(Api, "GET", "/fs/file_info", FsRead, Again, Nothing),
    row(Api, "PUT", "/fs/create_directory", Fs, Again, Json),
    row(Api, "PUT", "/fs/delete_file", Fs, Again, Json),
    row(Api, "PUT", "/fs/delete_directory", Fs, Again, Json),
    row(Api, "PUT", "/fs/set_file_permissions", Fs, Again, Json),
    row(Api, "PUT", "/fs/move", Fs, Again, Json),
    row(Api, "PUT", "/fs/copy", Fs, Again, Json),
    row(Api, "POST", "/fs/watch", Fs, Again, Json),
    row(Api, "GET", "/fs/watch/{watch_id}/events", FsRead, Again, Nothing),
    row(Api, "DELETE", "/fs/watch/{watch_id}", Fs, Again, Nothing),
    row(Api, "GET", "/logs/stream", Logs, Again, Nothing),
    row(Api, "POST", "/computer/click_mouse", Computer, Once, Json),
    row(Api, "POST", "/computer/move_mouse", Computer, Once, Json),
    row(Api, "POST", "/computer/drag_mouse", Computer, Once, Json),
    row(Api, "POST", "/computer/scroll", Computer, Once, Json),
    row(Api, "POST", "/computer/type", Computer, Once, Json),
    row(Api, "POST", "/computer/press_key", Computer, Once, Json),
    row(Api, "POST", "/computer/screenshot", Computer, Again, Json),
    row(Api, "POST", "/computer/cursor", Computer, Again, Json),
    row(Api, "POST", "/computer/get_mouse_position", Computer, Again, Nothing),
    row(Api, "POST", "/computer/clipboard/read", Computer, Again, Nothing),
    row(Api, "POST", "/computer/clipboard/write", Computer, Again, Json),
    row(Api, "POST", "/computer/batch", Computer, Once, Json),
    row(Api, "GET", "/display", Computer, Again, Nothing),
    row(Api, "PATCH", "/display", Computer, Once, Json),
    row(Api, "GET", "/healthz", Open, Again, Nothing),
    row(Api, "GET", "/readyz", Open, Again, Nothing),
    row(Api, "GET", "/openapi.yaml", Any, Again, Nothing),
    row(Api, "GET", "/openapi.json", Any, Again, Nothing),
    row(DevTools, "*", "/json", Cdp, Again, Nothing),
    row(DevTools, "*", "/json/", Cdp, Again, Nothing),
    row(DevTools, "*", "/json/{*rest}", Cdp, Again, Nothing),
    row(Metrics, "GET", "/metrics", Admin, Again, Nothing),
];

const fn row(
    port: Port,
    method: &'static str,
    path: &'static str,
    scope: Scope,
    retry: Retry,
    body: Body,
) -> Row {
    Row {
        port,
        method,
        path,
        scope,
        retry,
        body,
    }
}

impl Scope {
    /// Its name in a token.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Open => "open",
            Any => "any",
            Process => "process",
            FsRead => "fs:read",
            Fs => "fs",
            Logs => "logs",
            Computer => "computer",
            Cdp => "cdp",
            Admin => "admin",
        }
    }
}

/// The rows of one listener.
pub(crate) fn of(port: Port) -> impl Iterator<Item = &'static Row> {
    TABLE.iter().filter(move |row| row.port == port)
}

/// The row of a route of the API port.
pub(crate) fn find(method: &str, path: &str) -> Option<&'static Row> {
    of(Api).find(|row| row.path == path && row.method == method)
}

/// The methods of a path, as the router has it, on whichever port. HEAD goes with GET.
pub(crate) fn methods(path: &str) -> Vec<&'static str> {
    let rows = TABLE.iter().filter(|row| row.path == path);
    rows.flat_map(|row| match row.method {
        "GET" => &["GET", "HEAD"][..],
        _ => std::slice::from_ref(&row.method),
    })
    .copied()
    .collect()
}

#[cfg(test)]
mod tests;
