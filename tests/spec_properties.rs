//! Settings of a health check, whatever they are: as JSON, taken apart, and merged.

use proptest::prelude::*;
use ringcheck::check::http::{Method, Version};
use ringcheck::config::{CheckPort, CheckProtocol, HealthCheckSpec, Rules, TlsSpec, from_json};
use ringcheck::recipe::{Close, Handshake, ProxyProtocol};
use std::collections::BTreeMap;
use std::time::Duration;

fn any_tls() -> impl Strategy<Value = TlsSpec> {
    use prop::option::of;
    use prop::sample::select;
    let alpn = vec![vec![], vec!["h2".to_owned()], vec!["http/1.1".to_owned(), "x".to_owned()]];
    let own = (of(any::<bool>()), of(select(vec!["a.example", "10.0.0.1"])));
    (own, of(select(alpn)), of(0..1_002_i64)).prop_map(|((verify, name), alpn, every)| TlsSpec {
        // Roots are the system's business, and it may have none.
        verify: verify.filter(|verify| !verify),
        server_name: name.map(str::to_owned),
        alpn,
        full_handshake_every: every,
        ..TlsSpec::default()
    })
}

/// Settings that only some protocols have, to be put on top of others.
fn any_extras() -> impl Strategy<Value = HealthCheckSpec> {
    use prop::option::of;
    use prop::sample::select;
    let text = |texts: &[&'static str]| of(select(texts.to_vec()).prop_map(str::to_owned));
    let header = |name: &str| BTreeMap::from([(name.to_owned(), "b c".to_owned())]);
    let headers = of(select(vec![header("X-A"), header("Host"), BTreeMap::new()]));
    let proxies = vec![ProxyProtocol::V1, ProxyProtocol::V2];
    let http = (headers, text(&["", "ping"]), text(&["ok", ""]), text(&["o+k", "a(b"]));
    let udp = (text(&["ping", "hex:00ff", "hex:0"]), text(&["", "pong"]), text(&["", "a.B"]));
    let connection = (of(select(proxies)), of(any::<bool>()), of(0..12_i64), any_tls());
    (http, udp, connection).prop_map(|(http, udp, connection)| HealthCheckSpec {
        headers: http.0,
        body: http.1,
        body_contains: http.2,
        body_regex: http.3,
        send: udp.0,
        expect: udp.1,
        grpc_service: udp.2,
        proxy_protocol: connection.0,
        reuse: connection.1,
        fresh_connection_every: connection.2,
        tls: connection.3,
        ..HealthCheckSpec::default()
    })
}

fn any_spec() -> impl Strategy<Value = HealthCheckSpec> {
    use prop::option::of;
    use prop::sample::select;
    let ports = vec![CheckPort::Traffic, CheckPort::Number(80)];
    let times = || of((1..400_u64).prop_map(|n| Duration::from_millis(n * 500)));
    let counts = || of(0..12_i64);
    let protocols = of(select(CheckProtocol::ALL.to_vec()));
    let common = (of(any::<bool>()), protocols, of(select(ports)), times(), times());
    let own = (
        of(select(vec!["/", "/up?a=1", "x"])),
        of(select(vec!["a.example", "[::1]:80"])),
        of(select(vec!["200-299", "200-399", "204"])),
        of(select(Method::ALL.to_vec())),
        of(select(vec![Version::Http10, Version::Http11])),
        of(select(vec![Handshake::Half, Handshake::Full])),
        of(select(vec![Close::Reset, Close::Graceful])),
    );
    let thresholds = (counts(), counts());
    // Most have what their protocol has and no more, so that they come to something.
    (common, own, thresholds, any_extras(), 0..8_u8).prop_map(
        |(common, own, thresholds, extras, whole)| {
            let spec = HealthCheckSpec {
                enabled: common.0,
                protocol: common.1,
                port: common.2,
                interval: common.3,
                timeout: common.4,
                path: own.0.map(str::to_owned),
                host: own.1.map(str::to_owned),
                matcher: own.2.map(str::to_owned),
                method: own.3,
                http_version: own.4,
                handshake: own.5,
                close: own.6,
                healthy_threshold: thresholds.0,
                unhealthy_threshold: thresholds.1,
                ..extras
            };
            if whole == 0 { spec } else { fitting(spec) }
        },
    )
}

/// `spec` without what its protocol does not have.
fn fitting(spec: HealthCheckSpec) -> HealthCheckSpec {
    let protocol = spec.protocol;
    let other = CheckProtocol::ALL.into_iter().find(|&other| Some(other) != protocol);
    let mut fitting = HealthCheckSpec { protocol: other, ..spec };
    fitting.overlay(HealthCheckSpec {
        protocol: Some(protocol.unwrap_or_default()),
        ..HealthCheckSpec::default()
    });
    fitting
}

proptest! {
    #[test]
    fn json_says_the_same_as_the_settings(spec in any_spec()) {
        let json = serde_json::to_vec(&spec).unwrap();
        prop_assert_eq!(from_json::<HealthCheckSpec>(&json), Ok(spec));
    }

    #[test]
    fn a_valid_check_survives_being_taken_apart(spec in any_spec()) {
        for rules in Rules::ALL {
            let Ok(check) = spec.build(rules) else { continue };
            prop_assert_eq!(HealthCheckSpec::of(&check).build(rules), Ok(check));
        }
    }

    /// Merging a change of protocol never fails for what the older settings were.
    #[test]
    fn a_change_of_protocol_alone_is_always_allowed(
        spec in any_spec(),
        next in prop::sample::select(CheckProtocol::ALL.to_vec()),
    ) {
        let protocol = Some(next);
        for rules in [Rules::Classic, Rules::Free, Rules::Alibaba] {
            let Ok(check) = spec.build(rules) else { continue };
            // What one protocol may wait and another may not, and what one may offer.
            let waits = check.interval > Duration::from_secs(50) && rules == Rules::Alibaba;
            let is_grpc = check.protocol.word() == CheckProtocol::Grpcs;
            let offers = check.protocol.tls().is_some_and(|tls| !tls.settings().alpn.is_empty());
            if waits || offers && !is_grpc || !rules.protocols().contains(&next) {
                continue;
            }
            let mut all = HealthCheckSpec::of(&check);
            all.overlay(HealthCheckSpec { protocol, ..HealthCheckSpec::default() });
            prop_assert!(all.build(rules).is_ok(), "{:?} {:?}", rules, all.build(rules));
        }
    }
}
