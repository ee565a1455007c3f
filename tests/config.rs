//! Configurations, good and bad: every `bad-NAME.toml` in testdata is refused with exactly the line
//! in `bad-NAME.txt`.

use proptest::prelude::*;
use ringcheck::config::targets::parse_target;
use ringcheck::config::{
    AlibabaConfig, AwsConfig, Backend, Config, ConfigError, HealthCheck, Lifecycle, Protocol,
    Rules, duration, load, target_file,
};
use ringcheck::recipe::{Close, Handshake};
use std::fs;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

const TESTDATA: &str = "tests/testdata/config";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Loads `text` as a file of its own.
fn load_text(text: &str) -> Result<Config, ConfigError> {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(text.as_bytes()).expect("writable");
    load(file.path())
}

/// The health check of the only group, with `settings` under `rules`.
fn check(rules: &str, settings: &str) -> Result<HealthCheck, String> {
    let text =
        format!("[[group]]\nname = \"g\"\nrules = \"{rules}\"\n[group.health_check]\n{settings}\n");
    let config = load_text(&text).map_err(|error| error.to_string())?;
    Ok(config.groups[0].health_check.clone())
}

#[test]
fn every_bad_file_is_refused_with_its_line() {
    let mut cases = 0;
    let mut wrong = String::new();
    let mut files: Vec<PathBuf> =
        fs::read_dir(TESTDATA).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        if !(name.starts_with("bad-") && name.ends_with(".toml")) {
            continue;
        }
        cases += 1;
        let expected = fs::read_to_string(file.with_extension("txt")).unwrap_or_default();
        let shown = match load(&file) {
            Ok(_) => "loaded without an error".to_owned(),
            Err(error) => error.to_string(),
        };
        if shown != expected.trim_end() {
            wrong += &format!("{name}\n  expected: {}\n  shown:    {shown}\n", expected.trim_end());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(cases >= 35, "only {cases} cases were found");
}

#[test]
fn the_design_sample_is_read_whole() {
    let config = load(&Path::new(TESTDATA).join("good-design.toml")).unwrap();
    assert_eq!((config.engine.workers, config.engine.max_in_flight), (Some(2), Some(16_384)));
    assert_eq!((config.engine.backend, config.engine.max_targets), (Backend::Auto, 2_000_000));
    assert_eq!(config.api.socket, Path::new("/run/ringcheck/api.sock"));
    assert_eq!((config.api.socket_mode, config.api.socket_group), (0o660, None));
    assert_eq!(config.state.dir.as_deref(), Some(Path::new("/var/lib/ringcheck")));
    assert_eq!(config.load_balancers[0].zones, ["zone-a", "zone-b"]);
    assert!(config.load_balancers[0].id.starts_with("nlb-"));
    let listener = &config.listeners[0];
    assert_eq!((listener.port, listener.protocol.name()), (443, "TCPSSL"));
    assert!(listener.id.starts_with("lsn-"));

    let group = &config.groups[0];
    assert_eq!((&*group.name, group.rules, group.port), ("web", Rules::Classic, Some(8_080)));
    assert!(group.id.starts_with("tg-"));
    assert_eq!(group.deregistration_delay, seconds(300));
    assert_eq!(group.targets_files, [Path::new(TESTDATA).join("web.json")]);
    assert_eq!(group.targets.len(), 2 + 65_536 + 1);
    let endpoint = |index: usize| group.targets[index].endpoint.to_string();
    assert_eq!([endpoint(0), endpoint(1)], ["10.0.0.1:8080", "10.0.0.2:8081"]);
    assert_eq!([endpoint(2), endpoint(65_537)], ["10.1.0.0:8080", "10.1.255.255:8080"]);
    let from_file = &group.targets[65_538];
    assert_eq!(from_file.endpoint.to_string(), "10.0.0.1:80");
    assert_eq!((from_file.id.as_deref(), from_file.zone.as_deref()), (Some("i-1"), Some("zone-a")));
    assert_eq!((from_file.weight, from_file.lifecycle), (Some(100), Lifecycle::Running));

    let health = &group.health_check;
    assert_eq!((health.interval, health.timeout), (seconds(10), seconds(6)));
    assert_eq!((health.healthy_threshold, health.unhealthy_threshold), (3, 3));
    let Some(http) = health.protocol.http() else { panic!("not HTTP") };
    let (path, host, matcher) = (&http.request.path, &http.request.host, &http.matcher);
    assert_eq!((&**path, host.as_deref()), ("/healthz", Some("web.internal")));
    assert!(matcher.matches(200) && matcher.matches(399) && !matcher.matches(400));
}

#[test]
fn an_empty_file_is_valid_and_has_the_defaults() {
    for text in ["", "# nothing\n", "[engine]\n[api]\n[state]\n"] {
        let config = load_text(text).unwrap();
        assert!(config.groups.is_empty() && config.listeners.is_empty());
        assert_eq!((config.engine.workers, config.engine.max_in_flight), (None, None));
        assert_eq!(config.engine.max_targets, 2_000_000);
        assert_eq!(config.api.socket, Path::new("/run/ringcheck/api.sock"));
        assert_eq!(config.api.socket_mode, 0o660);
        assert_eq!(config.state.dir, None);
        assert_eq!(config.state.snapshot_interval, seconds(60));
        assert_eq!(config.state.snapshot_max_age, seconds(3_600));
    }
}

#[test]
fn the_aws_dialect_has_a_place_and_rules() {
    assert_eq!(load_text("").unwrap().aws, AwsConfig::default());
    let text = "[aws]\nregion = \"eu-west-1\"\naccount = \"123456789012\"\nrules = \"current\"";
    let aws = load_text(text).unwrap().aws;
    let (region, account) = ("eu-west-1".to_owned(), "123456789012".to_owned());
    assert_eq!(aws, AwsConfig { region, account, rules: Rules::Current });
}

#[test]
fn the_alibaba_dialect_has_a_region() {
    assert_eq!(load_text("").unwrap().alibaba.region, "cn-hangzhou");
    let alibaba = load_text("[alibaba]\nregion = \"eu-central-1\"").unwrap().alibaba;
    assert_eq!(alibaba, AlibabaConfig { region: "eu-central-1".to_owned() });
}

#[test]
fn the_api_listens_on_loopback_only() {
    assert_eq!(load_text("").unwrap().api.listen, None);
    let listen = |address: &str| {
        let config = format!("[api]\nlisten = {address:?}\n[state]\ndir = \"/tmp/state\"");
        load_text(&config).map(|config| config.api.listen)
    };
    for address in ["127.0.0.1:9411", "127.255.0.9:1", "[::1]:0", "[::ffff:127.0.0.1]:80"] {
        assert_eq!(listen(address).unwrap(), Some(address.parse().unwrap()));
    }
    for address in ["0.0.0.0:9411", "[::]:9411", "10.0.0.1:80", "[::ffff:10.0.0.1]:80"] {
        let error = listen(address).unwrap_err().to_string();
        assert!(error.contains("is not on loopback, "), "{error}");
    }
    for address in ["", "9411", "127.0.0.1", ":9411", "localhost:9411", "127.0.0.1:65536"] {
        let error = listen(address).unwrap_err().to_string();
        assert!(error.contains("is not an address with a port, "), "{error}");
    }
}

#[test]
fn missing_keys_have_the_defaults_of_the_rule_set() {
    for (rules, thresholds) in [("classic", (3, 3)), ("current", (5, 2)), ("free", (3, 3))] {
        let tcp = check(rules, "").unwrap();
        assert_eq!(tcp.protocol, Protocol::Tcp);
        assert_eq!((tcp.enabled, tcp.port), (true, None));
        assert_eq!((tcp.interval, tcp.timeout), (seconds(30), seconds(10)), "{rules}");
        assert_eq!((tcp.healthy_threshold, tcp.unhealthy_threshold), thresholds, "{rules}");
        assert_eq!((tcp.close, tcp.handshake), (Close::Reset, Handshake::Half));
        let http = check(rules, "protocol = \"HTTP\"").unwrap();
        assert_eq!(http.timeout, seconds(6), "{rules}");
        let Protocol::Http(http) = http.protocol else { panic!("not HTTP") };
        let (path, host, matcher) = (http.request.path, http.request.host, http.matcher);
        assert_eq!((&*path, host, &*matcher.to_string()), ("/", None, "200-399"));
    }
}

/// DESIGN 3.1, the table: for each rule set the values at and beyond each limit.
#[test]
fn each_rule_set_allows_what_its_column_says() {
    let good = [
        ("classic", "interval = \"10s\""),
        ("classic", "interval = \"30s\"\ntimeout = \"10s\""),
        ("classic", "interval = \"0.5m\""),
        ("classic", "protocol = \"HTTP\"\ntimeout = \"6s\"\nmatcher = \"200-299,300-399\""),
        ("classic", "healthy_threshold = 2\nunhealthy_threshold = 2"),
        ("classic", "healthy_threshold = 10\nunhealthy_threshold = 10"),
        ("current", "interval = \"5s\"\ntimeout = \"5s\""),
        ("current", "interval = \"300s\"\ntimeout = \"120s\""),
        ("current", "interval = \"5m\"\ntimeout = \"2s\""),
        ("current", "healthy_threshold = 2\nunhealthy_threshold = 10"),
        ("current", "protocol = \"HTTP\"\nmatcher = \"200,201,599\""),
        ("free", "interval = \"100ms\"\ntimeout = \"10ms\""),
        ("free", "interval = \"24h\"\ntimeout = \"5m\""),
        ("free", "interval = \"1s\"\ntimeout = \"2s\""),
        ("free", "healthy_threshold = 1\nunhealthy_threshold = 100"),
        ("free", "protocol = \"HTTP\"\nmatcher = \"100-599\""),
    ];
    for (rules, settings) in good {
        check(rules, settings).unwrap_or_else(|error| panic!("{rules} {settings}: {error}"));
    }
    // Rules, settings, and whether `free` is named as a cure.
    let bad = [
        ("classic", "interval = \"20s\"", true),
        ("classic", "interval = \"99ms\"", false),
        ("classic", "timeout = \"9s\"", true),
        ("classic", "protocol = \"HTTP\"\ntimeout = \"10s\"", true),
        ("classic", "protocol = \"HTTP\"\nmatcher = \"200\"", true),
        ("classic", "healthy_threshold = 1\nunhealthy_threshold = 1", true),
        ("classic", "healthy_threshold = 4", true),
        ("classic", "unhealthy_threshold = 11\nhealthy_threshold = 11", true),
        ("current", "interval = \"4999ms\"\ntimeout = \"2s\"", true),
        ("current", "interval = \"301s\"", true),
        ("current", "interval = \"25h\"", false),
        ("current", "timeout = \"1999ms\"", true),
        ("current", "interval = \"200s\"\ntimeout = \"121s\"", true),
        ("current", "interval = \"6s\"\ntimeout = \"7s\"", true),
        ("current", "interval = \"6s\"", true),
        ("current", "healthy_threshold = 1", true),
        ("current", "unhealthy_threshold = 101", false),
        ("current", "protocol = \"HTTP\"\nmatcher = \"199\"", true),
        ("free", "interval = \"99ms\"", false),
        ("free", "interval = \"86400001ms\"", false),
        ("free", "timeout = \"9ms\"", false),
        ("free", "timeout = \"300001ms\"", false),
        ("free", "healthy_threshold = 0", false),
        ("free", "healthy_threshold = 256", false),
        ("free", "unhealthy_threshold = -1", false),
        ("free", "protocol = \"HTTP\"\nmatcher = \"99\"", false),
        ("free", "protocol = \"HTTP\"\nmatcher = \"600\"", false),
    ];
    for (rules, settings, free) in bad {
        let error = check(rules, settings).expect_err(settings);
        let named = error.contains("rules = \"free\" would allow it");
        assert_eq!(named, free, "{rules} {settings}: {error}");
    }
}

#[test]
fn what_free_is_said_to_allow_it_does_allow() {
    for settings in ["interval = \"20s\"", "timeout = \"9s\"", "healthy_threshold = 4"] {
        assert!(check("classic", settings).is_err());
        check("free", settings).unwrap();
    }
}

#[test]
fn a_wide_range_fails_at_once() {
    for range in ["0.0.0.0/0", "::/0", "2001:db8::/32", "10.0.0.0/8"] {
        let text = format!("[[group]]\nname = \"g\"\nport = 80\ntargets = [\"{range}\"]\n");
        let error = load_text(&text).unwrap_err().to_string();
        assert!(error.contains("engine.max_targets is 2000000"), "{range}: {error}");
    }
}

#[test]
fn the_bound_holds_over_all_groups_and_files() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("list.txt"), "10.0.1.1\n10.0.1.2\n10.0.1.3\n").unwrap();
    let file = dir.path().join("ringcheck.toml");
    let load_with = |max_targets: usize| {
        let text = format!(
            "[engine]\nmax_targets = {max_targets}\n\
             [[group]]\nname = \"a\"\nport = 80\ntargets = [\"10.0.0.0/30\"]\n\
             [[group]]\nname = \"b\"\nport = 80\ntargets_file = \"list.txt\"\n"
        );
        fs::write(&file, text).unwrap();
        load(&file).map_err(|error| error.to_string())
    };
    assert_eq!(load_with(7).unwrap().groups[1].targets.len(), 3);
    let error = load_with(6).unwrap_err();
    let place = dir.path().join("list.txt:3");
    let expected = format!(
        "more than 6 targets, {}; engine.max_targets is 6; list fewer, or raise it",
        place.display()
    );
    assert_eq!(error, expected);
    assert!(
        load_with(3)
            .unwrap_err()
            .starts_with("range 10.0.0.0-10.0.0.3 has 4 addresses, 3 are left, ")
    );
}

#[test]
fn what_is_not_a_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let error = load(dir.path()).unwrap_err().to_string();
    assert!(error.starts_with("cannot read the configuration (is a directory), "), "{error}");
    let error = load(&dir.path().join("none.toml")).unwrap_err().to_string();
    assert!(error.contains("(no such file or directory)"), "{error}");
    let file = dir.path().join("ringcheck.toml");
    for (bytes, what) in [(&b"a\n\0"[..], "NUL byte, "), (b"\n\n\xFF", "not UTF-8, ")] {
        fs::write(&file, bytes).unwrap();
        let error = load(&file).unwrap_err().to_string();
        assert!(error.starts_with(what), "{error}");
    }
    // A pipe nobody writes to must not be waited for, an endless device not be read.
    nix::unistd::mkfifo(&dir.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    for name in ["pipe", "/dev/zero"] {
        let text = format!("[[group]]\nname = \"g\"\ntargets_file = \"{name}\"\n");
        fs::write(&file, text).unwrap();
        let error = load(&file).unwrap_err().to_string();
        assert!(error.starts_with("not a regular file, "), "{error}");
    }
}

#[test]
fn hostile_files_end_in_an_error() {
    let deep = "[".repeat(100_000);
    let nested = "a.".repeat(100_000);
    let json_deep = format!("[{{\"id\":{}", "[".repeat(100_000));
    for text in [format!("x = {deep}"), format!("{nested}b = 1"), "x".repeat(1_000_000)] {
        let error = load_text(&text).unwrap_err().to_string();
        assert!(error.len() < 1_000 && !error.contains('\n'), "{error}");
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ringcheck.toml");
    fs::write(&file, "[[group]]\nname = \"g\"\nport = 1\ntargets_file = \"list\"\n").unwrap();
    for bytes in [json_deep.as_bytes(), b"[{\"address\":\"\xFF\"}]", b"10.0.0.1\n\0", b"\xFF"] {
        fs::write(dir.path().join("list"), bytes).unwrap();
        let error = load(&file).unwrap_err().to_string();
        assert!(error.len() < 1_000 && error.contains("list:"), "{error}");
    }
}

#[test]
fn a_duplicate_in_a_long_list_without_order_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let mut lines = String::new();
    for index in 0..200_000_u32 {
        // A bijection, so that no address comes twice.
        let address = index.wrapping_mul(0x9E37_79B1);
        lines += &format!("{}\n", Ipv4Addr::from(address));
    }
    let again = Ipv4Addr::from(4_711_u32.wrapping_mul(0x9E37_79B1));
    fs::write(dir.path().join("list.txt"), &lines).unwrap();
    let file = dir.path().join("ringcheck.toml");
    fs::write(&file, "[[group]]\nname = \"g\"\nport = 1\ntargets_file = \"list.txt\"\n").unwrap();
    assert_eq!(load(&file).unwrap().groups[0].targets.len(), 200_000);

    fs::write(dir.path().join("list.txt"), lines + &format!("{again}\n")).unwrap();
    let list = dir.path().join("list.txt");
    let list = list.display();
    let expected = format!(
        "target {again}:1 is given twice in group \"g\", {list}:200001; \
         it is also in {list}:4712; remove one of them"
    );
    assert_eq!(load(&file).unwrap_err().to_string(), expected);
}

/// The text of the blocks of `document` that are opened with this word alone.
fn blocks<'a>(document: &'a str, word: &str) -> Vec<&'a str> {
    let fence = format!("```{word}\n");
    let blocks = document.split(&fence).skip(1);
    blocks.map(|rest| rest.split_once("```").expect("a closing fence").0).collect()
}

#[test]
fn the_example_is_as_its_comments_say() {
    let config = load(Path::new("examples/ringcheck.toml")).unwrap();
    let groups = config.groups.iter();
    let shape: Vec<_> =
        groups.map(|group| (&*group.name, group.rules, group.targets.len())).collect();
    let expected = [
        ("web", Rules::Current, 4),
        ("cache", Rules::Classic, 20),
        ("shop", Rules::Classic, 2),
        ("dns", Rules::Free, 2),
        ("lab", Rules::Free, 256 + 1 + 1),
    ];
    assert_eq!(shape, expected);
    assert_eq!(config.groups[0].targets[3].lifecycle, Lifecycle::Stopped);
    assert_eq!(config.groups[1].targets[0].endpoint.to_string(), "10.20.0.1:11211");
}

/// A ```toml block is a whole file, which may name the targets files of the examples.
#[test]
fn every_configuration_in_the_documents_loads() {
    let directory = tempfile::tempdir().unwrap();
    for file in ["web.json", "cache.txt"] {
        fs::copy(Path::new("examples").join(file), directory.path().join(file)).unwrap();
    }
    let documents = fs::read_dir("docs").unwrap().map(|entry| entry.unwrap().path());
    let documents =
        documents.chain([PathBuf::from("README.md")].into_iter().filter(|f| f.exists()));
    let mut loaded = 0;
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        for block in blocks(&text, "toml") {
            let file = directory.path().join("ringcheck.toml");
            fs::write(&file, block).unwrap();
            let config = load(&file);
            assert!(config.is_ok(), "{}: {}\n{block}", document.display(), config.unwrap_err());
            loaded += 1;
        }
    }
    assert!(loaded >= 2, "only {loaded} blocks were found");
}

/// What the reader of a table refuses names every key of it; docs/CONFIG.md has a row for each.
#[test]
fn every_key_stands_in_the_reference() {
    let reference = fs::read_to_string("docs/CONFIG.md").unwrap();
    let tables = [
        "[engine]",
        "[api]",
        "[state]",
        "[aws]",
        "[alibaba]",
        "[[load_balancer]]",
        "[[listener]]",
        "[[group]]",
        "[[group]]\nname = \"g\"\n[group.health_check]",
    ];
    let unknown = "no_such_key_by_any_stretch";
    for table in tables {
        let error = load_text(&format!("{table}\n{unknown} = 1")).unwrap_err().to_string();
        let (_, keys) = error.split_once("; allowed: ").expect("the keys of the table");
        for key in keys.split(", ") {
            assert!(reference.contains(&format!("\n| `{key}` |")), "{table} {key} has no row");
        }
        let title = table.lines().last().unwrap();
        assert!(reference.contains(&format!("`{title}`")), "{title} is not in docs/CONFIG.md");
    }
    let json = format!("[{{\"{unknown}\":1}}]");
    let error = target_file::read("f", json.as_bytes(), 100, &mut |_, _| Ok(())).unwrap_err();
    let error = error.to_string();
    let (_, keys) = error.split_once("; allowed: ").expect("the fields of an object");
    for key in keys.split(", ") {
        assert!(reference.contains(&format!("\n| `{key}` |")), "JSON field {key} has no row");
    }
}

#[test]
fn the_error_in_the_reference_is_the_real_one() {
    let reference = fs::read_to_string("docs/CONFIG.md").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let text = "[[group]]\nname = \"web\"\n\n\n[group.health_check]\ninterval = \"20s\"";
    fs::write(directory.path().join("web.toml"), text).unwrap();
    let error = load(&directory.path().join("web.toml")).unwrap_err().to_string();
    let error = error.replace(&format!("{}/", directory.path().display()), "");
    assert_eq!(format!("error: {error}"), blocks(&reference, "text")[0].trim());
}

proptest! {
    #[test]
    fn durations_survive_being_written(ms in 0..1_000_000_000_000_u64) {
        let duration = Duration::from_millis(ms);
        prop_assert_eq!(duration::parse(&duration::text(duration)), Ok(duration));
    }

    #[test]
    fn ranges_hold_what_they_count(ip: u32, prefix in 20..=32_u8, port in 1..=u16::MAX) {
        let ip = Ipv4Addr::from(ip);
        let range = parse_target(&format!("{ip}/{prefix}:{port}")).unwrap();
        prop_assert_eq!(range.port, Some(port));
        let all: Vec<_> = range.addresses().collect();
        prop_assert_eq!(all.len() as u128, range.count());
        prop_assert_eq!(all.len(), 1 << (32 - prefix));
        prop_assert!(all.contains(&ip.into()));
        prop_assert!(all.is_sorted());
    }

    /// Rubbish ends in an error of one short line, whatever reads it.
    #[test]
    fn rubbish_is_refused_in_one_line(
        text in r#"([\[\]{}":,.#=\r\n\\ 0-9a-f/é]|address|port|group|targets|ms|[^a]){0,40}"#,
    ) {
        let mut errors = Vec::new();
        errors.extend(load_text(&text).err().map(|error| error.to_string()));
        errors.extend(parse_target(&text).err().map(|error| error.to_string()));
        errors.extend(duration::parse(&text).err().map(|error| error.to_string()));
        let list = target_file::read("f", text.as_bytes(), 100, &mut |_, _| Ok(()));
        errors.extend(list.err().map(|error| error.to_string()));
        for error in errors {
            prop_assert!(error.len() < 600 && !error.contains('\n'), "{}", error);
        }
    }
}
