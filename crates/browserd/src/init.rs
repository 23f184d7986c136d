//! `browserd init`: the first process of a machine, which runs the daemon and the services.

use std::{
    ffi::OsString,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::ExitCode,
};

use browserd_init::{Config, Format, Output, Program};

use crate::{
    USAGE,
    config::{self, Cli, Command, Init, Launch, Refused, Serve},
    log,
};

/// A variable with its value.
type Variable = (OsString, OsString);

/// Runs the machine. Wrong settings of what it would run are told before anything is started.
pub(crate) fn run(settings: &Init) -> ExitCode {
    let (serve, launch) = match others() {
        Ok(settings) => settings,
        Err(refused) => {
            eprint!("{}", refused.text);
            return ExitCode::from(USAGE);
        }
    };
    match start(settings, &serve, &launch) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("browserd: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What the daemon and the launcher will read from the same environment.
fn others() -> Result<(Serve, Launch), Refused> {
    let serve = Cli::of("serve")?;
    let launch = Cli::of("chromium")?;
    match (serve.command, launch.command) {
        (Command::Serve(serve), Command::Chromium(launch)) => {
            config::check_together(&serve, &launch)?;
            Ok((*serve, *launch))
        }
        other => unreachable!("asked for serve and chromium, got {other:?}"),
    }
}

fn start(settings: &Init, serve: &Serve, launch: &Launch) -> anyhow::Result<u8> {
    let format = if log::is_text(&settings.log) {
        Format::Text
    } else {
        Format::Json
    };
    let (output, writer) = Output::start(format, io::stdout())?;
    let source = output.source("init", true);
    log::init_to(&settings.log, move || source.clone())?;
    browserd_init::mount_missing();
    let mut all = config::environment();
    warn_of_unknown(&all);
    set_zone(settings, &mut all);
    let secrets = config::secrets();
    // The daemon gets them, and hides them as well.
    if let Err(error) = secrets.hide() {
        tracing::warn!(%error, "commands may be able to read the secrets of the first process");
    }
    let open = all
        .iter()
        .filter(|(name, value)| !secrets.covers(name, value));
    let binary = binary();
    let config = Config {
        daemon: Program {
            name: "browserd",
            path: binary.clone(),
            arguments: vec!["serve".into()],
            environment: with(all.iter().cloned(), daemon_variables(settings, format)),
            hopeless: Some(USAGE),
            structured: true,
        },
        services: Program {
            name: "supervisord",
            path: settings.services.clone(),
            arguments: Vec::new(),
            environment: with(open.cloned(), services_variables(settings, &binary)),
            hopeless: None,
            structured: false,
        },
        supervisor_socket: settings.machine.supervisor_socket.clone(),
        folders: folders(settings),
        log_dir: settings.log_dir.clone(),
        data_dir: launch.profile.browser_data_dir.clone(),
        api: own_address(serve.ports.listen_address, serve.ports.port),
        devtools: own_address(serve.ports.listen_address, serve.ports.devtools_proxy_port),
        scale_to_zero_file: settings.scale_to_zero_file.clone(),
    };
    Ok(browserd_init::run(config, output, writer)?)
}

fn warn_of_unknown(variables: &[Variable]) {
    for (name, _) in variables {
        if let Some(unknown) = config::looks_like_a_setting(name) {
            let variable = name.display();
            let meant = unknown.meant;
            tracing::warn!(%variable, meant, "no setting has this name: the variable has no effect");
        }
    }
}

/// Gives the machine its time zone. Programs then need no variable for it, with which they would
/// not follow a change.
fn set_zone(settings: &Init, variables: &mut Vec<Variable>) {
    let Some(zone) = settings.zone() else { return };
    variables.retain(|(name, _)| name != "TZ");
    if let Err(error) = browserd_init::set_zone(zone) {
        tracing::warn!(zone, %error, "/etc/localtime cannot be changed: Chromium does not have this time zone");
        variables.push(variable("TZ", zone));
    }
}

/// This very program. Without /proc, as in a machine that has just booted, it is what the
/// kernel was told to run.
fn binary() -> PathBuf {
    std::env::current_exe().unwrap_or_else(|_| {
        let name = std::env::args_os().next();
        name.map_or_else(|| "/usr/local/bin/browserd".into(), PathBuf::from)
    })
}

fn folders(settings: &Init) -> Vec<PathBuf> {
    let socket_dir = settings.machine.supervisor_socket.parent();
    [
        Some(settings.run_dir.as_path()),
        Some(settings.log_dir.as_path()),
        Some(Path::new("/tmp")),
        socket_dir,
    ]
    .into_iter()
    .flatten()
    .map(Path::to_owned)
    .collect()
}

/// Where the daemon can be asked on the machine itself.
fn own_address(listen: IpAddr, port: u16) -> SocketAddr {
    let address = match listen {
        // `::` takes IPv4 too, and a machine may have no IPv6 loopback address.
        any if any.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        other => other,
    };
    SocketAddr::new(address, port)
}

fn daemon_variables(settings: &Init, format: Format) -> Vec<Variable> {
    let format = match format {
        Format::Text => "text",
        Format::Json => "json",
    };
    vec![
        variable("LOG_FORMAT", format),
        variable("CHROMIUM_LOG_FILE", settings.log_dir.join("chromium")),
        variable(
            "SUPERVISOR_SOCKET",
            settings.machine.supervisor_socket.clone(),
        ),
    ]
}

/// What the services' configuration refers to. Their logs are text: each line becomes one of
/// this process' own.
fn services_variables(settings: &Init, binary: &Path) -> Vec<Variable> {
    let machine = &settings.machine;
    vec![
        variable("LOG_FORMAT", "text"),
        variable("BROWSERD_BINARY", binary),
        variable("RUN_DIR", settings.run_dir.clone()),
        variable("LOG_DIR", settings.log_dir.clone()),
        variable("SUPERVISOR_SOCKET", machine.supervisor_socket.clone()),
        variable("DISPLAY_NUM", machine.display_num.to_string()),
    ]
}

fn variable(name: &str, value: impl Into<OsString>) -> Variable {
    (name.into(), value.into())
}

/// Variables, and others that win.
fn with(variables: impl Iterator<Item = Variable>, others: Vec<Variable>) -> Vec<Variable> {
    let is_other = |name: &OsString| others.iter().any(|(other, _)| other == name);
    let mut all: Vec<Variable> = variables.filter(|(name, _)| !is_other(name)).collect();
    all.extend(others);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_where_the_daemon_listens() {
        let own = |listen: &str| own_address(listen.parse().unwrap(), 1).to_string();
        assert_eq!(own("::"), "127.0.0.1:1");
        assert_eq!(own("0.0.0.0"), "127.0.0.1:1");
        assert_eq!(own("::1"), "[::1]:1");
        assert_eq!(own("10.0.0.7"), "10.0.0.7:1");
    }

    #[test]
    fn own_variables_win() {
        let variables = [variable("A", "1"), variable("B", "1")];
        let merged = with(variables.into_iter(), vec![variable("B", "2")]);
        assert_eq!(merged, [variable("A", "1"), variable("B", "2")]);
    }
}
