//! Users and groups, by name or by number.

use std::collections::HashMap;

use nix::unistd::{Gid, Group, Uid, User};

use crate::{Error, Result};

/// The longest name that is looked up, in bytes (`LOGIN_NAME_MAX`): the name services copy it to
/// the stack, and one of some MiB would kill the daemon.
const LONGEST_NAME: usize = 255;

/// The number of a user given by name or by number.
pub(crate) fn uid_of(owner: &str) -> Result<u32> {
    let found = is_short(owner).then(|| User::from_name(owner).ok().flatten());
    found
        .flatten()
        .map(|user| user.uid.as_raw())
        .or_else(|| number(owner))
        .ok_or_else(|| Error::UnknownOwner {
            name: crate::path::shorten(owner.as_ref()),
        })
}

/// The number of a group given by name or by number.
pub(crate) fn gid_of(group: &str) -> Result<u32> {
    let found = is_short(group).then(|| Group::from_name(group).ok().flatten());
    found
        .flatten()
        .map(|group| group.gid.as_raw())
        .or_else(|| number(group))
        .ok_or_else(|| Error::UnknownGroup {
            name: crate::path::shorten(group.as_ref()),
        })
}

fn is_short(name: &str) -> bool {
    name.len() <= LONGEST_NAME
}

/// A plain number; the largest means "unchanged" to the kernel and is nobody's.
fn number(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|number| plain && *number != u32::MAX)
}

/// The names of the users and groups met so far: looking one up reads the account files.
#[derive(Debug, Default)]
pub(crate) struct Names {
    users: HashMap<u32, Option<String>>,
    groups: HashMap<u32, Option<String>>,
}

impl Names {
    pub(crate) fn user(&mut self, uid: u32) -> Option<String> {
        let look = || Some(User::from_uid(Uid::from_raw(uid)).ok()??.name);
        self.users.entry(uid).or_insert_with(look).clone()
    }

    pub(crate) fn group(&mut self, gid: u32) -> Option<String> {
        let look = || Some(Group::from_gid(Gid::from_raw(gid)).ok()??.name);
        self.groups.entry(gid).or_insert_with(look).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_both_taken() {
        assert_eq!(uid_of("root").unwrap(), 0);
        assert_eq!(uid_of("4242").unwrap(), 4242);
        assert_eq!(gid_of("root").unwrap(), 0);
        assert!(matches!(
            uid_of("no-such-user"),
            Err(Error::UnknownOwner { .. })
        ));
        assert!(matches!(
            uid_of("4294967295"),
            Err(Error::UnknownOwner { .. })
        ));
        assert!(matches!(uid_of("+1"), Err(Error::UnknownOwner { .. })));
        let long = "x".repeat(8 << 20);
        assert!(matches!(uid_of(&long), Err(Error::UnknownOwner { .. })));
        assert!(matches!(gid_of(&long), Err(Error::UnknownGroup { .. })));
        assert!(matches!(gid_of(""), Err(Error::UnknownGroup { .. })));
    }

    #[test]
    fn numbers_have_names() {
        let mut names = Names::default();
        assert_eq!(names.user(0).as_deref(), Some("root"));
        assert_eq!(names.group(0).as_deref(), Some("root"));
        assert_eq!(names.user(3_999_999_999), None);
    }
}
