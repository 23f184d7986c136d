//! The environment that Chromium starts with.
//!
//! The browser runs strangers' code: settings of the daemon and secrets of the machine have no
//! business in it. The rest stays, for people set `TZ`, `LANG`, `http_proxy` and the like.

use std::{ffi::OsString, path::PathBuf};

use super::user::Account;

/// Beginnings of names that are settings or secrets too.
const PREFIXES: &[&str] = &[
    "AUTH_",
    "AWS_",
    "CHROMEDRIVER_",
    "CHROMIUM_",
    "JWT_",
    "KERNEL_IMAGES_API_",
    "SUPERVISOR_",
    "TLS_",
];

/// What a name of a secret contains.
const SECRETS: &[&str] = &[
    "CREDENTIAL",
    "PASSWD",
    "PASSWORD",
    "PRIVATE_KEY",
    "SECRET",
    "TOKEN",
];

/// Variables of the desktop, or of root, that would lead Chromium away from its display and
/// its home.
const MISLEADING: &[&str] = &[
    "LOGNAME",
    "OLDPWD",
    "PWD",
    "WAYLAND_DISPLAY",
    "WAYLAND_SOCKET",
    "XAUTHORITY",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
];

/// Variables for Chromium.
#[derive(Debug)]
pub(super) struct Environment {
    /// All of them.
    pub(super) variables: Vec<(OsString, OsString)>,
    /// The directory of `XDG_RUNTIME_DIR`, which must exist and belong to the user.
    pub(super) runtime_dir: Option<PathBuf>,
}

impl Environment {
    /// Leaves Chromium without a runtime directory.
    pub(super) fn forget_runtime_dir(&mut self) {
        self.runtime_dir = None;
        self.variables.retain(|(name, _)| name != "XDG_RUNTIME_DIR");
    }
}

/// Whether a variable of the launcher's is passed on to Chromium, by its name alone. Settings of
/// ours are not: the caller of [`launch`](super::launch) leaves them out.
#[must_use]
fn is_passed_on(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    !MISLEADING.contains(&name)
        && !PREFIXES.iter().any(|prefix| upper.starts_with(prefix))
        && !SECRETS.iter().any(|part| upper.contains(part))
}

/// What is passed on of the launcher's variables, and what Chromium needs besides.
pub(super) fn for_chromium(
    own: Vec<(OsString, OsString)>,
    account: &Account,
    display_num: u16,
) -> Environment {
    let mut set: Vec<(OsString, OsString)> = vec![
        ("DISPLAY".into(), format!(":{display_num}").into()),
        ("USER".into(), account.name.clone().into()),
        ("LOGNAME".into(), account.name.clone().into()),
    ];
    // A home that was chosen for this very user stays.
    let has_home = account.switch_to().is_none() && own.iter().any(|(name, _)| name == "HOME");
    if let Some(home) = account.home.as_ref().filter(|_| !has_home) {
        set.push(("HOME".into(), home.into()));
    }
    let mut variables: Vec<(OsString, OsString)> = own
        .into_iter()
        .filter(|(name, _)| name.to_str().is_some_and(is_passed_on))
        .filter(|(name, _)| set.iter().all(|(other, _)| name != other))
        .collect();
    let runtime_dir = variables
        .iter()
        .find(|(name, value)| name == "XDG_RUNTIME_DIR" && !value.is_empty())
        .map(|(_, value)| PathBuf::from(value));
    variables.extend(set);
    Environment {
        variables,
        runtime_dir,
    }
}
