//! Parsing, and a network namespace that is configured.

use std::{io::Write as _, process::Command, thread};

use nix::sched::{CloneFlags, unshare};

use super::*;

#[test]
fn reads_every_field() {
    let wanted = parse("10.0.2.15::10.0.2.2:255.255.255.0:name:eth0:off:10.0.2.3:10.0.2.4:1.2.3.4");
    let expected = Wanted {
        address: Ipv4Addr::new(10, 0, 2, 15),
        prefix: 24,
        gateway: Some(Ipv4Addr::new(10, 0, 2, 2)),
        host_name: Some("name".to_owned()),
        device: Some("eth0".to_owned()),
        name_servers: vec![Ipv4Addr::new(10, 0, 2, 3), Ipv4Addr::new(10, 0, 2, 4)],
    };
    assert_eq!(wanted, Ok(Some(expected)));
}

#[test]
fn an_address_alone_will_do() {
    for (value, prefix) in [("10.1.1.1", 8), ("172.16.0.9::", 16), ("192.168.0.2", 24)] {
        let wanted = parse(value).unwrap().unwrap();
        assert_eq!(
            (wanted.prefix, wanted.gateway, wanted.device),
            (prefix, None, None)
        );
    }
    for off in ["", "off", "none"] {
        assert_eq!(parse(off), Ok(None));
    }
}

#[test]
fn what_cannot_be_done_is_named() {
    for (value, told) in [
        ("dhcp", "ip=dhcp asks for an address by itself"),
        (":::::eth0:dhcp", "ip=:::::eth0:dhcp asks for an address"),
        (
            "10.0.0.300",
            "the address \"10.0.0.300\" is no IPv4 address",
        ),
        ("10.0.0.3::gate", "the gateway \"gate\" is no IPv4 address"),
        (
            "10.0.0.3:::255.0.255.0",
            "the netmask \"255.0.255.0\" is no IPv4 netmask",
        ),
        ("10.0.0.3::::::off:x", "the name server \"x\""),
    ] {
        let text = parse(value).unwrap_err().to_string();
        assert!(text.contains(told), "{value}: {text}");
    }
}

#[test]
fn name_servers_go_into_their_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("resolv.conf");
    write_name_servers(&file, &[]).unwrap();
    assert!(!file.exists());
    write_name_servers(&file, &[Ipv4Addr::new(10, 0, 2, 3)]).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "nameserver 10.0.2.3\n");
}

fn ip(arguments: &str) -> String {
    #[expect(clippy::disallowed_methods, reason = "no runtime runs here")]
    let output = Command::new("ip")
        .args(arguments.split(' '))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {text}");
    String::from_utf8(output.stdout).unwrap()
}

/// A network namespace is a thread's own; without root it cannot be made.
#[test]
fn a_machine_gets_its_network() {
    let test = || {
        if unshare(CloneFlags::CLONE_NEWNET).is_err() {
            // Not through a macro, whose text is kept back when the test passes.
            let _ = writeln!(
                io::stderr(),
                "ATTENTION: NOT TESTED: a network namespace takes root"
            );
            return;
        }
        assert!(!ip("link show lo").contains("UP"));
        bring_up_loopback();
        assert!(ip("link show lo").contains(",UP"));
        bring_up_loopback();

        ip("link add eth0 type veth peer name cable");
        ip("link set cable up");
        configure("quiet root=/dev/vda ip=10.9.8.7::10.9.8.1:255.255.255.0::eth0: panic=1");
        let address = ip("-4 addr show eth0");
        assert!(address.contains("inet 10.9.8.7/24"), "{address}");
        let route = ip("route");
        assert!(route.contains("default via 10.9.8.1 dev eth0"), "{route}");
        // One that the kernel has configured is left alone.
        configure("ip=10.9.8.9:::255.255.255.0::eth0");
        assert_eq!(ip("-4 addr show eth0"), address);
        // Without a device the first that leads anywhere is taken: of a pair the peer.
        configure("ip=10.9.9.9:::255.255.255.0");
        assert!(ip("-4 addr show cable").contains("inet 10.9.9.9/24"));
    };
    thread::spawn(test).join().unwrap();
}
