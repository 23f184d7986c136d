//! Requests to the kernel's routing tables, `rtnetlink(7)`. Numbers are those of
//! `linux/netlink.h` and `linux/rtnetlink.h`.

use std::{io, net::Ipv4Addr, os::fd::AsRawFd as _};

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};

const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;
/// `NLM_F_REQUEST | NLM_F_ACK`: do it, and say how it went.
const CHANGE: u16 = 0x0001 | 0x0004;
/// The same with `NLM_F_REPLACE | NLM_F_CREATE`.
const CREATE: u16 = CHANGE | 0x0100 | 0x0400;
const NLMSG_ERROR: u16 = 2;
/// Bytes of `struct nlmsghdr`.
const HEAD: usize = 16;
const AF_INET: u8 = 2;
const IFF_UP: u32 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RT_TABLE_MAIN: u8 = 254;
const RTPROT_BOOT: u8 = 3;
const RTN_UNICAST: u8 = 1;

/// Brings an interface up.
pub(super) fn bring_up(index: u32) -> io::Result<()> {
    // struct ifinfomsg: family, padding, type, index, flags, which of them to change.
    let mut body = vec![0; 4];
    for number in [index, IFF_UP, IFF_UP] {
        body.extend(number.to_ne_bytes());
    }
    request(RTM_NEWLINK, CHANGE, &body)
}

/// Gives an interface an address.
pub(super) fn add_address(index: u32, address: Ipv4Addr, prefix: u8) -> io::Result<()> {
    // struct ifaddrmsg: family, prefix, flags, scope, index.
    let mut body = vec![AF_INET, prefix, 0, 0];
    body.extend(index.to_ne_bytes());
    body.extend(attribute(IFA_LOCAL, address.octets()));
    body.extend(attribute(IFA_ADDRESS, address.octets()));
    request(RTM_NEWADDR, CREATE, &body)
}

/// Sends what is for elsewhere to a gateway.
pub(super) fn add_default_route(index: u32, gateway: Ipv4Addr) -> io::Result<()> {
    // struct rtmsg: family, lengths of destination and source, type of service, table, protocol,
    // scope, type, flags.
    let mut body = vec![AF_INET, 0, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, 0, RTN_UNICAST];
    body.extend([0; 4]);
    body.extend(attribute(RTA_OIF, index.to_ne_bytes()));
    body.extend(attribute(RTA_GATEWAY, gateway.octets()));
    request(RTM_NEWROUTE, CREATE, &body)
}

/// `struct rtattr` with a value of four bytes.
fn attribute(kind: u16, value: [u8; 4]) -> impl Iterator<Item = u8> {
    let [length, kind] = [8_u16, kind].map(u16::to_ne_bytes);
    length.into_iter().chain(kind).chain(value)
}

/// Sends one request, and waits for its acknowledgement.
fn request(kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )?;
    // struct nlmsghdr: length, type, flags, sequence, port; the last two are for the sender.
    let length = u32::try_from(HEAD + body.len()).map_err(io::Error::other)?;
    let mut message = Vec::from(length.to_ne_bytes());
    for number in [kind, flags] {
        message.extend(number.to_ne_bytes());
    }
    message.extend([0; 8]);
    message.extend(body);
    send(socket.as_raw_fd(), &message, MsgFlags::empty())?;
    let mut answer = [0; 1024];
    let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    acknowledged(&answer[..length])
}

/// `struct nlmsgerr`: behind the head a negative error number, or 0.
fn acknowledged(answer: &[u8]) -> io::Result<()> {
    let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok());
    let code = answer
        .get(HEAD..HEAD + 4)
        .and_then(|bytes| bytes.try_into().ok());
    match (kind.map(u16::from_ne_bytes), code.map(i32::from_ne_bytes)) {
        (Some(NLMSG_ERROR), Some(0)) => Ok(()),
        (Some(NLMSG_ERROR), Some(code)) => Err(io::Error::from_raw_os_error(-code)),
        _ => Err(io::Error::other("the kernel gave no acknowledgement")),
    }
}
