//! The options of `probe` that say what a probe does, made into the recipe of each target: settings
//! of a health check under rule set `free`, whose words are put into those of the command line.

use super::ProbeArgs;
use super::target::word;
use crate::config::{
    CheckProtocol, HealthCheck, HealthCheckSpec, Problem, Rules, TlsSpec, Violation, Wrong,
    duration, quoted,
};
use crate::recipe::Recipe;
use std::collections::BTreeMap;
use std::time::Duration;

/// What the options give to all targets.
#[derive(Debug)]
pub(super) struct Settings {
    spec: HealthCheckSpec,
}

impl Settings {
    /// Those of `args`.
    ///
    /// # Errors
    /// The first option that no target could have.
    pub(super) fn new(args: &ProbeArgs) -> Result<Self, Problem> {
        let (http, tls) = (&args.http, &args.tls);
        let spec = HealthCheckSpec {
            timeout: args.timeout.as_deref().map(timeout).transpose()?,
            handshake: args.tcp.handshake.map(Into::into),
            proxy_protocol: args.tcp.proxy_protocol.map(Into::into),
            path: http.path.clone(),
            matcher: http.matcher.clone(),
            method: http.method.map(Into::into),
            headers: headers(&http.headers)?,
            body: http.body.clone(),
            body_contains: http.body_contains.clone(),
            body_regex: http.body_regex.clone(),
            send: args.udp.send.clone(),
            expect: args.udp.expect.clone(),
            grpc_service: args.grpc.grpc_service.clone(),
            tls: TlsSpec {
                verify: tls.tls_verify.then_some(true),
                ca_file: tls.tls_ca_file.clone(),
                client_cert: tls.tls_client_cert.clone(),
                client_key: tls.tls_client_key.clone(),
                server_name: tls.tls_server_name.clone(),
                alpn: Some(tls.tls_alpn.clone()).filter(|alpn| !alpn.is_empty()),
                full_handshake_every: None,
            },
            ..HealthCheckSpec::default()
        };
        let settings = Self { spec };
        settings.judge_alone()?;
        Ok(settings)
    }

    /// The recipe of target `text`, of which `path` and `host` were written.
    ///
    /// # Errors
    /// An option that has no meaning for it, or does not go with the others.
    pub(super) fn recipe(
        &self,
        text: &str,
        protocol: CheckProtocol,
        path: Option<String>,
        host: Option<String>,
    ) -> Result<Recipe, Problem> {
        let mut spec = HealthCheckSpec { protocol: Some(protocol), ..self.spec.clone() };
        spec.path = path.or(spec.path);
        if protocol == CheckProtocol::Tls {
            let name = host.map(|host| host.split(':').next().unwrap_or_default().to_owned());
            spec.tls.server_name = spec.tls.server_name.or(name);
        } else if protocol.has("host") {
            spec.host = host;
        }
        let check = spec.build(Rules::Free).map_err(|violation| of_target(&violation, text))?;
        let check = HealthCheck {
            // The next probe of a target starts when the one before is over.
            interval: Duration::ZERO,
            healthy_threshold: 1,
            unhealthy_threshold: 1,
            ..check
        };
        Ok(check.recipe())
    }

    /// Judges the options that every protocol has, or that are wrong for whichever has them, so
    /// that it is said even where there is no target.
    fn judge_alone(&self) -> Result<(), Problem> {
        for protocol in [CheckProtocol::Tcp, CheckProtocol::Http] {
            let alone = HealthCheckSpec {
                protocol: Some(protocol),
                timeout: self.spec.timeout,
                path: self.spec.path.clone().filter(|_| protocol == CheckProtocol::Http),
                matcher: self.spec.matcher.clone().filter(|_| protocol == CheckProtocol::Http),
                ..HealthCheckSpec::default()
            };
            alone.build(Rules::Free).map_err(|violation| of_option(&violation))?;
        }
        Ok(())
    }
}

/// A violation by what was asked of target `text`.
fn of_target(violation: &Violation, text: &str) -> Problem {
    let Wrong::NoMeaning { protocol } = violation.wrong else { return of_option(violation) };
    let option = option(violation.setting);
    let (is, near) = (protocol.name(), word(protocol.nearest_with(violation.setting)));
    let what = format!("{option} has no meaning for {is} target {}", quoted(text));
    let cure = match violation.setting {
        "handshake" => "or probe TCP targets by themselves".to_owned(),
        _ => format!("or add --protocol {near}"),
    };
    Problem::new(what, format!("remove {option}, {cure}"))
}

/// A violation in the words of the command line.
fn of_option(violation: &Violation) -> Problem {
    let Violation { setting, value, wrong } = violation;
    let option = option(setting);
    match wrong {
        Wrong::Outside { allowed, .. } => {
            Problem::new(format!("{option} {value} is out of range"), format!("allowed: {allowed}"))
        }
        Wrong::Malformed { what, cure } => {
            Problem::new(format!("{option} {value} {what}"), in_options(cure))
        }
        Wrong::Part { what, cure } => Problem::new(format!("{option} {what}"), in_options(cure)),
        Wrong::NoMeaning { .. } | Wrong::AboveInterval { .. } | Wrong::ThresholdsDiffer { .. } => {
            violation.problem()
        }
    }
}

/// The option that gives `setting`.
fn option(setting: &str) -> String {
    match setting {
        "headers" => "--header".to_owned(),
        setting => format!("--{}", setting.replace(['_', '.'], "-")),
    }
}

/// A cure that says what to write into a configuration, as an option.
fn in_options(cure: &str) -> String {
    match cure.split_once(" = ") {
        Some((before, value)) => {
            let (verb, key) = before.rsplit_once(' ').unwrap_or(("give", before));
            format!("{verb} {} {}", option(key), value.trim_matches('"'))
        }
        None => cure.to_owned(),
    }
}

fn timeout(text: &str) -> Result<Duration, Problem> {
    duration::parse(text)
        .map_err(|Problem { what, cure }| Problem::new(format!("--timeout {what}"), cure))
}

fn headers(written: &[String]) -> Result<Option<BTreeMap<String, String>>, Problem> {
    let mut headers = BTreeMap::new();
    for text in written {
        let Some((name, value)) = text.split_once(':') else {
            let what = format!("--header {} has no colon", quoted(text));
            return Err(Problem::new(what, "write it as 'Name: value'"));
        };
        if headers.keys().any(|known: &String| known.eq_ignore_ascii_case(name)) {
            let what = format!("--header {} is given twice", quoted(name));
            return Err(Problem::new(what, "give each header once"));
        }
        headers.insert(name.to_owned(), value.trim_matches([' ', '\t']).to_owned());
    }
    Ok(Some(headers).filter(|headers| !headers.is_empty()))
}
