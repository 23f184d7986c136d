//! The network of a machine that nobody else configures: the loopback interface, and the address
//! of the kernel's command line.
//!
//! `ip=` is written as in `Documentation/admin-guide/nfs/nfsroot.rst` of Linux. A kernel with
//! `CONFIG_IP_PNP` takes it itself, and finds its address left alone here; the kernels of
//! distributions are built without.

mod netlink;

use std::{fs, io, net::Ipv4Addr, path::Path};

use nix::{
    ifaddrs::getifaddrs,
    net::if_::{InterfaceFlags, if_nameindex, if_nametoindex},
    unistd::{gethostname, sethostname},
};

/// The loopback interface.
const LOOPBACK: &str = "lo";
/// The word of the command line that configures the network.
const WORD: &str = "ip=";
/// Where programs look up the name servers.
const NAME_SERVERS: &str = "/etc/resolv.conf";

/// Why a value of `ip=` cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum Refused {
    /// An address would have to be asked for.
    #[error("{WORD}{0} asks for an address by itself, which only a kernel with CONFIG_IP_PNP does")]
    Asks(String),
    /// A field is no address.
    #[error("{WORD}: the {field} {value:?} is no IPv4 {kind}")]
    Field {
        field: &'static str,
        value: String,
        kind: &'static str,
    },
}

/// What the command line says of the network.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    address: Ipv4Addr,
    prefix: u8,
    gateway: Option<Ipv4Addr>,
    host_name: Option<String>,
    device: Option<String>,
    name_servers: Vec<Ipv4Addr>,
}

/// Brings the loopback interface up, where it is down. A container engine does it for its
/// containers, and may not let them.
pub(crate) fn bring_up_loopback() {
    let is_up = getifaddrs().is_ok_and(|mut interfaces| {
        interfaces.any(|interface| {
            interface.interface_name == LOOPBACK && interface.flags.contains(InterfaceFlags::IFF_UP)
        })
    });
    if !is_up && let Err(error) = index_of(LOOPBACK).and_then(netlink::bring_up) {
        tracing::error!(%error, "the loopback interface is down and stays it");
    }
}

/// Does what the kernel's command line says of the network, if it does.
pub(crate) fn configure(command_line: &str) {
    let mut words = command_line.split_ascii_whitespace();
    let Some(value) = words.find_map(|word| word.strip_prefix(WORD)) else {
        return;
    };
    match parse(value) {
        Ok(Some(wanted)) => {
            if let Err(error) = apply(&wanted) {
                tracing::error!(%value, %error, "cannot configure the network as ip= says");
            }
        }
        Ok(None) => {}
        Err(refused) => tracing::error!(error = %refused, "the network is not configured"),
    }
}

/// `client:server:gateway:netmask:host name:device:autoconf:name server:name server:time server`,
/// of which only the first is needed; `None` for `off`.
fn parse(value: &str) -> Result<Option<Wanted>, Refused> {
    if matches!(value, "" | "off" | "none") {
        return Ok(None);
    }
    let mut fields = value.split(':');
    let [
        address,
        _,
        gateway,
        mask,
        host_name,
        device,
        _,
        first,
        second,
    ] = [(); 9].map(|()| fields.next().filter(|field| !field.is_empty()));
    let Some(address) = address.filter(|field| field.contains('.')) else {
        return Err(Refused::Asks(value.to_owned()));
    };
    let address = parse_address("address", address)?;
    let name_servers = [first, second].into_iter().flatten();
    Ok(Some(Wanted {
        address,
        prefix: mask.map_or_else(|| Ok(prefix_of_class(address)), parse_mask)?,
        gateway: gateway
            .map(|field| parse_address("gateway", field))
            .transpose()?,
        host_name: host_name.map(ToOwned::to_owned),
        device: device.map(ToOwned::to_owned),
        name_servers: name_servers
            .map(|field| parse_address("name server", field))
            .collect::<Result<_, _>>()?,
    }))
}

fn parse_address(field: &'static str, value: &str) -> Result<Ipv4Addr, Refused> {
    value.parse().map_err(|_| Refused::Field {
        field,
        value: value.to_owned(),
        kind: "address",
    })
}

fn parse_mask(value: &str) -> Result<u8, Refused> {
    let bits = value.parse::<Ipv4Addr>().map(u32::from).ok();
    let prefix = bits.filter(|bits| bits.leading_ones() + bits.trailing_zeros() == u32::BITS);
    prefix
        .and_then(|bits| u8::try_from(bits.leading_ones()).ok())
        .ok_or_else(|| Refused::Field {
            field: "netmask",
            value: value.to_owned(),
            kind: "netmask",
        })
}

/// What the kernel assumes without a netmask.
fn prefix_of_class(address: Ipv4Addr) -> u8 {
    match address.octets()[0] {
        0..=127 => 8,
        128..=191 => 16,
        _ => 24,
    }
}

fn apply(wanted: &Wanted) -> io::Result<()> {
    let device = match &wanted.device {
        Some(device) => device.clone(),
        None => first_device()?,
    };
    let index = index_of(&device)?;
    if !has_address(&device)? {
        netlink::bring_up(index)?;
        netlink::add_address(index, wanted.address, wanted.prefix)?;
        if let Some(gateway) = wanted.gateway {
            netlink::add_default_route(index, gateway)?;
        }
    }
    if let Some(name) = &wanted.host_name {
        let present = gethostname()?;
        if present.is_empty() || present == "(none)" {
            sethostname(name)?;
        }
    }
    write_name_servers(Path::new(NAME_SERVERS), &wanted.name_servers)
}

/// The first interface that leads anywhere.
fn first_device() -> io::Result<String> {
    let interfaces = if_nameindex()?;
    let mut names = interfaces
        .iter()
        .filter_map(|interface| interface.name().to_str().ok());
    names
        .find(|name| *name != LOOPBACK)
        .map(ToOwned::to_owned)
        .ok_or_else(|| io::Error::other("there is no network interface"))
}

fn index_of(device: &str) -> io::Result<u32> {
    if_nametoindex(device).map_err(|error| {
        io::Error::new(io::Error::from(error).kind(), format!("{device}: {error}"))
    })
}

fn has_address(device: &str) -> io::Result<bool> {
    Ok(getifaddrs()?.any(|interface| {
        let address = interface.address;
        interface.interface_name == device
            && address.is_some_and(|address| address.as_sockaddr_in().is_some())
    }))
}

fn write_name_servers(file: &Path, servers: &[Ipv4Addr]) -> io::Result<()> {
    if servers.is_empty() {
        return Ok(());
    }
    let lines = servers
        .iter()
        .map(|server| format!("nameserver {server}\n"));
    fs::write(file, lines.collect::<String>())
}

#[cfg(test)]
mod tests;
