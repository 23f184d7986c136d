//! Making and deleting directories, deleting files, and permissions.

use std::{
    fs::{self, DirBuilder, Permissions},
    os::unix::{
        self,
        fs::{DirBuilderExt, PermissionsExt},
    },
    path::Path,
};

use rustix::io::Errno;

use crate::{
    Files, FsPath, Mode, Result, blocking, descent::remove_tree, error::Attempt, owner,
    write::target::make_parents,
};

impl Files {
    /// Makes a directory and those above it, which get 755. One that exists is left as it is.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn create_directory(&self, path: &FsPath, mode: Mode) -> Result<()> {
        let dir = path.as_path().to_owned();
        blocking(&self.shared.pools.steps, path.as_path(), move || {
            create_directory(&dir, mode)
        })
        .await
    }

    /// Deletes a file, or a symbolic link, which is not followed. A directory is refused.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn delete_file(&self, path: &FsPath) -> Result<()> {
        path.not_root()?;
        let file = path.as_path().to_owned();
        blocking(&self.shared.pools.steps, path.parent(), move || {
            fs::remove_file(&file).attempt("delete", &file)
        })
        .await
    }

    /// Deletes a directory with all that is in it. Symbolic links are not followed, and refused
    /// where the directory is meant.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn delete_directory(&self, path: &FsPath) -> Result<()> {
        path.not_root()?;
        let dir = path.as_path().to_owned();
        blocking(&self.shared.pools.trees, path.parent(), move || {
            const ACTION: &str = "delete the directory";
            let metadata = fs::symlink_metadata(&dir).attempt(ACTION, &dir)?;
            if !metadata.is_dir() {
                return Err(Errno::NOTDIR).attempt(ACTION, &dir);
            }
            remove_tree(&dir).attempt(ACTION, &dir)
        })
        .await
    }

    /// Sets the permissions and, where given, the owner and group (a name or a number) of what
    /// the path leads to.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn set_permissions(
        &self,
        path: &FsPath,
        mode: Mode,
        owner: Option<&str>,
        group: Option<&str>,
    ) -> Result<()> {
        const ACTION: &str = "set the permissions of";
        let (owner, group) = (owner.map(str::to_owned), group.map(str::to_owned));
        let file = path.as_path().to_owned();
        blocking(&self.shared.pools.steps, path.as_path(), move || {
            let uid = owner.as_deref().map(owner::uid_of).transpose()?;
            let gid = group.as_deref().map(owner::gid_of).transpose()?;
            // First the owner: the kernel takes the set-id bits away when it changes.
            if uid.is_some() || gid.is_some() {
                unix::fs::chown(&file, uid, gid).attempt("set the owner of", &file)?;
            }
            fs::set_permissions(&file, Permissions::from_mode(mode.bits())).attempt(ACTION, &file)
        })
        .await
    }
}

fn create_directory(dir: &Path, mode: Mode) -> Result<()> {
    const ACTION: &str = "make the directory";
    if let Some(parent) = dir.parent() {
        make_parents(parent)?;
    }
    match DirBuilder::new().mode(mode.bits()).create(dir) {
        // Again, because the umask took a part of it.
        Ok(()) => {
            fs::set_permissions(dir, Permissions::from_mode(mode.bits())).attempt(ACTION, dir)
        }
        Err(_) if fs::metadata(dir).is_ok_and(|metadata| metadata.is_dir()) => Ok(()),
        Err(error) => Err(error).attempt(ACTION, dir),
    }
}
