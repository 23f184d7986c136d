//! What can be wrong though every setting by itself is right.

use std::{ffi::OsStr, path::Path};

use super::{
    Launch, PREFIX, Refused, Serve,
    environment::{SETTINGS, is_setting, variable},
};

/// Window managers, by their programs.
const MANAGERS: &[&str] = &[
    "awesome",
    "fluxbox",
    "i3",
    "icewm",
    "jwm",
    "kwin_x11",
    "matchbox-window-manager",
    "metacity",
    "mutter",
    "openbox",
    "twm",
    "x-window-manager",
    "xfwm4",
];
/// Names that begin like this are meant for this program.
const FAMILIES: &[&str] = &["CHROMIUM_", "DEVTOOLS_", PREFIX];
/// A shorter name is like too many others.
const SHORTEST: usize = 6;

/// Whether the ports of the daemon are each another one, and Chromium's too where it is known.
pub(super) fn check_ports(serve: &Serve, launch: Option<&Launch>) -> Result<(), Refused> {
    let ports = [
        ("PORT", Some(serve.ports.port)),
        ("DEVTOOLS_PROXY_PORT", Some(serve.ports.devtools_proxy_port)),
        ("METRICS_PORT", Some(serve.ports.metrics_port)),
        ("INTERNAL_PORT", launch.map(|launch| launch.internal_port)),
    ];
    for (index, (name, port)) in ports.iter().enumerate() {
        let same = |(_, other): &&(&str, Option<u16>)| port.is_some() && other == port;
        if let Some((other, _)) = ports[..index].iter().find(same) {
            let port = port.unwrap_or_default();
            return Err(Refused::told(&format!(
                "{name}={port} cannot be used: {other} has that port"
            )));
        }
    }
    Ok(())
}

/// Whether there is a window manager where one is to be waited for.
pub(crate) fn check_manager(launch: &Launch) -> Result<(), Refused> {
    let path = variable("PATH").unwrap_or_default();
    let there = || {
        std::env::split_paths(&path)
            .any(|folder| MANAGERS.iter().any(|name| is_file(&folder, name)))
    };
    if !launch.window_manager || there() {
        return Ok(());
    }
    Err(Refused::told(
        "WINDOW_MANAGER=true cannot be used: there is no window manager here (the headful image \
         has one)",
    ))
}

fn is_file(folder: &Path, name: &str) -> bool {
    folder.join(name).is_file()
}

/// A variable that is no setting's, though its name looks like one's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unknown {
    /// The setting that may be meant.
    pub(crate) meant: Option<String>,
}

/// Whether a variable is one.
pub(crate) fn looks_like_a_setting(name: &OsStr) -> Option<Unknown> {
    let name = name.to_str()?;
    if is_setting(name) {
        return None;
    }
    let short = name.strip_prefix(PREFIX).unwrap_or(name);
    let near = nearest(short);
    let is_of_ours = FAMILIES.iter().any(|family| name.starts_with(family));
    (near.is_some() || is_of_ours).then_some(Unknown { meant: near })
}

/// The setting whose name is but a letter or two away.
fn nearest(name: &str) -> Option<String> {
    if name.len() < SHORTEST {
        return None;
    }
    let away = |known: &str| strsim::damerau_levenshtein(known, &name.to_ascii_uppercase());
    let near = SETTINGS.iter().min_by_key(|known| away(known))?;
    let most = if near.len() < 2 * SHORTEST { 1 } else { 2 };
    (away(near) <= most).then(|| near.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Cli;

    fn told(name: &str) -> Option<Unknown> {
        looks_like_a_setting(OsStr::new(name))
    }

    #[test]
    fn a_misspelt_setting_is_told_from_the_variables_of_others() {
        for (name, meant) in [
            ("HEIGTH", Some("HEIGHT")),
            ("CHROMIUM_FLAG", Some("CHROMIUM_FLAGS")),
            ("DEVTOOLS_PROXI_PORT", Some("DEVTOOLS_PROXY_PORT")),
            ("browser_ui", Some("BROWSER_UI")),
            ("CHROMIUM_NO_SUCH_THING", None),
            ("KERNEL_IMAGES_API_NO_SUCH_THING", None),
        ] {
            let meant = meant.map(str::to_owned);
            assert_eq!(told(name), Some(Unknown { meant }), "{name}");
        }
        for name in [
            "PATH",
            "PORT",
            "PORTS",
            "KERNEL_IMAGES_API_PORT",
            "BROWSERD_BINARY",
            "BROWSERD_SERVICE_HOST",
            "KUBERNETES_PORT",
            "HOSTNAME",
            "LANG",
            "PULSE_SERVER",
            "http_proxy",
        ] {
            assert_eq!(told(name), None, "{name}");
        }
    }

    #[test]
    fn two_ports_alike_are_refused() {
        use clap::Parser as _;
        let serve = |ports: &[&str]| {
            let line = ["browserd", "serve"].iter().chain(ports);
            match Cli::parse_from(line).command {
                super::super::Command::Serve(serve) => check_ports(&serve, None),
                other => panic!("{other:?}"),
            }
        };
        assert!(serve(&[]).is_ok());
        let error = serve(&["--port=7", "--metrics-port=7"]).unwrap_err();
        assert_eq!(
            error.text,
            "browserd: METRICS_PORT=7 cannot be used: PORT has that port\n"
        );
    }
}
