//! Archives that are unpacked.

use axum::extract::State;
use browserd_api::{
    Error,
    files::{UploadZipForm, UploadZstdForm},
};
use browserd_files::{ArchiveKind, Files, FsPath, Spooled};
use http::StatusCode;

use super::form::{Form, Part, missing, twice, unknown};
use crate::{
    app::App,
    error::{ApiError, Result},
};

/// Unpack a zip archive
///
/// An archive that is damaged, past a limit, or would touch anything outside of `dest_path` is
/// refused as a whole, and nothing is changed. Files that are there are replaced.
#[utoipa::path(
    post,
    path = "/fs/upload_zip",
    tag = "files",
    request_body(content = UploadZipForm, content_type = "multipart/form-data"),
    responses(
        (status = 201, description = "It is unpacked"),
        (status = 400, description = "The archive or a part of the form is refused",
            body = Error),
        (status = 413, description = "The archive is past a limit", body = Error),
        (status = 415, description = "Not multipart/form-data", body = Error),
        (status = "default", description = "It cannot be unpacked", body = Error)
    )
)]
pub(crate) async fn upload_zip(State(app): State<App>, form: Form) -> Result<StatusCode> {
    let names = ArchiveNames {
        archive: "zip_file",
        strips: false,
    };
    let archive = receive(&app.domains.files, form, names).await?;
    let files = &app.domains.files;
    files
        .unpack(archive.content, &archive.dest, ArchiveKind::Zip)
        .await?;
    Ok(StatusCode::CREATED)
}

/// Unpack a tar archive compressed with Zstandard
///
/// The rules are those of `/fs/upload_zip`.
#[utoipa::path(
    post,
    path = "/fs/upload_zstd",
    tag = "files",
    request_body(content = UploadZstdForm, content_type = "multipart/form-data"),
    responses(
        (status = 201, description = "It is unpacked"),
        (status = 400, description = "The archive or a part of the form is refused",
            body = Error),
        (status = 413, description = "The archive is past a limit", body = Error),
        (status = 415, description = "Not multipart/form-data", body = Error),
        (status = "default", description = "It cannot be unpacked", body = Error)
    )
)]
pub(crate) async fn upload_zstd(State(app): State<App>, form: Form) -> Result<StatusCode> {
    let names = ArchiveNames {
        archive: "archive",
        strips: true,
    };
    let archive = receive(&app.domains.files, form, names).await?;
    let kind = ArchiveKind::TarZst {
        strip_components: archive.strip_components,
    };
    let files = &app.domains.files;
    files.unpack(archive.content, &archive.dest, kind).await?;
    Ok(StatusCode::CREATED)
}

/// The parts of an archive's form.
#[derive(Debug, Clone, Copy)]
struct ArchiveNames {
    archive: &'static str,
    strips: bool,
}

/// An archive that is on the disk.
struct Archive {
    content: Spooled,
    dest: FsPath,
    strip_components: usize,
}

async fn receive(files: &Files, mut form: Form, names: ArchiveNames) -> Result<Archive> {
    match receive_parts(files, &mut form, names).await {
        Ok(archive) => Ok(archive),
        Err(error) => Err(form.refuse(error).await),
    }
}

async fn receive_parts(files: &Files, form: &mut Form, names: ArchiveNames) -> Result<Archive> {
    let (mut content, mut dest, mut strip_components) = (None, None, None);
    while let Some(part) = form.next().await? {
        let name = part.name().to_owned();
        if name == names.archive {
            put(&mut content, &name, spool(files, part).await?)?;
        } else if name == "dest_path" {
            put(&mut dest, &name, part.path().await?)?;
        } else if names.strips && name == "strip_components" {
            let text = part.text().await?;
            let number = text.trim().parse().map_err(|_| {
                ApiError::bad_request(format!("{name}: {text:?} is not a number from 0 on"))
            })?;
            put(&mut strip_components, &name, number)?;
        } else {
            let archive = names.archive;
            let known = format!("{archive} or dest_path");
            return Err(unknown(&name, &known));
        }
    }
    Ok(Archive {
        content: content.ok_or_else(|| missing(names.archive))?,
        dest: dest.ok_or_else(|| missing("dest_path"))?,
        strip_components: strip_components.unwrap_or(0),
    })
}

fn put<T>(slot: &mut Option<T>, name: &str, value: T) -> Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(twice(name)),
    }
}

async fn spool(files: &Files, mut part: Part) -> Result<Spooled> {
    let mut spool = files.spool().await?;
    while let Some(chunk) = part.chunk().await? {
        spool.write(chunk).await?;
    }
    Ok(spool.finish().await?)
}
