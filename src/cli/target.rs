//! `ringcheck target`: one target, with its last probe and its history.

use super::client::{Client, DaemonArgs, encoded, parse};
use super::events::Transition;
use super::targets::Target;
use super::{Answer, Exit, Failure, Format, table, units};
use serde::Deserialize;
use std::io::{self, Write};

/// Show one target: state, reason, last probe, last transitions. Exit status 1 if it is not
/// healthy.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ringcheck target web 10.0.0.1
  ringcheck target web i-0abc --port 8080")]
pub struct TargetArgs {
    /// Its group.
    #[arg(value_name = "GROUP")]
    pub group: String,
    /// Its id: as registered, or its address.
    #[arg(value_name = "ID")]
    pub id: String,
    /// Its port, where the group has the id with several ports.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// Which daemon, and how to print.
    #[command(flatten)]
    pub daemon: DaemonArgs,
}

/// `GET /v1/groups/{group}/targets/{id}`.
#[derive(Deserialize)]
struct InFull {
    #[serde(flatten)]
    target: Target,
    streak: i64,
    transitions: Vec<Transition>,
}

/// Runs the command.
pub fn run(args: &TargetArgs) -> Answer {
    let mut path = format!("/v1/groups/{}/targets/{}", encoded(&args.group), encoded(&args.id));
    if let Some(port) = args.port {
        path.push_str(&format!("?port={port}"));
    }
    let text = Client::connect(&args.daemon.socket)?.get(&path)?;
    let target: InFull = parse(&text)?;
    let mut out = io::stdout().lock();
    let written = match args.daemon.format {
        Format::Table => print(&mut out, &target),
        Format::Json => writeln!(out, "{}", text.trim_end()),
    };
    written.or_else(table::gone).map_err(|error| Failure::output(&error))?;
    Ok(if target.target.state == "healthy" { Exit::Good } else { Exit::Bad })
}

fn print(out: &mut impl Write, all: &InFull) -> io::Result<()> {
    let target = &all.target;
    let mut line = |name: &str, text: &str| {
        if text.is_empty() { Ok(()) } else { writeln!(out, "{name:<11} {}", table::clean(text)) }
    };
    let address = match target.address.contains(':') {
        true => format!("[{}]:{}", target.address, target.port),
        false => format!("{}:{}", target.address, target.port),
    };
    line("target", &target.id)?;
    line("address", &address)?;
    line("zone", target.zone.as_deref().unwrap_or(""))?;
    line("weight", &target.weight.to_string())?;
    let since = target.since.as_deref().map(|at| format!(" since {at}")).unwrap_or_default();
    line("state", &format!("{}{since}", target.state))?;
    let reason = [&target.reason, &target.description];
    let reason: Vec<_> = reason.into_iter().flatten().map(String::as_str).collect();
    line("reason", &reason.join(": "))?;
    let outcome = [&target.code, &target.detail];
    let outcome: Vec<_> = outcome.into_iter().flatten().map(String::as_str).collect();
    line("code", &outcome.join(", "))?;
    let streak = match all.streak {
        0 => String::new(),
        passes @ 1.. => {
            units::counted(passes.unsigned_abs(), "consecutive pass").replace("passs", "passes")
        }
        fails => units::counted(fails.unsigned_abs(), "consecutive failure"),
    };
    line("streak", &streak)?;
    if let Some(probe) = &target.last_probe {
        let phases = [
            ("connected", probe.connect_us),
            ("TLS", probe.tls_us),
            ("first byte", probe.first_byte_us),
            ("over", Some(probe.total_us)),
        ];
        let phases = phases.into_iter().filter_map(|(name, us)| Some((name, us?)));
        let phases = phases.map(|(name, us)| format!("{name} after {}", units::micros(us)));
        let phases = phases.collect::<Vec<_>>().join(", ");
        line("last probe", &format!("{}: {phases}", probe.at))?;
    }
    if let Some(tls) = &target.tls {
        let negotiated = [Some(&tls.version), Some(&tls.cipher), tls.alpn.as_ref()];
        let negotiated: Vec<_> = negotiated.into_iter().flatten().map(String::as_str).collect();
        line("TLS", &negotiated.join(", "))?;
        line("subject", tls.subject.as_deref().unwrap_or(""))?;
        line("issuer", tls.issuer.as_deref().unwrap_or(""))?;
        line("names", &tls.names.as_deref().unwrap_or_default().join(", "))?;
        line("certificate", &tls.expiry().unwrap_or_default())?;
    }
    for (index, transition) in all.transitions.iter().enumerate() {
        let name = if index == 0 { "transitions" } else { "" };
        let Transition { at, from, to, code, detail, .. } = transition;
        let detail = detail.as_deref().map(|detail| format!(", {detail}")).unwrap_or_default();
        writeln!(
            out,
            "{name:<11} {}",
            table::clean(&format!("{at} {from} -> {to} {code}{detail}"))
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_reads_well() {
        let text = r#"{"id":"i-1","address":"::1","port":80,"zone":null,"weight":100,
            "state":"unhealthy","reason":"Target.FailedHealthChecks",
            "description":"Health checks failed","code":"L4CON",
            "detail":"connection refused (ECONNREFUSED)","status":null,
            "since":"2026-01-02T03:04:05.678Z","last_probe":{"at":"2026-01-02T03:04:06.000Z",
            "connect_us":5,"tls_us":null,"first_byte_us":null,"total_us":1200},"group":"web",
            "streak":-3,"transitions":[{"seq":9,"at":"2026-01-02T03:04:05.678Z","from":"healthy",
            "to":"unhealthy","reason":"Target.FailedHealthChecks","code":"L4CON","detail":"x"},
            {"seq":2,"at":"2026-01-02T03:00:00.000Z","from":"initial","to":"healthy","reason":null,
            "code":"L4OK","detail":null}]}"#;
        let mut out = Vec::new();
        print(&mut out, &parse(text).unwrap()).unwrap();
        let expected = "\
target      i-1
address     [::1]:80
weight      100
state       unhealthy since 2026-01-02T03:04:05.678Z
reason      Target.FailedHealthChecks: Health checks failed
code        L4CON, connection refused (ECONNREFUSED)
streak      3 consecutive failures
last probe  2026-01-02T03:04:06.000Z: connected after 5 µs, over after 1.20 ms
transitions 2026-01-02T03:04:05.678Z healthy -> unhealthy L4CON, x
            2026-01-02T03:00:00.000Z initial -> healthy L4OK
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
