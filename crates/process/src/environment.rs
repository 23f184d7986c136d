//! The environment of children, and the search for their program in it.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use crate::{Error, Secrets};

/// Where programs are looked up without a PATH.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What every child inherits.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
}

impl Environment {
    /// The variables that are not secret.
    #[must_use]
    pub fn without(
        secrets: &Secrets,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Self {
        let open = |(name, value): &(OsString, OsString)| !secrets.covers(name, value);
        Self {
            variables: variables.into_iter().filter(open).collect(),
        }
    }

    /// A child's own variables over these; `defaults` lie between.
    pub(crate) fn over<'a>(
        &self,
        defaults: impl IntoIterator<Item = (&'a str, OsString)>,
        own: &BTreeMap<String, String>,
    ) -> Self {
        let mut variables = self.variables.clone();
        variables.extend(
            defaults
                .into_iter()
                .map(|(name, value)| (name.into(), value)),
        );
        variables.extend(own.iter().map(|(name, value)| (name.into(), value.into())));
        Self { variables }
    }

    /// `NAME=value` each.
    pub(crate) fn to_strings(&self) -> Result<Vec<CString>, Error> {
        let string = |(name, value): (&OsString, &OsString)| {
            let pair = [name.as_bytes(), b"=", value.as_bytes()].concat();
            let field = || format!("env.{}", name.display());
            CString::new(pair).map_err(|_| Error::invalid(field(), "contains a NUL byte"))
        };
        self.variables.iter().map(string).collect()
    }

    /// The paths at which a program of this name may be, in the order of PATH.
    pub(crate) fn candidates(&self, command: &str) -> Vec<OsString> {
        if command.contains('/') {
            return vec![command.into()];
        }
        let path = self.variables.get(OsStr::new("PATH"));
        let path = path.map_or(DEFAULT_PATH.as_bytes(), |path| path.as_bytes());
        let candidate = |directory: &[u8]| {
            // An empty entry is the working directory.
            let directory = if directory.is_empty() {
                b".".as_slice()
            } else {
                directory
            };
            OsStr::from_bytes(&[directory, b"/", command.as_bytes()].concat()).to_owned()
        };
        path.split(|byte| *byte == b':').map(candidate).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        let pairs = pairs
            .iter()
            .map(|(name, value)| (name.into(), value.into()));
        Environment::without(&Secrets::new(), pairs)
    }

    #[test]
    fn own_variables_win_and_secrets_are_gone() {
        let base = environment(&[("A", "1"), ("B", "1"), ("C", "1"), ("AUTH_TOKEN", "s")]);
        let own = BTreeMap::from([("A".to_owned(), "3".to_owned())]);
        let merged = base.over([("A", "2".into()), ("B", "2".into())], &own);
        let strings = merged.to_strings().unwrap();
        assert_eq!(strings, [c"A=3", c"B=2", c"C=1"].map(ToOwned::to_owned));
    }

    #[test]
    fn programs_are_looked_up_on_path() {
        let candidates = environment(&[("PATH", "/a::/b")]).candidates("x");
        assert_eq!(candidates, ["/a/x", "./x", "/b/x"]);
        assert_eq!(environment(&[]).candidates("x").len(), 6);
        assert_eq!(environment(&[]).candidates("./x"), ["./x"]);
    }
}
