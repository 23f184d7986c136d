//! Whom Chromium runs as.

use std::{io, path::PathBuf};

use nix::unistd::{Uid, User};

use super::Error;

/// The account that Chromium runs under.
#[derive(Debug, Clone)]
pub(super) struct Account {
    /// Its name; the number where the user database has none.
    pub(super) name: String,
    /// Its home directory, where the user database knows one.
    pub(super) home: Option<PathBuf>,
    /// Its user and group.
    pub(super) ids: (u32, u32),
    /// Whether the launcher runs under another one, root.
    switches: bool,
}

impl Account {
    /// The launcher's own account, unless it is root and shall not stay so.
    pub(super) fn choose(run_as_root: bool, user: &str) -> Result<Self, Error> {
        let own = Uid::effective();
        if !own.is_root() {
            if run_as_root {
                tracing::warn!("RUN_AS_ROOT has no effect: the launcher does not run as root");
            }
            return Self::of_this_process();
        }
        if run_as_root {
            return Self::of_this_process();
        }
        let failed = |source| Error::LookUpUser {
            name: user.to_owned(),
            source,
        };
        let found = User::from_name(user).map_err(|error| failed(error.into()))?;
        let found = found.ok_or_else(|| Error::NoUser(user.to_owned()))?;
        let switches = !found.uid.is_root();
        Ok(Self::from_database(found, switches))
    }

    fn of_this_process() -> Result<Self, Error> {
        let uid = Uid::effective();
        let failed = |source: io::Error| Error::LookUpUser {
            name: uid.to_string(),
            source,
        };
        match User::from_uid(uid).map_err(|error| failed(error.into()))? {
            Some(user) => Ok(Self::from_database(user, false)),
            // Containers run under numbers that no database knows.
            None => Ok(Self {
                name: uid.to_string(),
                home: None,
                ids: (uid.as_raw(), nix::unistd::Gid::effective().as_raw()),
                switches: false,
            }),
        }
    }

    fn from_database(user: User, switches: bool) -> Self {
        let ids = (user.uid.as_raw(), user.gid.as_raw());
        Self {
            name: user.name,
            home: Some(user.dir),
            ids,
            switches,
        }
    }

    /// The user and group to become, when they differ from the launcher's.
    pub(super) fn switch_to(&self) -> Option<(u32, u32)> {
        self.switches.then_some(self.ids)
    }

    /// Whether Chromium will run as root.
    pub(super) fn is_root(&self) -> bool {
        self.ids.0 == 0
    }
}
