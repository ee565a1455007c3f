//! Settings of a health check apart from any file: rule by rule, merged, and as JSON.

use proptest::prelude::*;
use ringcheck::check::http::{Method, Version};
use ringcheck::config::{
    CheckPort, CheckProtocol, GroupConfig, GroupSpec, HealthCheck, HealthCheckSpec, Lifecycle,
    Origin, Protocol, Rules, Wrong, from_json, target_body,
};
use ringcheck::recipe::Handshake;
use std::time::Duration;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn spec(json: &str) -> HealthCheckSpec {
    from_json(json.as_bytes()).unwrap_or_else(|error| panic!("{json}: {error}"))
}

/// The error of `json` under `rules`.
fn error(rules: Rules, json: &str) -> String {
    spec(json).build(rules).expect_err(json).to_string()
}

fn built(rules: Rules, json: &str) -> HealthCheck {
    spec(json).build(rules).unwrap_or_else(|error| panic!("{rules:?} {json}: {error}"))
}

/// DESIGN 3.1, the paragraph below the table.
#[test]
fn the_rule_set_of_alibaba_has_its_defaults_and_limits() {
    let tcp = built(Rules::Alibaba, "{}");
    assert_eq!((tcp.interval, tcp.timeout), (seconds(5), seconds(5)));
    assert_eq!((tcp.healthy_threshold, tcp.unhealthy_threshold), (2, 2));
    let http = built(Rules::Alibaba, r#"{"protocol":"HTTP"}"#);
    assert_eq!(http.timeout, seconds(5));
    let Protocol::Http(http) = http.protocol else { panic!() };
    assert_eq!(
        (&*http.request.path, http.request.host, &*http.matcher.to_string()),
        ("/", None, "200-299")
    );
    assert_eq!((http.request.method, http.request.version), (Method::Get, Version::Http10));

    let path = format!("/{}", "x".repeat(79));
    for good in [
        r#"{"interval":"1s","timeout":"300s"}"#,
        r#"{"interval":"50s","timeout":"1s"}"#,
        r#"{"healthy_threshold":2,"unhealthy_threshold":10}"#,
        r#"{"protocol":"HTTP","matcher":"200-299,400-599","method":"HEAD"}"#,
        r#"{"protocol":"HTTP","http_version":"HTTP1.1","host":"www.example.com"}"#,
        &format!(r#"{{"protocol":"HTTP","path":"{path}"}}"#),
    ] {
        built(Rules::Alibaba, good);
    }
    for (bad, allowed) in [
        (r#"{"interval":"999ms"}"#, "1s to 50s"),
        (r#"{"interval":"51s"}"#, "1s to 50s"),
        (r#"{"timeout":"999ms"}"#, "1s to 300s"),
        (r#"{"timeout":"301s"}"#, "1s to 300s"),
        (r#"{"healthy_threshold":1}"#, "2 to 10"),
        (r#"{"unhealthy_threshold":11}"#, "2 to 10"),
        (r#"{"protocol":"HTTP","matcher":"100-199"}"#, "as a whole"),
        (r#"{"protocol":"HTTP","matcher":"200-298"}"#, "as a whole"),
        (&format!(r#"{{"protocol":"HTTP","path":"{path}x"}}"#), "1 to 80 characters"),
    ] {
        let error = error(Rules::Alibaba, bad);
        assert!(error.contains("is outside rules \"alibaba\"; allowed: "), "{error}");
        assert!(error.contains(allowed), "{error}");
    }
}

#[test]
fn a_violation_reads_as_the_native_api_says_it() {
    let free = "rules = \"free\" would allow it";
    for (rules, json, line) in [
        (
            Rules::Classic,
            r#"{"interval":"5s"}"#,
            format!("interval \"5s\" is outside rules \"classic\"; allowed: 10s or 30s; {free}"),
        ),
        (
            Rules::Classic,
            r#"{"unhealthy_threshold":4}"#,
            format!(
                "unhealthy_threshold 4 does not equal healthy_threshold 3 (the default), outside \
                 rules \"classic\"; set both to the same number from 2 to 10; {free}"
            ),
        ),
        (
            Rules::Current,
            r#"{"interval":"5s"}"#,
            format!(
                "timeout \"10s\" (the default) is above interval \"5s\", outside rules \
                 \"current\"; allowed: up to the interval; {free}"
            ),
        ),
        (
            Rules::Current,
            r#"{"protocol":"HTTP","method":"HEAD"}"#,
            format!("method \"HEAD\" is outside rules \"current\"; allowed: GET only; {free}"),
        ),
        (
            Rules::Classic,
            r#"{"protocol":"HTTP","http_version":"HTTP1.0"}"#,
            format!(
                "http_version \"HTTP1.0\" is outside rules \"classic\"; \
                 allowed: HTTP1.1 only; {free}"
            ),
        ),
        (
            Rules::Free,
            r#"{"method":"GET"}"#,
            "method \"GET\" has no meaning for a TCP check; \
             remove method, or set protocol = \"HTTP\""
                .to_owned(),
        ),
        (
            Rules::Free,
            r#"{"healthy_threshold":-4000000000}"#,
            "healthy_threshold -4000000000 is outside rules \"free\"; allowed: 1 to 100".to_owned(),
        ),
    ] {
        assert_eq!(error(rules, json), line);
    }
}

/// DESIGN 3.1, the first row of the table.
#[test]
fn each_rule_set_has_its_protocols() {
    for (rules, allowed) in [
        (Rules::Classic, "TCP, HTTP, HTTPS"),
        (Rules::Current, "TCP, HTTP, HTTPS"),
        (Rules::Free, "TCP, HTTP, HTTPS, TLS, UDP, GRPC, GRPCS"),
        (Rules::Alibaba, "TCP, HTTP, UDP"),
    ] {
        for protocol in CheckProtocol::ALL.map(CheckProtocol::name) {
            let json = format!(r#"{{"protocol":"{protocol}"}}"#);
            if allowed.split(", ").any(|word| word == protocol) {
                assert_eq!(built(rules, &json).protocol.word().name(), protocol);
                continue;
            }
            let expected = format!(
                "protocol \"{protocol}\" is outside rules \"{}\"; allowed: {allowed}; \
                 rules = \"free\" would allow it",
                rules.name()
            );
            assert_eq!(error(rules, &json), expected);
        }
    }
}

#[test]
fn a_dialect_can_look_at_what_is_wrong() {
    let check = HealthCheckSpec { timeout: Some(seconds(12)), ..HealthCheckSpec::default() };
    let check = HealthCheckSpec { interval: Some(seconds(11)), ..check };
    let violation = check.build(Rules::Current).unwrap_err();
    assert_eq!((violation.setting, &*violation.value), ("timeout", "\"12s\""));
    let expected = Wrong::AboveInterval {
        rules: Rules::Current,
        interval: seconds(11),
        timeout: seconds(12),
        timeout_is_default: false,
    };
    assert_eq!(violation.wrong, expected);
    let port = Some(CheckPort::Number(0));
    let violation = HealthCheckSpec { port, ..HealthCheckSpec::default() }.build(Rules::Free);
    assert_eq!(violation.unwrap_err().setting, "port");
}

/// What `newer` makes of `older`, both valid under `rules`.
fn merged(rules: Rules, older: &str, newer: &str) -> Result<HealthCheck, String> {
    let mut all = HealthCheckSpec::of(&built(rules, older));
    all.overlay(spec(newer));
    all.build(rules).map_err(|violation| violation.to_string())
}

#[test]
fn newer_settings_are_merged_by_key() {
    let older = r#"{"interval":"10s","port":81,"enabled":false}"#;
    let check =
        merged(Rules::Classic, older, r#"{"interval":null,"port":"traffic-port"}"#).unwrap();
    assert_eq!((check.interval, check.port, check.enabled), (seconds(10), None, false));
    let error = merged(Rules::Classic, older, r#"{"healthy_threshold":2}"#).unwrap_err();
    assert!(
        error.starts_with("unhealthy_threshold 3 does not equal healthy_threshold 2"),
        "{error}"
    );
    let both = r#"{"healthy_threshold":2,"unhealthy_threshold":2}"#;
    assert_eq!(merged(Rules::Classic, older, both).unwrap().healthy_threshold, 2);
}

#[test]
fn another_protocol_takes_nothing_of_the_old_one_along() {
    let http = r#"{"protocol":"HTTP","path":"/up","host":"a.example","matcher":"200-399"}"#;
    let tcp = merged(Rules::Classic, http, r#"{"protocol":"TCP"}"#).unwrap();
    assert_eq!((tcp.protocol, tcp.timeout), (Protocol::Tcp, seconds(10)));
    let error = merged(Rules::Classic, http, r#"{"protocol":"TCP","path":"/up"}"#).unwrap_err();
    assert!(error.starts_with("path \"/up\" has no meaning for a TCP check; "), "{error}");

    let tcp = r#"{"handshake":"full","timeout":"3s"}"#;
    let http = merged(Rules::Free, tcp, r#"{"protocol":"HTTP"}"#).unwrap();
    assert_eq!((http.handshake, http.timeout), (Handshake::Half, seconds(3)));
    let error = merged(Rules::Free, tcp, r#"{"protocol":"HTTP","handshake":"full"}"#).unwrap_err();
    assert!(error.starts_with("handshake \"full\" has no meaning for an HTTP check; "), "{error}");
    // The same protocol again is no change.
    let same = merged(Rules::Free, tcp, r#"{"protocol":"TCP"}"#).unwrap();
    assert_eq!((same.handshake, same.timeout), (Handshake::Full, seconds(3)));
}

#[test]
fn json_is_refused_in_one_line() {
    for (json, line) in [
        (
            r#"{"intervall":"5s"}"#,
            "unknown key \"intervall\", health_check; did you mean \"interval\"?",
        ),
        (
            r#"{"interval":5}"#,
            "interval 5 is not a duration, health_check; \
             write it as text with a unit, as \"10s\"",
        ),
        (
            r#"{"interval":"5 s"}"#,
            "interval \"5 s\" is not a duration, health_check; \
             write it as 500ms, 10s, 5m, 2h or 1d",
        ),
        (
            r#"{"path":"/a","path":"/b"}"#,
            "key \"path\" is given twice, health_check; remove one of them",
        ),
        (r#"{"port":65536}"#, "port 65536 is out of range, health_check; allowed: 1 to 65535"),
        (
            r#"{"port":"8080"}"#,
            "port \"8080\" is neither a port nor \"traffic-port\", health_check; \
             write \"traffic-port\", or a number from 1 to 65535 without quotes",
        ),
        (
            r#"{"healthy_threshold":2.5}"#,
            "healthy_threshold a fraction is not a whole number, health_check; allowed: 1 to 100",
        ),
        (
            r#"{"enabled":"yes"}"#,
            "enabled \"yes\" is not a truth value, health_check; \
             write true or false",
        ),
        (r#"{"matcher":["200"]}"#, "matcher a list is not text, health_check; put it in quotes"),
        (
            "[]",
            "invalid type: sequence, expected an object with the settings of a health check, \
             line 1 column 0; write a JSON object",
        ),
        ("{\n", "text ends while parsing an object, line 2 column 0; write a JSON object"),
    ] {
        assert_eq!(from_json::<HealthCheckSpec>(json.as_bytes()).unwrap_err(), line, "{json}");
    }
}

#[test]
fn what_tls_needs_is_merged_by_key_and_goes_with_the_protocol() {
    let older = r#"{"protocol":"HTTPS","host":"a.example","path":"/up",
        "tls":{"server_name":"b.example","alpn":["http/1.1"]}}"#;
    let settings = |check: &HealthCheck| check.protocol.tls().unwrap().settings().clone();
    let check = merged(Rules::Classic, older, r#"{"tls":{"full_handshake_every":1}}"#).unwrap();
    let tls = settings(&check);
    assert_eq!((tls.server_name.as_deref(), tls.full_handshake_every), (Some("b.example"), 1));
    assert_eq!((tls.alpn, tls.verify), (vec!["http/1.1".to_owned()], false));
    let null = merged(Rules::Classic, older, r#"{"tls":null}"#).unwrap();
    assert_eq!(settings(&null).server_name.as_deref(), Some("b.example"));
    let http = merged(Rules::Classic, older, r#"{"protocol":"HTTP"}"#).unwrap();
    let request = &http.protocol.http().unwrap().request;
    assert_eq!((&*request.path, request.host.as_deref()), ("/up", Some("a.example")));
    assert_eq!((http.protocol.tls(), http.timeout), (None, seconds(6)));
    let error = merged(Rules::Classic, older, r#"{"protocol":"HTTP","tls":{"verify":false}}"#);
    assert!(error.unwrap_err().starts_with("tls.verify false has no meaning for an HTTP check; "));

    let reuse = r#"{"protocol":"HTTP","reuse":true,"fresh_connection_every":5}"#;
    let check = merged(Rules::Free, reuse, r#"{"interval":"1s"}"#).unwrap();
    assert_eq!(check.reuse.unwrap().fresh_connection_every, 5);
    assert_eq!(merged(Rules::Free, reuse, r#"{"reuse":false}"#).unwrap().reuse, None);
    let post = r#"{"protocol":"HTTP","method":"POST","body":"ping","body_contains":"a"}"#;
    let get = merged(Rules::Free, post, r#"{"method":"GET","body_regex":"b"}"#).unwrap();
    let http = get.protocol.http().unwrap();
    assert_eq!((&*http.request.body, http.body_match.as_ref().unwrap().text()), ("", "b"));
}

#[test]
fn json_of_tls_is_refused_in_one_line() {
    for (json, line) in [
        ("true", "tls true is not an object, health_check; write it as {\"verify\":true}"),
        (r#"{"verfy":true}"#, "unknown key \"verfy\", health_check.tls; did you mean \"verify\"?"),
        (
            r#"{"verify":true,"verify":true}"#,
            "key \"verify\" is given twice, health_check.tls; remove one of them",
        ),
        (
            r#"{"ca_file":"ca.pem"}"#,
            "tls.ca_file \"ca.pem\" is not an absolute path, health_check; begin it with /",
        ),
        (
            r#"{"alpn":["h2",1]}"#,
            "tls.alpn a list is not a list of texts, health_check; write it as [\"…\"]",
        ),
    ] {
        let json = format!(r#"{{"protocol":"TLS","tls":{json}}}"#);
        assert_eq!(from_json::<HealthCheckSpec>(json.as_bytes()).unwrap_err(), line, "{json}");
    }
}

#[test]
fn json_is_written_as_the_api_shows_it() {
    let http = r#"{"protocol":"HTTP","port":81,"interval":"1500ms","matcher":"204,200"}"#;
    let http = HealthCheckSpec::of(&built(Rules::Free, http));
    let expected = concat!(
        r#"{"enabled":true,"protocol":"HTTP","port":81,"interval":"1500ms","timeout":"6s","#,
        r#""healthy_threshold":3,"unhealthy_threshold":3,"close":"reset","path":"/","host":null,"#,
        r#""matcher":"200,204","method":"GET","http_version":"HTTP1.1"}"#
    );
    assert_eq!(serde_json::to_string(&http).unwrap(), expected);
    let tcp = HealthCheckSpec::of(&built(Rules::Free, "{}"));
    let expected = concat!(
        r#"{"enabled":true,"protocol":"TCP","port":"traffic-port","interval":"30s","#,
        r#""timeout":"10s","healthy_threshold":3,"unhealthy_threshold":3,"close":"reset","#,
        r#""handshake":"half"}"#
    );
    assert_eq!(serde_json::to_string(&tcp).unwrap(), expected);
    assert_eq!(serde_json::to_string(&HealthCheckSpec::default()).unwrap(), "{}");
}

fn group(json: &str) -> Result<GroupConfig, String> {
    let spec: GroupSpec = from_json(json.as_bytes())?;
    spec.build("web", "tg-1".into(), Origin::default()).map_err(|violation| violation.to_string())
}

#[test]
fn a_group_is_made_of_its_settings() {
    let default = group("{}").unwrap();
    assert_eq!((&*default.name, &*default.id, default.rules), ("web", "tg-1", Rules::Classic));
    assert_eq!((default.port, default.deregistration_delay), (None, seconds(300)));
    let json = r#"{"rules":"alibaba","port":80,"deregistration_delay":"1h",
        "health_check":{"protocol":"HTTP","interval":"50s"}}"#;
    let made = group(json).unwrap();
    assert_eq!((made.rules, made.port), (Rules::Alibaba, Some(80)));
    assert_eq!(
        (made.deregistration_delay, made.health_check.interval),
        (seconds(3_600), seconds(50))
    );
    // What is shown makes the same group again.
    let shown = serde_json::to_string(&GroupSpec::of(&made)).unwrap();
    let again = group(&shown).unwrap();
    assert_eq!((again.rules, again.health_check), (made.rules, made.health_check));
    assert_eq!((again.port, again.deregistration_delay), (Some(80), seconds(3_600)));
    assert_eq!(serde_json::to_string(&GroupSpec::default()).unwrap(), "{}");
    assert!(group(r#"{"health_check":null,"port":null}"#).is_ok());
}

#[test]
fn groups_are_merged_by_key() {
    let json = r#"{"rules":"free","port":80,"health_check":{"interval":"1s","timeout":"2s"}}"#;
    let mut all = GroupSpec::of(&group(json).unwrap());
    all.overlay(from_json(br#"{"port":81,"health_check":{"timeout":"3s"}}"#).unwrap());
    let made = all.build("web", "tg-1".into(), Origin::default()).unwrap();
    assert_eq!((made.port, made.rules), (Some(81), Rules::Free));
    assert_eq!((made.health_check.interval, made.health_check.timeout), (seconds(1), seconds(3)));
    all.overlay(from_json(br#"{"rules":"classic"}"#).unwrap());
    let error = all.build("web", "tg-1".into(), Origin::default()).unwrap_err().to_string();
    assert!(error.starts_with("interval \"1s\" is outside rules \"classic\"; "), "{error}");
}

#[test]
fn a_group_that_cannot_be_is_refused_in_one_line() {
    for (json, line) in [
        (r#"{"prot":80}"#, "unknown key \"prot\", group; did you mean \"port\"?"),
        (r#"{"port":0}"#, "port 0 is out of range, group; allowed: 1 to 65535"),
        (
            r#"{"rules":"clasic"}"#,
            "rules \"clasic\" is not known, group; did you mean \"classic\"?",
        ),
        (
            r#"{"deregistration_delay":"3601s"}"#,
            "deregistration_delay \"3601s\" is out of range; allowed: 0s to 1h",
        ),
        (
            r#"{"health_check":{"pth":"/"}}"#,
            "unknown key \"pth\", health_check; did you mean \"path\"?",
        ),
        (
            r#"{"health_check":{"interval":"5s"}}"#,
            "interval \"5s\" is outside rules \"classic\"; allowed: 10s or 30s; \
             rules = \"free\" would allow it",
        ),
    ] {
        assert_eq!(group(json).unwrap_err(), line, "{json}");
    }
    let spec = GroupSpec::default();
    for name in ["", "a\nb", &"x".repeat(256)] {
        let error = spec.build(name, "tg-1".into(), Origin::default()).unwrap_err();
        assert_eq!(error.setting, "name");
    }
}

#[test]
fn a_body_holds_targets() {
    let body = br#"{"targets":[
        {"address":"10.0.0.1"},
        {"id":"i-1","address":"10.0.0.2","port":81,"zone":"a","weight":7,"lifecycle":"stopped"}
    ]}"#;
    let all = target_body::targets(body, Some(80), 2).unwrap();
    assert_eq!(all[0].endpoint.to_string(), "10.0.0.1:80");
    assert_eq!((all[0].id.as_deref(), all[0].weight), (None, None));
    assert_eq!((all[1].id.as_deref(), all[1].zone.as_deref()), (Some("i-1"), Some("a")));
    assert_eq!((all[1].weight, all[1].lifecycle), (Some(7), Lifecycle::Stopped));
    assert_eq!(target_body::targets(br#"{"targets":[]}"#, None, 0).unwrap(), []);

    let cure = r#"write {"targets":[{"address":"10.0.0.1","port":80}]}"#;
    let one = r#"{"address":"10.0.0.1"}"#;
    for (body, line) in [
        (
            format!(r#"{{"targets":[{one},{{"address":"10.0.0.2","port":0}}]}}"#),
            "port 0 is not allowed, targets[1].port; allowed: 1 to 65535, without quotes",
        ),
        (
            format!(r#"{{"targets":[{one},{{"address":"10.0.0.2","wieght":0}}]}}"#),
            "unknown key \"wieght\", targets[1]; did you mean \"weight\"?",
        ),
        (
            format!(r#"{{"targets":[{one},{{"address":"10.0.0.2"}},{one}]}}"#),
            "target 10.0.0.1:80 is given twice, targets[2]; \
             it is also in targets[0]; remove one of them",
        ),
        (
            format!(r#"{{"targets":[{one},{{"port":1}}]}}"#),
            "target without address, targets[1]; add \"address\"",
        ),
        (
            format!(r#"{{"targets":[{one},{{"address":"web1"}}]}}"#),
            "target \"web1\" is a name, targets[1].address; \
             targets are addresses; write the address that the name resolves to",
        ),
        (
            format!(r#"{{"targets":[{one},{one},{one},{one}]}}"#),
            "more than 3 targets, targets[3]; send fewer at a time",
        ),
        ("{}".to_owned(), &format!("no targets, body; {cure}")),
        (
            format!(r#"{{"target":[{one}]}}"#),
            "unknown key \"target\", body; did you mean \"targets\"?",
        ),
        (
            format!("[{one}]"),
            &format!(
                "invalid type: sequence, expected an object with targets, \
                 body, line 1 column 0; {cure}"
            ),
        ),
        (
            r#"{"targets":[1]}"#.to_owned(),
            &format!(
                "invalid type: integer `1`, expected an object with an address, \
                 body, line 1 column 13; {cure}"
            ),
        ),
        (
            format!(r#"{{"targets":[{one}"#),
            &format!("body ends while parsing a list, body, line 1 column 34; {cure}"),
        ),
    ] {
        let error = target_body::targets(body.as_bytes(), Some(80), 3).unwrap_err();
        assert_eq!(error.to_string(), line, "{body}");
    }
    let error = target_body::targets(br#"{"targets":[{"address":"::1"}]}"#, None, 1).unwrap_err();
    let line = "target ::1 has no port, targets[0]; write it with a port, or set port in the group";
    assert_eq!(error.to_string(), line);
}

#[test]
fn a_body_holds_names_of_targets() {
    let body =
        br#"{"targets":[{"id":"i-1"},{"address":"::ffff:10.0.0.1","port":80},{"id":"i-1"}]}"#;
    let names = target_body::names(body, 3).unwrap();
    let shape: Vec<_> = names.iter().map(|name| (&*name.id, name.port)).collect();
    assert_eq!(shape, [("i-1", None), ("10.0.0.1", Some(80)), ("i-1", None)]);
    for (body, line) in [
        (
            r#"{"targets":[{"id":"a","address":"10.0.0.1"}]}"#,
            "target with id and address, targets[0]; name it by one of them",
        ),
        (
            r#"{"targets":[{"id":"a"},{"port":80}]}"#,
            "target without id, targets[1]; add \"id\" or \"address\"",
        ),
        (
            r#"{"targets":[{"id":"a","port":"80"}]}"#,
            "port \"80\" is not allowed, targets[0].port; allowed: 1 to 65535, without quotes",
        ),
        (
            r#"{"targets":[{"id":"a","zone":"b"}]}"#,
            "unknown key \"zone\", targets[0]; allowed: id, address, port",
        ),
        (
            r#"{"targets":[{"id":"a"},{"id":"b"},{"id":"c"},{"id":"d"}]}"#,
            "more than 3 targets, targets[3]; send fewer at a time",
        ),
    ] {
        let error = target_body::names(body.as_bytes(), 3).unwrap_err().to_string();
        assert_eq!(error, line, "{body}");
    }
}

#[test]
fn a_long_text_is_not_repeated() {
    let long = "x; ".repeat(1_000_000);
    for json in [
        format!(r#"{{"health_check":"{long}"}}"#),
        format!(r#"{{"rules":"{long}"}}"#),
        format!(r#"{{"{long}":1}}"#),
        format!(r#""{long}""#),
        format!(r#"{{"targets":["{long}"]}}"#),
        format!(r#"{{"targets":"{long}"}}"#),
        format!(r#"{{"targets":[{{"id":"{long}"}}]}}"#),
        format!(r#"{{"targets":[{{"address":"{long}"}}]}}"#),
        format!(r#"{{"targets":{}"#, "[".repeat(1_000_000)),
        format!(r#"{{"health_check":{}"#, "{\"a\":".repeat(1_000_000)),
    ] {
        for error in [
            from_json::<GroupSpec>(json.as_bytes()).unwrap_err(),
            target_body::targets(json.as_bytes(), None, 10).unwrap_err().to_string(),
            target_body::names(json.as_bytes(), 10).unwrap_err().to_string(),
        ] {
            assert!(error.len() < 600, "{} {error:.300}", error.len());
        }
    }
}

proptest! {
    /// Whatever a client sends, the answer is a list or one short line.
    #[test]
    fn a_body_of_rubbish_is_refused_in_one_line(
        text in r#"([\[\]{}":,0-9a-f]|\{"targets":\[|\{"id":"|"port":|address|null|[^a]){0,30}"#,
    ) {
        let mut errors = Vec::new();
        let error = target_body::targets(text.as_bytes(), None, 10).err();
        errors.extend(error.map(|error| error.to_string()));
        let error = target_body::names(text.as_bytes(), 10).err();
        errors.extend(error.map(|error| error.to_string()));
        errors.extend(from_json::<GroupSpec>(text.as_bytes()).err());
        for error in errors {
            prop_assert!(error.len() < 600 && !error.contains('\n'), "{}", error);
        }
    }
}
