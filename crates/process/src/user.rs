//! Users by name, number, or user and group number.

use std::ffi::{CString, OsString};

use nix::unistd::{self, Gid, Uid};

use crate::Error;

/// Whom a command runs as.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Identity {
    /// The daemon's own user.
    #[default]
    Daemon,
    /// User 0.
    Root,
    /// A name, a uid, or `uid:gid`.
    ///
    /// A name, and a uid that has one, bring their primary and supplementary groups. A uid
    /// without a name gets the group with its own number, and no others. `uid:gid` is exactly
    /// these two.
    User(String),
}

/// Numbers of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Supplementary groups.
    pub(crate) groups: Vec<u32>,
}

/// A user that was looked up.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Account {
    /// `None` when the daemon is that user already.
    pub(crate) ids: Option<Ids>,
    /// Name and home, if the user has an entry.
    pub(crate) entry: Option<(String, OsString)>,
}

impl Identity {
    /// Looks the user up. Blocks.
    pub(crate) fn resolve(&self) -> Result<Option<Account>, Error> {
        let (ids, entry) = match self {
            Self::Daemon => return Ok(None),
            Self::Root => by_number(Uid::from_raw(0), Some(Gid::from_raw(0)))?,
            Self::User(user) => match parse(user)? {
                Named::Name(name) => by_name(name)?,
                Named::Number(uid, gid) => by_number(uid, gid)?,
            },
        };
        let is_self =
            unistd::geteuid().as_raw() == ids.uid && unistd::getegid().as_raw() == ids.gid;
        Ok(Some(Account {
            ids: (!is_self).then_some(ids),
            entry: entry.map(|user| (user.name, user.dir.into_os_string())),
        }))
    }

    /// For messages.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Daemon => "itself".to_owned(),
            Self::Root => "root".to_owned(),
            Self::User(user) => format!("user {user:?}"),
        }
    }
}

enum Named<'a> {
    Name(&'a str),
    Number(Uid, Option<Gid>),
}

fn parse(user: &str) -> Result<Named<'_>, Error> {
    let (first, group) = match user.split_once(':') {
        Some((first, group)) => (first, Some(group)),
        None => (user, None),
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    if !is_number(first) && group.is_none() && !user.is_empty() {
        return Ok(Named::Name(user));
    }
    let number = |text: &str| {
        // The highest number means "unchanged" to the kernel.
        let number = Some(text)
            .filter(|text| is_number(text))?
            .parse::<u32>()
            .ok()?;
        (number != u32::MAX).then_some(number)
    };
    let invalid = || Error::invalid("as_user", format!("{user:?} is no name, uid or uid:gid"));
    let uid = number(first).ok_or_else(invalid)?;
    let gid = group
        .map(|group| number(group).ok_or_else(invalid))
        .transpose()?;
    Ok(Named::Number(Uid::from_raw(uid), gid.map(Gid::from_raw)))
}

/// The longest name that is looked up, in bytes (`LOGIN_NAME_MAX`): the name services copy it to
/// the stack, and one of some MiB would kill the daemon.
const LONGEST_NAME: usize = 255;

fn by_name(name: &str) -> Result<(Ids, Option<unistd::User>), Error> {
    let unknown = || Error::UnknownUser {
        user: name.to_owned(),
    };
    if name.len() > LONGEST_NAME {
        return Err(unknown());
    }
    let user = unistd::User::from_name(name).map_err(Error::system("look up a user"))?;
    let user = user.ok_or_else(unknown)?;
    Ok((with_groups(&user)?, Some(user)))
}

fn by_number(uid: Uid, gid: Option<Gid>) -> Result<(Ids, Option<unistd::User>), Error> {
    let user = unistd::User::from_uid(uid).map_err(Error::system("look up a user"))?;
    let ids = match (&user, gid) {
        (_, Some(gid)) => Ids {
            uid: uid.as_raw(),
            gid: gid.as_raw(),
            groups: Vec::new(),
        },
        (Some(user), None) => with_groups(user)?,
        (None, None) => Ids {
            uid: uid.as_raw(),
            gid: uid.as_raw(),
            groups: Vec::new(),
        },
    };
    Ok((ids, user))
}

fn with_groups(user: &unistd::User) -> Result<Ids, Error> {
    let name = CString::new(user.name.as_str())
        .map_err(|_| Error::invalid("as_user", "contains a NUL byte"))?;
    let groups =
        unistd::getgrouplist(&name, user.gid).map_err(Error::system("look up a user's groups"))?;
    Ok(Ids {
        uid: user.uid.as_raw(),
        gid: user.gid.as_raw(),
        groups: groups.into_iter().map(Gid::as_raw).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(user: &str) -> Result<Option<Ids>, Error> {
        let account = Identity::User(user.to_owned()).resolve()?;
        Ok(account.unwrap().ids)
    }

    #[test]
    fn the_daemon_itself_needs_no_switch() {
        let me = unistd::geteuid().as_raw();
        let mine = unistd::getegid().as_raw();
        assert_eq!(Identity::Daemon.resolve().unwrap(), None);
        assert_eq!(ids(&format!("{me}:{mine}")).unwrap(), None);
    }

    #[test]
    fn numbers_need_no_entry() {
        let expected = Ids {
            uid: 61_234,
            gid: 61_234,
            groups: vec![],
        };
        assert_eq!(ids("61234").unwrap(), Some(expected));
        let expected = Ids {
            uid: 61_234,
            gid: 7,
            groups: vec![],
        };
        assert_eq!(ids("61234:7").unwrap(), Some(expected));
    }

    #[test]
    fn a_name_brings_its_groups() {
        let ids = ids("nobody").unwrap().unwrap();
        assert!(ids.groups.contains(&ids.gid));
    }

    #[test]
    fn what_cannot_be_a_user_is_refused() {
        for bad in [
            "",
            ":",
            "1:",
            ":1",
            "nobody:1",
            "1:x",
            "4294967295",
            "99999999999",
            "1:2:3",
        ] {
            assert!(matches!(ids(bad), Err(Error::Invalid { .. })), "{bad}");
        }
        for unknown in ["no-such-user", &"x".repeat(8 << 20)] {
            let told = ids(unknown);
            assert!(matches!(told, Err(Error::UnknownUser { .. })));
        }
    }
}
