//! Reading and writing the content of one file.

use std::{task::Poll, time::SystemTime};

use axum::{
    Extension,
    body::{Body, Bytes},
    extract::State,
    response::{IntoResponse as _, Response},
};
use browserd_api::{
    Code, Error,
    files::{PathParameters, WriteParameters},
};
use browserd_files::{Content, Placement, Reader, WriteOptions};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::{
    body::{Upload, broken_off},
    conditions::{Asked, Validators, Verdict, precondition},
    mode_in, path_in,
};
use crate::{
    app::App,
    error::{ApiError, Result},
    extract::Query,
    listener::Outbox,
    middleware::once::SHOULD_RETRY,
};

/// Says that the bytes were written over the file's own, and not beside it.
const WRITE_MODE: HeaderName = HeaderName::from_static("x-write-mode");
const NEVER_SNIFF: HeaderValue = HeaderValue::from_static("nosniff");
/// A file of the machine is nothing that a page may use, and no page itself.
const NEVER_SHARE: HeaderValue = HeaderValue::from_static("same-origin");
const NEVER_RUN: HeaderValue = HeaderValue::from_static("sandbox");

/// Read a file
///
/// Ranges (one at a time) and conditions work as in RFC 9110. Files of `/proc` and `/sys` that
/// say to be empty are read to their end. When reading fails half-way, the connection is
/// aborted.
#[utoipa::path(
    get,
    path = "/fs/read_file",
    tag = "files",
    params(PathParameters),
    responses(
        (status = 200, description = "The whole file", body = Vec<u8>,
            content_type = "application/octet-stream",
            headers(("ETag", description = "The entity tag of this content"),
                ("Last-Modified", description = "When the content last changed"))),
        (status = 206, description = "The range that was asked for", body = Vec<u8>,
            content_type = "application/octet-stream"),
        (status = 304, description = "The client has it already"),
        (status = 412, description = "The file is not as the client expects", body = Error),
        (status = 416, description = "The range is past the end of the file; `Content-Range` \
            has its size", body = Error),
        (status = "default", description = "No such file, or it cannot be read", body = Error)
    )
)]
pub(crate) async fn read_file(
    State(app): State<App>,
    Query(parameters): Query<PathParameters>,
    outbox: Option<Extension<Outbox>>,
    headers: HeaderMap,
) -> Result<Response> {
    let outbox = outbox.map(|Extension(outbox)| outbox);
    let path = path_in("path", &parameters.path)?;
    let reader = app.domains.files.read(&path).await?;
    let validators = Validators {
        etag: reader.etag(),
        modified: reader.modified(),
    };
    match validators.weigh(&headers) {
        Verdict::Proceed => {}
        Verdict::NotModified => return Ok(not_modified(&reader)),
        Verdict::Failed(name) => {
            let message = format!("{name}: {path} has another state");
            let status = StatusCode::PRECONDITION_FAILED;
            return Err(ApiError::new(status, Code::Conflict, message));
        }
    }
    let Some(size) = reader.size_bytes() else {
        return Ok(answer(reader, outbox, StatusCode::OK, None));
    };
    Ok(match validators.asked(&headers, size) {
        Asked::Whole => answer(reader, outbox, StatusCode::OK, Some((0, size))),
        Asked::Part(range) => {
            let (from, to) = (range.start, range.end);
            let mut response = answer(
                reader,
                outbox,
                StatusCode::PARTIAL_CONTENT,
                Some((from, to)),
            );
            let told = format!("bytes {from}-{}/{size}", to - 1);
            set(&mut response, header::CONTENT_RANGE, &told);
            response
        }
        Asked::Outside => {
            let told = format!("bytes */{size}");
            let told = HeaderValue::from_str(&told).expect("digits are visible characters");
            return Err(ApiError::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                Code::RangeNotSatisfiable,
                format!("Range: {path} has {size} bytes"),
            )
            .header(header::CONTENT_RANGE, told));
        }
    })
}

/// The file, or the part of it from one byte up to another.
fn answer(
    reader: Reader,
    outbox: Option<Outbox>,
    status: StatusCode,
    part: Option<(u64, u64)>,
) -> Response {
    let mut response = not_modified(&reader);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let octets = HeaderValue::from_static("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, octets);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NEVER_SNIFF);
    headers.insert(header::CONTENT_SECURITY_POLICY, NEVER_RUN);
    headers.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        NEVER_SHARE,
    );
    if let Some((from, to)) = part {
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(header::CONTENT_LENGTH, (to - from).into());
    }
    let content = reader.content(part.map(|(from, to)| from..to));
    let content = sent_from(content, outbox).inspect_err(|error| {
        tracing::warn!(%error, "a file broke off while it was sent");
    });
    *response.body_mut() = Body::from_stream(content);
    response
}

/// The content, as far as possible as pieces that the kernel sends.
fn sent_from(
    mut content: Content,
    outbox: Option<Outbox>,
) -> impl Stream<Item = browserd_files::Result<Bytes>> {
    stream::poll_fn(move |cx| {
        let piece = outbox
            .as_ref()
            .and_then(|outbox| Some((outbox, content.take_piece()?)));
        match piece {
            Some((outbox, piece)) => Poll::Ready(Some(Ok(outbox.accept(piece)))),
            None => content.poll_next_unpin(cx),
        }
    })
}

/// What is known of the file, without it.
fn not_modified(reader: &Reader) -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    set(&mut response, header::ETAG, reader.etag());
    // Header dates begin in 1970.
    let modified = reader.modified().max(SystemTime::UNIX_EPOCH);
    let modified = httpdate::fmt_http_date(modified);
    set(&mut response, header::LAST_MODIFIED, &modified);
    response
}

fn set(response: &mut Response, name: HeaderName, value: &str) {
    let value = HeaderValue::from_str(value).expect("tags, dates and digits are visible");
    response.headers_mut().insert(name, value);
}

/// Write a file
///
/// The body is the file's content. It takes the file's place at once when all of it is on the
/// disk; a client that breaks off leaves the old file. Parents that are missing are made.
/// With `append` or `offset` the bytes are written in place, as they are where the file cannot
/// be replaced (one that is mounted by itself): the answer then has `X-Write-Mode: in-place`.
#[utoipa::path(
    put,
    path = "/fs/write_file",
    tag = "files",
    params(
        WriteParameters,
        ("If-Match" = Option<String>, Header, description = "Write only if the file has one of \
            these entity tags, or, with `*`, if it exists"),
        ("If-None-Match" = Option<String>, Header, description = "With `*`: write only if the \
            file does not exist")
    ),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 201, description = "It is written", headers(
            ("X-Write-Mode", description = "`in-place` where the file itself was overwritten"))),
        (status = 412, description = "The file is not as the client expects", body = Error),
        (status = 507, description = "The disk is full; the old content is intact", body = Error),
        (status = "default", description = "It cannot be written", body = Error)
    )
)]
pub(crate) async fn write_file(
    State(app): State<App>,
    Query(parameters): Query<WriteParameters>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let mut body = Upload::new(body, &headers);
    let written = write(&app, &parameters, &headers, &mut body).await;
    let written = match written {
        Ok(written) => written,
        Err(error) => {
            body.linger().await;
            // What was appended once must not be appended again.
            return Err(if parameters.append {
                error.header(SHOULD_RETRY, HeaderValue::from_static("false"))
            } else {
                error
            });
        }
    };
    let mut response = StatusCode::CREATED.into_response();
    if written.in_place {
        set(&mut response, WRITE_MODE, "in-place");
    }
    Ok(response)
}

async fn write(
    app: &App,
    parameters: &WriteParameters,
    headers: &HeaderMap,
    body: &mut Upload,
) -> Result<browserd_files::Written> {
    if headers.contains_key(header::CONTENT_RANGE) {
        let message = "Content-Range: not taken; the parameter offset says where to write";
        return Err(ApiError::bad_request(message));
    }
    let placement = match (parameters.append, parameters.offset) {
        (false, None) => Placement::Replace,
        (true, None) => Placement::Append,
        (false, Some(offset)) => Placement::At(offset),
        (true, Some(_)) => return Err(ApiError::bad_request("offset: not together with append")),
    };
    let options = WriteOptions {
        mode: parameters.mode.as_deref().map(mode_in).transpose()?,
        placement,
        precondition: precondition(headers)?,
        expected_bytes: body.expected_bytes(),
    };
    let path = path_in("path", &parameters.path)?;
    let mut writer = app.domains.files.write(&path, options).await?;
    while let Some(chunk) = body.next().await {
        writer.write(chunk.map_err(broken_off)?).await?;
    }
    Ok(writer.finish().await?)
}
