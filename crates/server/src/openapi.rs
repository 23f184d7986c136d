//! The OpenAPI document, made from the routes and the wire types.

use axum::body::Bytes;
use browserd_api::Error;
use utoipa::{IntoResponses, OpenApi, openapi::extensions::Extensions};

use crate::{router, table};

/// What the document says beside the routes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "browserd",
        description = "Makes a browser machine usable from outside.\n\n\
            Every error has the shape `Error`. Every response has an `X-Request-Id`; a client's \
            own well-formed one is kept. Requests made by web pages are refused unless their \
            origin is configured.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    tags(
        (name = "process", description = "Commands, spawned processes and their terminals"),
        (name = "files", description = "Files, archives, directories and watches"),
        (name = "logs", description = "Logs, followed line by line"),
        (name = "computer", description = "Mouse, keyboard, screen and clipboard"),
        (name = "display", description = "The size of the screen"),
        (name = "operations", description = "Health, readiness, documents")
    ),
    components(schemas(
        Error,
        browserd_api::process::AttachControl,
        browserd_api::process::AttachEvent
    ))
)]
pub(crate) struct Document;

/// How every call that needs the X display may fail.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only the document is made of it")]
pub(crate) enum DesktopFailures {
    /// There is no X display
    #[response(status = 501)]
    Absent(Error),
    /// The X server does not answer now
    #[response(status = 503)]
    Silent(Error),
    /// Any other failure
    #[response(status = "default")]
    Other(Error),
}

/// Says of each call which scope it needs.
pub(crate) fn add_scopes(document: &mut utoipa::openapi::OpenApi) {
    for (path, item) in &mut document.paths.paths {
        let operations = [
            ("GET", &mut item.get),
            ("PUT", &mut item.put),
            ("POST", &mut item.post),
            ("PATCH", &mut item.patch),
            ("DELETE", &mut item.delete),
        ];
        for (method, operation) in operations {
            let row = table::find(method, path);
            if let (Some(row), Some(operation)) = (row, operation) {
                let scope = Extensions::builder().add("x-scope", row.scope.name());
                operation.extensions = Some(scope.build());
            }
        }
    }
}

/// The document as YAML, as committed in openapi.yaml.
///
/// # Panics
///
/// Never: the document is plain data, and it is the same in every run.
#[must_use]
pub fn openapi_yaml() -> String {
    let (_, document) = router::documented().split_for_parts();
    Rendered::yaml(&document)
}

/// The document in both notations, made once.
#[derive(Debug, Clone)]
pub(crate) struct Rendered {
    pub(crate) yaml: Bytes,
    pub(crate) json: Bytes,
}

impl Rendered {
    pub(crate) fn new(document: &utoipa::openapi::OpenApi) -> Self {
        let json = document.to_json().expect("plain data has a JSON form");
        Self {
            yaml: Self::yaml(document).into(),
            json: json.into(),
        }
    }

    fn yaml(document: &utoipa::openapi::OpenApi) -> String {
        document.to_yaml().expect("plain data has a YAML form")
    }
}
