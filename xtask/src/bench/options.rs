//! The command-line options of `cargo xtask bench`.

use std::path::PathBuf;

use anyhow::ensure;
use lexopt::{Arg, ValueExt};

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Mode {
    Report,
    Check,
    Guest,
    Profile,
    /// Measure in this mount namespace with the programs of a directory, and put the samples there: what
    /// the others call.
    Raw(PathBuf),
}

#[derive(Debug)]
pub struct Options {
    pub mode: Mode,
    pub rounds: usize,
    /// The other runtimes, as they are found in `PATH`.
    pub peers: Vec<String>,
    /// Relative to the workspace.
    pub output: PathBuf,
    /// Where coracle, floor and peak are, if they are not to be built.
    pub programs: Option<PathBuf>,
}

const ROUNDS: usize = 100;
/// Emulated, each takes half a minute.
const ROUNDS_IN_GUEST: usize = 20;

impl Options {
    pub fn parse(mut args: lexopt::Parser) -> anyhow::Result<Self> {
        let mut modes = Vec::new();
        let (mut rounds, mut programs) = (None, None);
        let mut peers = vec!["crun".to_owned(), "runc".to_owned()];
        let mut output = PathBuf::from("docs");
        while let Some(arg) = args.next()? {
            match arg {
                Arg::Long("rounds") => rounds = Some(args.value()?.parse()?),
                Arg::Long("peers") => peers = list(&args.value()?.string()?),
                Arg::Long("output") => output = args.value()?.into(),
                Arg::Long("programs") => programs = Some(args.value()?.into()),
                Arg::Long("check") => modes.push(Mode::Check),
                Arg::Long("guest") => modes.push(Mode::Guest),
                Arg::Long("profile") => modes.push(Mode::Profile),
                Arg::Long("raw") => modes.push(Mode::Raw(args.value()?.into())),
                other => return Err(other.unexpected().into()),
            }
        }
        ensure!(modes.len() < 2, "--check, --guest, --profile and --raw exclude each other");
        let mode = modes.pop().unwrap_or(Mode::Report);
        let default = if mode == Mode::Guest { ROUNDS_IN_GUEST } else { ROUNDS };
        let rounds = rounds.unwrap_or(default);
        ensure!(rounds > 0, "--rounds must be at least 1");
        let crun_is_needed = mode == Mode::Check && !peers.iter().any(|peer| peer == "crun");
        ensure!(!crun_is_needed, "--check compares with crun: name it in --peers");
        Ok(Self { mode, rounds, peers, output, programs })
    }
}

fn list(text: &str) -> Vec<String> {
    text.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> anyhow::Result<Options> {
        Options::parse(lexopt::Parser::from_args(args))
    }

    #[test]
    fn the_guest_gets_fewer_rounds() {
        assert_eq!(parse(&[]).unwrap().rounds, ROUNDS);
        assert_eq!(parse(&["--guest"]).unwrap().rounds, ROUNDS_IN_GUEST);
        assert_eq!(parse(&["--guest", "--rounds", "7"]).unwrap().rounds, 7);
    }

    #[test]
    fn refuses_what_contradicts_itself() {
        assert!(parse(&["--guest", "--check"]).is_err());
        assert!(parse(&["--raw", "/tmp", "--profile"]).is_err());
        assert!(parse(&["--rounds", "0"]).is_err());
        assert!(parse(&["--check", "--peers", "runc"]).is_err());
        assert!(parse(&["--peers", ""]).unwrap().peers.is_empty());
    }
}
