//! The rules, one table each; e2e has a real page try to get in.

use super::*;

fn head(pairs: &[(&str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
        .collect()
}

fn judge_with(
    rules: &Rules,
    surface: Surface,
    own: bool,
    pairs: &[(&str, &str)],
) -> Result<(), Refusal> {
    let headers = head(pairs);
    let uri = Uri::from_static("/healthz");
    rules.judge(
        surface,
        own,
        &Head {
            uri: &uri,
            version: Version::HTTP_11,
            headers: &headers,
        },
    )
}

fn judge(surface: Surface, own: bool, pairs: &[(&str, &str)]) -> Result<(), Refusal> {
    judge_with(&Rules::default(), surface, own, pairs)
}

#[test]
fn a_request_without_one_well_formed_host_is_refused() {
    for pairs in [
        &[][..],
        &[("host", "")],
        &[("host", "a b")],
        &[("host", "user@127.0.0.1")],
        &[("host", "127.0.0.1"), ("host", "127.0.0.1")],
    ] {
        assert_eq!(
            judge(Surface::Api, false, pairs),
            Err(Refusal::NoHost),
            "{pairs:?}"
        );
    }
}

#[test]
fn an_absolute_target_must_agree_with_the_host() {
    let headers = head(&[("host", "127.0.0.1:10001")]);
    let uri = Uri::from_static("http://evil.example/healthz");
    let head = Head {
        uri: &uri,
        version: Version::HTTP_11,
        headers: &headers,
    };
    assert_eq!(
        Rules::default().judge(Surface::Api, false, &head),
        Err(Refusal::NoHost)
    );
}

#[test]
fn pages_of_other_sites_are_refused_and_the_address_bar_is_not() {
    for (site, expected) in [
        ("cross-site", Err(Refusal::CrossSite)),
        ("same-site", Err(Refusal::CrossSite)),
        ("same-origin", Ok(())),
        ("none", Ok(())),
    ] {
        let pairs = [("host", "127.0.0.1:10001"), ("sec-fetch-site", site)];
        assert_eq!(judge(Surface::Api, true, &pairs), expected, "{site}");
    }
}

#[test]
fn nodes_fetch_is_let_in() {
    let pairs = [("host", "127.0.0.1:10001"), ("sec-fetch-mode", "cors")];
    assert_eq!(judge(Surface::Api, true, &pairs), Ok(()));
}

#[test]
fn an_origin_is_refused_unless_configured() {
    let rules = Rules {
        allowed_origins: vec!["https://app.example.com/".parse().unwrap()],
        allowed_hosts: Vec::new(),
    };
    for (origin, expected) in [
        ("https://app.example.com", Ok(())),
        ("https://APP.example.com", Ok(())),
        ("http://app.example.com", Err(Refusal::Origin)),
        ("https://app.example.com:444", Err(Refusal::Origin)),
        ("https://app.example.com.evil.net", Err(Refusal::Origin)),
        ("null", Err(Refusal::Origin)),
        ("http://127.0.0.1:10001", Err(Refusal::Origin)),
    ] {
        let pairs = [("host", "127.0.0.1:10001"), ("origin", origin)];
        assert_eq!(
            judge_with(&rules, Surface::Api, false, &pairs),
            expected,
            "{origin}"
        );
    }
    let cross = [
        ("host", "127.0.0.1:10001"),
        ("origin", "https://app.example.com"),
        ("sec-fetch-site", "cross-site"),
    ];
    assert_eq!(judge_with(&rules, Surface::Api, false, &cross), Ok(()));
}

#[test]
fn the_devtools_port_takes_its_own_address_as_origin() {
    for (host, origin, expected) in [
        ("127.0.0.1:9222", "http://127.0.0.1:9222", Ok(())),
        ("[::1]:9222", "http://[::1]:9222", Ok(())),
        ("localhost:9222", "http://localhost:9222", Ok(())),
        ("10.1.2.3:9222", "https://10.1.2.3:9222", Ok(())),
        (
            "127.0.0.1:9222",
            "http://127.0.0.1:8000",
            Err(Refusal::Origin),
        ),
        (
            "127.0.0.1:9222",
            "http://localhost:9222",
            Err(Refusal::Origin),
        ),
        ("browser:9222", "http://browser:9222", Err(Refusal::Origin)),
        ("127.0.0.1:9222", "null", Err(Refusal::Origin)),
    ] {
        let pairs = [("host", host), ("origin", origin)];
        assert_eq!(
            judge(Surface::DevTools, false, &pairs),
            expected,
            "{host} {origin}"
        );
    }
}

#[test]
fn a_caller_on_this_machine_must_name_loopback() {
    for (host, expected) in [
        ("127.0.0.1:10001", Ok(())),
        ("127.8.9.1", Ok(())),
        ("[::1]:10001", Ok(())),
        ("[::ffff:127.0.0.1]:10001", Ok(())),
        ("localhost:10001", Ok(())),
        ("LOCALHOST", Ok(())),
        ("0.0.0.0:10001", Err(Refusal::OwnMachine)),
        ("[::]:10001", Err(Refusal::OwnMachine)),
        ("192.168.7.7:10001", Err(Refusal::OwnMachine)),
        ("browser:10001", Err(Refusal::OwnMachine)),
        ("evil.localhost", Err(Refusal::OwnMachine)),
        ("rebound.example.com", Err(Refusal::OwnMachine)),
    ] {
        assert_eq!(
            judge(Surface::Api, true, &[("host", host)]),
            expected,
            "{host}"
        );
    }
}

#[test]
fn a_caller_from_elsewhere_may_name_what_public_dns_cannot() {
    for (host, expected) in [
        ("10.1.2.3:10001", Ok(())),
        ("[fd00::1]:10001", Ok(())),
        ("browser:10001", Ok(())),
        ("browser.pool.svc:10001", Ok(())),
        ("browser.pool.svc.cluster.local", Ok(())),
        ("vm7.internal", Ok(())),
        ("printer.local", Ok(())),
        ("a.localhost:10001", Ok(())),
        ("rebound.example.com", Err(Refusal::HostName)),
        ("notlocal", Ok(())),
        ("127.0.0.1.nip.io", Err(Refusal::HostName)),
        ("evil.com.", Err(Refusal::HostName)),
    ] {
        assert_eq!(
            judge(Surface::Api, false, &[("host", host)]),
            expected,
            "{host}"
        );
    }
}

#[test]
fn configured_hosts_are_let_in() {
    let rules = |patterns: &[&str]| Rules {
        allowed_origins: Vec::new(),
        allowed_hosts: patterns
            .iter()
            .map(|pattern| pattern.parse().unwrap())
            .collect(),
    };
    let judge = |rules: &Rules, host| judge_with(rules, Surface::Api, false, &[("host", host)]);
    let named = rules(&["Browser.example.com", "*.vm.example.com"]);
    assert_eq!(judge(&named, "browser.example.com:443"), Ok(()));
    assert_eq!(judge(&named, "a.b.vm.example.com"), Ok(()));
    assert_eq!(judge(&named, "vm.example.com"), Err(Refusal::HostName));
    assert_eq!(judge(&named, "evil-vm.example.com"), Err(Refusal::HostName));
    assert_eq!(judge(&rules(&["*"]), "anything.example.org"), Ok(()));
}

#[test]
fn malformed_settings_say_what_is_allowed() {
    for bad in [
        "*",
        "example.com",
        "ftp://example.com",
        "https://a.b/path",
        "https://u@a.b",
        "",
    ] {
        assert!(bad.parse::<Origin>().is_err(), "{bad:?}");
    }
    for bad in ["", "a.b:80", "https://a.b", "*.", "a b"] {
        assert!(bad.parse::<HostPattern>().is_err(), "{bad:?}");
    }
}
