//! Directories as archives, packed while they are sent.

use axum::{
    body::{Body, Bytes},
    extract::State,
    response::{IntoResponse as _, Response},
};
use browserd_api::{
    Error,
    files::{CompressionLevel, DownloadZipParameters, DownloadZstdParameters},
};
use browserd_files::{Compression, FsPath, Omitted, PackFormat, PackOptions, Packed};
use futures_util::{Stream, StreamExt as _, stream};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use http_body_util::StreamBody;
use hyper::body::Frame;
use percent_encoding::{AsciiSet, CONTROLS, percent_encode};

use super::path_in;
use crate::{app::App, error::Result, extract::Query};

const ZIP: &str = "application/zip";
const ZSTD: &str = "application/zstd";
/// What an archive does not have: how many entries, and the names of the first ones.
const OMITTED: HeaderName = HeaderName::from_static("x-archive-omitted");
const OMITTED_NAMES: HeaderName = HeaderName::from_static("x-archive-omitted-names");
const TRAILERS: &str = "X-Archive-Omitted, X-Archive-Omitted-Names";
/// What of a name is encoded among others; everything that is not ASCII is.
const IN_A_LIST: &AsciiSet = &CONTROLS.add(b' ').add(b',').add(b'%');

/// Pack a directory as a zip archive
///
/// What vanishes meanwhile or cannot be read is left out. To clients that send `TE: trailers`, the
/// trailer `X-Archive-Omitted` tells how many entries that are, and `X-Archive-Omitted-Names` the
/// names of the first of them, percent-encoded and with commas between them. Sockets, pipes and
/// devices are never packed, and do not count.
///
/// When packing fails half-way, or with `strict`, the connection is aborted, so that no part is
/// taken for the whole.
#[utoipa::path(
    get,
    path = "/fs/download_dir_zip",
    tag = "files",
    params(DownloadZipParameters),
    responses(
        (status = 200, description = "The archive", body = Vec<u8>, content_type = ZIP,
            headers(("Trailer", description = "The trailers that follow the archive"))),
        (status = "default", description = "No such directory, or it cannot be read",
            body = Error)
    )
)]
pub(crate) async fn download_dir_zip(
    State(app): State<App>,
    Query(parameters): Query<DownloadZipParameters>,
) -> Result<Response> {
    let options = PackOptions {
        format: PackFormat::Zip,
        strict: parameters.strict,
    };
    send(&app, &parameters.path, options, ZIP).await
}

/// Pack a directory as a tar archive compressed with Zstandard
///
/// What vanishes meanwhile or cannot be read is left out and told in trailers, as with
/// `/fs/download_dir_zip`. When packing fails half-way, or with `strict`, the connection is
/// aborted, so that no part is taken for the whole.
#[utoipa::path(
    get,
    path = "/fs/download_dir_zstd",
    tag = "files",
    params(DownloadZstdParameters),
    responses(
        (status = 200, description = "The archive", body = Vec<u8>, content_type = ZSTD,
            headers(("Trailer", description = "The trailers that follow the archive"))),
        (status = "default", description = "No such directory, or it cannot be read",
            body = Error)
    )
)]
pub(crate) async fn download_dir_zstd(
    State(app): State<App>,
    Query(parameters): Query<DownloadZstdParameters>,
) -> Result<Response> {
    let compression = match parameters.compression_level {
        CompressionLevel::Fastest => Compression::Fastest,
        CompressionLevel::Default => Compression::Default,
        CompressionLevel::Better => Compression::Better,
        CompressionLevel::Best => Compression::Best,
    };
    let options = PackOptions {
        format: PackFormat::TarZst(compression),
        strict: parameters.strict,
    };
    send(&app, &parameters.path, options, ZSTD).await
}

async fn send(app: &App, path: &str, options: PackOptions, kind: &'static str) -> Result<Response> {
    let path = path_in("path", path)?;
    let packed = app.domains.files.pack(&path, options).await?;
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::TRAILER, TRAILERS),
    ];
    let body = StreamBody::new(frames(packed, path));
    Ok((headers, Body::new(body)).into_response())
}

/// The archive, and behind it what it does not have.
fn frames(packed: Packed, dir: FsPath) -> impl Stream<Item = browserd_files::Result<Frame<Bytes>>> {
    stream::unfold(Some(packed), move |packed| {
        let dir = dir.clone();
        async move {
            let mut packed = packed?;
            match packed.next().await {
                Some(Ok(chunk)) => Some((Ok(Frame::data(chunk)), Some(packed))),
                Some(Err(error)) => {
                    tracing::warn!(%error, "an archive broke off while it was sent");
                    Some((Err(error), None))
                }
                None => Some((Ok(Frame::trailers(trailers(packed.omitted(), &dir))), None)),
            }
        }
    })
}

fn trailers(omitted: &Omitted, dir: &FsPath) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert(OMITTED, omitted.count.into());
    if omitted.count == 0 {
        return trailers;
    }
    let names = omitted
        .names
        .iter()
        .map(|name| percent_encode(name.as_os_str().as_encoded_bytes(), IN_A_LIST).to_string());
    let names = names.collect::<Vec<_>>().join(",");
    tracing::warn!(count = omitted.count, %dir, %names, "an archive was sent without some entries");
    if let Ok(names) = HeaderValue::from_str(&names) {
        trailers.insert(OMITTED_NAMES, names);
    }
    trailers
}
