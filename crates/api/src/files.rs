//! Files: what is known of them, archives of them, and what happens to them.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::process::{ErrorName, GapName};

/// A file, directory or other entry of the file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FileInfo {
    /// The last component of the path. A byte of it that is not UTF-8 is told as a character of the
    /// private use area: `0x80` as U+EF80, up to `0xFF` as U+EFFF. It is taken back the same way
    /// wherever a path is asked for; in queries and forms the bytes themselves are taken too.
    pub name: String,
    /// The whole path, in the same way.
    pub path: String,
    /// The size in bytes; 0 for a directory.
    pub size_bytes: u64,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// When its content last changed.
    #[schema(format = DateTime)]
    pub mod_time: String,
    /// Kind and permissions, as `ls -l` shows them.
    #[schema(example = "drwxr-xr-x")]
    pub mode: String,
    /// Whether it is a symbolic link.
    pub is_symlink: bool,
    /// What the symbolic link says, as it stands there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub symlink_target: Option<String>,
    /// The owner's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// The owner's name, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub owner: Option<String>,
    /// The group's name, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub group: Option<String>,
    /// The inode.
    pub inode: u64,
}

/// Which file or directory.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PathParameters {
    /// The absolute path.
    #[param(pattern = "^/.*")]
    pub path: String,
}

/// Which file is written, and how.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WriteParameters {
    /// The absolute path.
    #[param(pattern = "^/.*")]
    pub path: String,
    /// The permissions, octal. Without, an existing file keeps its own and a new one gets 644.
    #[param(example = "644")]
    pub mode: Option<String>,
    /// Write behind the present content, in place. Not together with `offset`.
    #[serde(default)]
    #[param(default = false)]
    pub append: bool,
    /// Write from this byte on, in place; what is behind the written bytes stays.
    pub offset: Option<u64>,
}

/// What to list, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListParameters {
    /// The absolute path of the directory.
    #[param(pattern = "^/.*")]
    pub path: String,
    /// List what is in subdirectories too. Symbolic links are not followed.
    #[serde(default)]
    #[param(default = false)]
    pub recursive: bool,
    /// So many entries at most; there are never more than 100,000 in an answer.
    #[param(minimum = 1, maximum = 100_000)]
    pub limit: Option<usize>,
    /// `X-Next-Cursor` of the page before.
    pub cursor: Option<String>,
}

/// Which directory is packed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DownloadZipParameters {
    /// The absolute path of the directory.
    #[param(pattern = "^/.*")]
    pub path: String,
    /// Break the archive off when something vanishes or cannot be read, rather than leave it out.
    #[serde(default)]
    #[param(default = false)]
    pub strict: bool,
}

/// Which directory is packed, and how small.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DownloadZstdParameters {
    /// The absolute path of the directory.
    #[param(pattern = "^/.*")]
    pub path: String,
    /// How much time is spent on making the archive small.
    #[serde(default)]
    #[param(inline, default = "default")]
    pub compression_level: CompressionLevel,
    /// Break the archive off when something vanishes or cannot be read, rather than leave it out.
    #[serde(default)]
    #[param(default = false)]
    pub strict: bool,
}

/// How much time is spent on making an archive small.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CompressionLevel {
    /// Zstandard's level 1.
    Fastest,
    /// Level 3.
    #[default]
    Default,
    /// Level 7.
    Better,
    /// Level 11.
    Best,
}

/// The form of many files. The other spellings of a pair are `files[0].file` with
/// `files[0].dest_path`, `files.0.file` with `files.0.dest_path`, and, for one file, `file` with
/// `dest_path`.
#[derive(Debug, Clone, ToSchema)]
pub struct UploadForm {
    /// The content of a file. Any numbers may stand in the brackets.
    #[schema(rename = "files[0][file]", format = Binary)]
    pub file: String,
    /// Its absolute path. The two parts of a pair may come in any order.
    #[schema(rename = "files[0][dest_path]", pattern = "^/.*")]
    pub dest_path: String,
}

/// The form of a zip archive. Its parts may come in any order.
#[derive(Debug, Clone, ToSchema)]
pub struct UploadZipForm {
    /// The archive.
    #[schema(format = Binary)]
    pub zip_file: String,
    /// The absolute path of the directory to unpack into. It is made if it is missing.
    #[schema(pattern = "^/.*")]
    pub dest_path: String,
}

/// The form of a tar archive compressed with Zstandard. Its parts may come in any order.
#[derive(Debug, Clone, ToSchema)]
pub struct UploadZstdForm {
    /// The archive.
    #[schema(format = Binary)]
    pub archive: String,
    /// The absolute path of the directory to unpack into. It is made if it is missing.
    #[schema(pattern = "^/.*")]
    pub dest_path: String,
    /// So many leading components of each name are dropped; a name without more is skipped.
    #[schema(required = false, default = 0, minimum = 0)]
    pub strip_components: u32,
}

/// A directory to make.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateDirectoryRequest {
    /// The absolute path.
    #[schema(pattern = "^/.*")]
    pub path: String,
    /// The permissions, octal; 755 without. Parents that are missing get 755.
    #[schema(example = "755")]
    pub mode: Option<String>,
}

/// A file or directory to delete.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteRequest {
    /// The absolute path.
    #[schema(pattern = "^/.*")]
    pub path: String,
}

/// Permissions to set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetFilePermissionsRequest {
    /// The absolute path.
    #[schema(pattern = "^/.*")]
    pub path: String,
    /// The permissions, octal.
    #[schema(example = "644")]
    pub mode: String,
    /// The new owner, by name or number.
    pub owner: Option<String>,
    /// The new group, by name or number.
    pub group: Option<String>,
}

/// What to move or copy, and where to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TransferRequest {
    /// The absolute path of what is there.
    #[schema(pattern = "^/.*")]
    pub src_path: String,
    /// The absolute path that it gets. Parents that are missing are made.
    #[schema(pattern = "^/.*")]
    pub dest_path: String,
}

/// What to watch.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WatchRequest {
    /// The absolute path of a directory or file.
    #[schema(pattern = "^/.*")]
    pub path: String,
    /// Tell what happens in subdirectories too, also in those that are yet to come.
    #[serde(default)]
    pub recursive: bool,
}

/// A watch that has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Watch {
    /// By which the other routes find it.
    pub watch_id: String,
}

/// What happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum WatchKind {
    /// It is new.
    Create,
    /// Its content changed.
    Write,
    /// It is gone.
    Delete,
    /// It has another name or is elsewhere.
    Rename,
}

/// An event of a watch. Its id is its number in the watch, from 1 on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum WatchEvent {
    /// A change.
    Change {
        /// What happened.
        #[serde(rename = "type")]
        kind: WatchKind,
        /// The whole path; of a rename, the old one.
        path: String,
        /// The last component of the path.
        name: String,
        /// Whether it is a directory.
        is_dir: bool,
        /// Its size in bytes now, unless it is gone.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        size_bytes: Option<u64>,
        /// When its content last changed, unless it is gone.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false, format = DateTime)]
        mod_time: Option<String>,
        /// The new path of a rename, where it is inside what is watched.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        dest_path: Option<String>,
    },
    /// Changes that cannot be told any more.
    Gap {
        /// `gap`.
        event: GapName,
        /// How many; null where the kernel dropped them. What is there is looked at then, and
        /// what has changed follows.
        lost_events: Option<u64>,
    },
    /// The stream ends although nobody ended the watch.
    Error {
        /// `error`.
        event: ErrorName,
        /// When.
        #[schema(format = DateTime)]
        timestamp: String,
        /// Why.
        message: String,
    },
}
