//! Argument errors in one line: `error: what is wrong; see 'ringcheck probe --help'` (DESIGN 3.6).

use super::{Answer, Cli, Exit, Failure};
use clap::CommandFactory;
use clap::error::ErrorKind;
use std::ffi::OsString;
use std::str::FromStr;

/// Help and version are answers; everything else is a failure of one line.
pub(super) fn answer(error: &clap::Error, args: &[OsString]) -> Answer {
    if !error.use_stderr() {
        return match error.print() {
            Ok(()) => Ok(Exit::Good),
            Err(error) => Err(Failure::output(&error)),
        };
    }
    let is_bare = matches!(
        error.kind(),
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    let what = if is_bare { "no command given".to_owned() } else { one_line(&error.to_string()) };
    Err(Failure::usage(format_args!("{what}; see '{} --help'", command(args))))
}

/// A number that is not zero, for clap's `value_parser`.
///
/// # Errors
/// What is allowed.
pub(super) fn at_least_one<T: FromStr + PartialEq + From<u8>>(text: &str) -> Result<T, String> {
    let number = text.parse().ok().filter(|number| *number != T::from(0));
    number.ok_or_else(|| "a number from 1 on is needed".to_owned())
}

/// The part of clap's message that says what is wrong, its lines and tips joined.
fn one_line(message: &str) -> String {
    let paragraphs = message.split("\n\n").filter(|paragraph| {
        let paragraph = paragraph.trim();
        !(paragraph.is_empty()
            || paragraph.starts_with("Usage:")
            || paragraph.starts_with("For more information"))
    });
    let words = |paragraph: &str| paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = paragraphs.map(words).collect::<Vec<_>>().join(", ");
    text.strip_prefix("error: ").unwrap_or(&text).to_owned()
}

/// `ringcheck`, with the command that was meant where there is one.
fn command(args: &[OsString]) -> String {
    let known = Cli::command();
    let meant = args.iter().skip(1).find_map(|arg| known.find_subcommand(arg));
    meant.map_or_else(|| "ringcheck".to_owned(), |meant| format!("ringcheck {}", meant.get_name()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn line(args: &[&str]) -> String {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        let error = Cli::try_parse_from(&args).unwrap_err();
        let failure = answer(&error, &args).unwrap_err();
        assert_eq!(failure.exit(), Exit::Usage);
        failure.line()
    }

    #[test]
    fn clap_has_nothing_to_complain_of() {
        Cli::command().debug_assert();
    }

    #[test]
    fn usage_errors_are_one_line_with_the_place_to_look() {
        let see = "; see 'ringcheck --help'";
        assert_eq!(line(&["ringcheck"]), format!("error: no command given{see}"));
        let unknown = line(&["ringcheck", "prob"]);
        assert!(unknown.starts_with("error: unrecognized subcommand 'prob', tip: "), "{unknown}");
        assert!(unknown.ends_with(see), "{unknown}");
        assert_eq!(
            line(&["ringcheck", "serve"]),
            "error: the following required arguments were not provided: --config <FILE>; \
             see 'ringcheck serve --help'"
        );
        assert_eq!(
            line(&["ringcheck", "probe", "a:1", "--rate", "0"]),
            "error: invalid value '0' for '--rate <N>': a number from 1 on is needed; \
             see 'ringcheck probe --help'"
        );
    }
}
