//! Multipart forms, part by part as they come.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use axum::{
    body::Body,
    extract::{FromRequest, Request},
};
use browserd_api::names;
use browserd_files::FsPath;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use http::{HeaderMap, header};
use multer::{Field, Multipart};

use super::{body::Upload, disposition::field_name, path_in};
use crate::error::{ApiError, Result};

/// A part that is no file has no more bytes than the longest path and some.
const MAX_TEXT_BYTES: usize = 8 * 1024;
/// The name of a part may be as long; thousands of them are kept at once.
const MAX_NAME_BYTES: usize = 1024;
/// So many bytes may come without being a part's content: the parser keeps them all while it
/// looks for the end of a part's head.
const MAX_HEAD_BYTES: usize = 4 * 1024 * 1024;

/// A form that is being received.
#[derive(Debug)]
pub(crate) struct Form {
    multipart: Multipart<'static>,
    source: Source,
}

/// A part of a form.
#[derive(Debug)]
pub(super) struct Part {
    name: String,
    field: Field<'static>,
    source: Source,
}

/// The body, which the parser reads and a refusal empties.
#[derive(Debug, Clone)]
struct Source {
    upload: Arc<Mutex<Upload>>,
    /// Bytes since something was made of them.
    unparsed_bytes: Arc<AtomicUsize>,
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self> {
        let boundary = boundary(request.headers());
        let (parts, body) = request.into_parts();
        let source = Source::new(body, &parts.headers);
        let boundary = match boundary {
            Ok(boundary) => boundary,
            Err(error) => {
                source.linger().await;
                return Err(error);
            }
        };
        Ok(Self {
            multipart: Multipart::new(source.clone(), boundary),
            source,
        })
    }
}

impl Form {
    /// The next part; `None` behind the last.
    pub(super) async fn next(&mut self) -> Result<Option<Part>> {
        let field = self.multipart.next_field().await;
        let Some(field) = field.map_err(|error| refused("the form", error))? else {
            return Ok(None);
        };
        self.source.unparsed_bytes.store(0, Ordering::Relaxed);
        let disposition = field.headers().get(header::CONTENT_DISPOSITION);
        let name = disposition.and_then(|value| field_name(value.as_bytes()));
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            return Err(ApiError::bad_request("the form has a part without a name"));
        };
        if name.len() > MAX_NAME_BYTES {
            let message = format!("the name of a part is longer than {MAX_NAME_BYTES} bytes");
            return Err(ApiError::payload_too_large(message));
        }
        Ok(Some(Part {
            name,
            field,
            source: self.source.clone(),
        }))
    }

    /// Throws the rest away, before a refusal is answered.
    pub(super) async fn refuse(self, error: ApiError) -> ApiError {
        drop(self.multipart);
        self.source.linger().await;
        error
    }
}

impl Part {
    /// Its name in the form.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The next bytes of its content; `None` behind the last.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>> {
        let chunk = self.field.chunk().await;
        self.source.unparsed_bytes.store(0, Ordering::Relaxed);
        chunk.map_err(|error| refused(&self.name, error))
    }

    /// Its whole content as text.
    pub(super) async fn text(mut self) -> Result<String> {
        let bytes = self.short().await?;
        String::from_utf8(bytes)
            .map_err(|_| ApiError::bad_request(format!("{}: not UTF-8 text", self.name)))
    }

    /// Its whole content as a path, which need not be UTF-8.
    pub(super) async fn path(mut self) -> Result<FsPath> {
        let bytes = self.short().await?;
        path_in(&self.name, &names::text_of_raw(&bytes))
    }

    async fn short(&mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if bytes.len() + chunk.len() > MAX_TEXT_BYTES {
                let message = format!("{}: longer than {MAX_TEXT_BYTES} bytes", self.name);
                return Err(ApiError::bad_request(message));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

/// A part that the form does not have.
pub(super) fn unknown(name: &str, known: &str) -> ApiError {
    ApiError::bad_request(format!("{name}: unknown field, expected {known}"))
}

/// A part that came twice.
pub(super) fn twice(name: &str) -> ApiError {
    ApiError::bad_request(format!("{name}: it is in the form twice"))
}

/// A part that did not come.
pub(super) fn missing(name: &str) -> ApiError {
    ApiError::bad_request(format!("{name}: the field is missing"))
}

impl Source {
    fn new(body: Body, headers: &HeaderMap) -> Self {
        Self {
            upload: Arc::new(Mutex::new(Upload::new(body, headers))),
            unparsed_bytes: Arc::default(),
        }
    }

    async fn linger(&self) {
        let mut upload = {
            let empty = Upload::new(Body::empty(), &HeaderMap::new());
            let mut upload = self.upload.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *upload, empty)
        };
        upload.linger().await;
    }
}

impl Stream for Source {
    type Item = std::result::Result<Bytes, axum::Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.unparsed_bytes.load(Ordering::Relaxed) > MAX_HEAD_BYTES {
            let error = axum::Error::new("the head of a part has no end");
            return Poll::Ready(Some(Err(error)));
        }
        let mut upload = self.upload.lock().unwrap_or_else(PoisonError::into_inner);
        let polled = upload.poll_next_unpin(cx);
        if let Poll::Ready(Some(Ok(chunk))) = &polled {
            self.unparsed_bytes
                .fetch_add(chunk.len(), Ordering::Relaxed);
        }
        polled
    }
}

fn boundary(headers: &HeaderMap) -> Result<String> {
    let wanted = || ApiError::unsupported_media_type("multipart/form-data");
    let content_type = headers.get(header::CONTENT_TYPE).ok_or_else(wanted)?;
    let content_type = content_type.to_str().map_err(|_| wanted())?;
    multer::parse_boundary(content_type).map_err(|error| match error {
        multer::Error::NoBoundary => {
            ApiError::bad_request("Content-Type: multipart/form-data has no boundary")
        }
        _ => wanted(),
    })
}

/// The form cannot be read, or its end did not come.
fn refused(place: &str, error: multer::Error) -> ApiError {
    use multer::Error::{
        IncompleteFieldData, IncompleteHeaders, IncompleteStream, StreamReadFailed,
    };
    let what = match &error {
        IncompleteFieldData { .. } | IncompleteHeaders | IncompleteStream | StreamReadFailed(_) => {
            "the form ended before all of it was sent"
        }
        _ => "not a form as RFC 7578 has it",
    };
    ApiError::bad_request(format!("{place}: {what}")).cause(error)
}
