//! Many files in one request.

use std::collections::BTreeMap;

use axum::extract::State;
use browserd_api::{Error, files::UploadForm};
use browserd_files::{Files, FsPath, SmallFile, Spooled, WriteOptions};
use bytes::Bytes;
use http::StatusCode;

use super::form::{Form, Part, missing, twice, unknown};
use crate::{
    app::App,
    error::{ApiError, Result},
};

/// A file up to this size is held in memory and written together with others.
const SMALL_BYTES: usize = 256 * 1024;
/// So many bytes of small files are held.
const GROUP_BYTES: usize = 4 * 1024 * 1024;
/// So many small files are held; each takes two descriptors while it is written.
const GROUP_FILES: usize = 128;
/// So many pairs may have only one of their parts yet.
const MAX_OPEN_PAIRS: usize = 10_000;
/// So many of those may be contents that are too large to be held; each takes a descriptor.
const MAX_SPOOLED: usize = 64;

/// Write many files
///
/// Each file is atomic: it has its new content, or what it had before. The upload as a whole is
/// not: files take their place in the order of the form, in groups, and after a refusal those
/// that came earlier may be in place. 201 means that all of them are. A content that comes
/// before its `dest_path` waits on the disk.
#[utoipa::path(
    post,
    path = "/fs/upload",
    tag = "files",
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses(
        (status = 201, description = "All files are written"),
        (status = 400, description = "A part is unknown, missing or cut off; the message \
            names it", body = Error),
        (status = 415, description = "Not multipart/form-data", body = Error),
        (status = 507, description = "The disk is full", body = Error),
        (status = "default", description = "A file cannot be written", body = Error)
    )
)]
pub(crate) async fn upload_files(State(app): State<App>, mut form: Form) -> Result<StatusCode> {
    let mut intake = Intake::new(app.domains.files);
    match intake.take_all(&mut form).await {
        Ok(()) => Ok(StatusCode::CREATED),
        Err(error) => Err(form.refuse(error).await),
    }
}

/// The files of an upload under way.
struct Intake {
    files: Files,
    /// Pairs of which one part is there.
    open: BTreeMap<String, Half>,
    held_bytes: usize,
    spooled: usize,
    /// Small files that are complete.
    group: Vec<SmallFile>,
    group_bytes: usize,
    /// How many files the form had.
    count: usize,
}

/// The part of a pair that came first.
enum Half {
    Dest(FsPath),
    Held(Vec<Bytes>),
    Spooled(Spooled),
}

/// Which part of which pair a name means.
#[derive(Debug, PartialEq, Eq)]
struct PairPart<'a> {
    key: &'a str,
    is_dest: bool,
}

impl Intake {
    fn new(files: Files) -> Self {
        Self {
            files,
            open: BTreeMap::new(),
            held_bytes: 0,
            spooled: 0,
            group: Vec::new(),
            group_bytes: 0,
            count: 0,
        }
    }

    async fn take_all(&mut self, form: &mut Form) -> Result<()> {
        while let Some(part) = form.next().await? {
            self.take(part).await?;
        }
        if let Some((key, half)) = self.open.first_key_value() {
            let lacks = match half {
                Half::Dest(_) => "file",
                Half::Held(_) | Half::Spooled(_) => "dest_path",
            };
            return Err(missing(&spell(key, lacks)));
        }
        if self.count == 0 {
            return Err(missing("files[0][file]"));
        }
        self.flush().await
    }

    async fn take(&mut self, part: Part) -> Result<()> {
        let name = part.name().to_owned();
        let Some(PairPart { key, is_dest }) = PairPart::of(&name) else {
            let known = "files[i][file], files[i][dest_path], file or dest_path";
            return Err(unknown(&name, known));
        };
        let half = self.open.remove(key);
        if is_dest {
            let dest = part.path().await?;
            return match half {
                None => self.keep(key, Half::Dest(dest)),
                Some(Half::Dest(_)) => Err(twice(&name)),
                Some(Half::Held(content)) => {
                    self.held_bytes -= size(&content);
                    self.write_held(dest, content).await
                }
                Some(Half::Spooled(spooled)) => {
                    self.spooled -= 1;
                    self.write_spooled(&dest, spooled).await
                }
            };
        }
        match half {
            None => {
                let half = self.set_aside(part).await?;
                self.keep(key, half)
            }
            Some(Half::Dest(dest)) => self.write(dest, part).await,
            Some(Half::Held(_) | Half::Spooled(_)) => Err(twice(&name)),
        }
    }

    fn keep(&mut self, key: &str, half: Half) -> Result<()> {
        if self.open.len() >= MAX_OPEN_PAIRS {
            let message = format!("the form has more than {MAX_OPEN_PAIRS} incomplete pairs");
            return Err(ApiError::payload_too_large(message));
        }
        self.open.insert(key.to_owned(), half);
        Ok(())
    }

    /// Writes a file whose place is known, as its content comes.
    async fn write(&mut self, dest: FsPath, mut part: Part) -> Result<()> {
        let (content, more) = head(&mut part, SMALL_BYTES).await?;
        let Some(more) = more else {
            return self.write_held(dest, content).await;
        };
        // What came before it takes its place before it.
        self.flush().await?;
        let mut writer = self.files.write(&dest, WriteOptions::default()).await?;
        for chunk in content {
            writer.write(chunk).await?;
        }
        writer.write(more).await?;
        while let Some(chunk) = part.chunk().await? {
            writer.write(chunk).await?;
        }
        writer.finish().await?;
        self.count += 1;
        Ok(())
    }

    async fn write_held(&mut self, path: FsPath, content: Vec<Bytes>) -> Result<()> {
        self.group_bytes += size(&content);
        self.group.push(SmallFile { path, content });
        self.count += 1;
        if self.group_bytes >= GROUP_BYTES || self.group.len() >= GROUP_FILES {
            self.flush().await?;
        }
        Ok(())
    }

    async fn write_spooled(&mut self, dest: &FsPath, spooled: Spooled) -> Result<()> {
        self.flush().await?;
        self.files.write_spooled(dest, spooled).await?;
        self.count += 1;
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        self.group_bytes = 0;
        let group = std::mem::take(&mut self.group);
        Ok(self.files.write_small(group).await?)
    }

    /// Keeps a content whose place is not known yet.
    async fn set_aside(&mut self, mut part: Part) -> Result<Half> {
        let room = GROUP_BYTES.saturating_sub(self.held_bytes).min(SMALL_BYTES);
        let (content, more) = head(&mut part, room).await?;
        let Some(more) = more else {
            self.held_bytes += size(&content);
            return Ok(Half::Held(content));
        };
        if self.spooled >= MAX_SPOOLED {
            let message = format!(
                "{}: {MAX_SPOOLED} contents wait for their dest_path already; send it first",
                part.name()
            );
            return Err(ApiError::payload_too_large(message));
        }
        let mut spool = self.files.spool().await?;
        for chunk in content {
            spool.write(chunk).await?;
        }
        spool.write(more).await?;
        while let Some(chunk) = part.chunk().await? {
            spool.write(chunk).await?;
        }
        self.spooled += 1;
        Ok(Half::Spooled(spool.finish().await?))
    }
}

/// The content up to `limit` bytes, and the chunk that is past it.
async fn head(part: &mut Part, limit: usize) -> Result<(Vec<Bytes>, Option<Bytes>)> {
    let (mut content, mut held) = (Vec::new(), 0);
    while let Some(chunk) = part.chunk().await? {
        held += chunk.len();
        if held > limit {
            return Ok((content, Some(chunk)));
        }
        // A chunk is a piece of a larger buffer, which it would keep.
        content.push(Bytes::copy_from_slice(&chunk));
    }
    Ok((content, None))
}

fn size(content: &[Bytes]) -> usize {
    content.iter().map(Bytes::len).sum()
}

impl<'a> PairPart<'a> {
    /// Reads `files[1][file]`, `files[1].file`, `files.1.file`, or `file`; likewise `dest_path`.
    fn of(name: &'a str) -> Option<Self> {
        let is_dest = |last: &str| match last {
            "file" => Some(false),
            "dest_path" => Some(true),
            _ => None,
        };
        if let Some(is_dest) = is_dest(name) {
            return Some(Self { key: "", is_dest });
        }
        let rest = name.strip_prefix("files")?;
        let (key, last) = if let Some(rest) = rest.strip_prefix('[') {
            let (key, rest) = rest.split_once(']')?;
            let bracketed = rest.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
            (key, bracketed.or_else(|| rest.strip_prefix('.'))?)
        } else {
            rest.strip_prefix('.')?.split_once('.')?
        };
        let is_index = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit());
        let is_dest = is_dest(last)?;
        is_index.then_some(Self { key, is_dest })
    }
}

/// The name of a part, for a message.
fn spell(key: &str, last: &str) -> String {
    if key.is_empty() {
        last.to_owned()
    } else {
        format!("files[{key}][{last}]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_pair_is_read() {
        for (name, key, is_dest) in [
            ("file", "", false),
            ("dest_path", "", true),
            ("files[0][file]", "0", false),
            ("files[12][dest_path]", "12", true),
            ("files[3].file", "3", false),
            ("files[3].dest_path", "3", true),
            ("files.7.file", "7", false),
            ("files.7.dest_path", "7", true),
        ] {
            assert_eq!(
                PairPart::of(name),
                Some(PairPart { key, is_dest }),
                "{name}"
            );
        }
        for name in [
            "",
            "files",
            "files[]",
            "files[][file]",
            "files[a][file]",
            "files[-1][file]",
            "files[0]",
            "files[0][mode]",
            "files[0][file",
            "files[0]file",
            "files.0",
            "files..file",
            "files.0.1.file",
            "file0",
            "mode",
        ] {
            assert_eq!(PairPart::of(name), None, "{name}");
        }
    }
}
