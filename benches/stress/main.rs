//! `stress`: starts containers through the library from a process in which starting is hard.
//!
//! The process has a gigabyte of memory and 64 threads that allocate and lock all the time: whoever forks
//! here copies page tables and inherits locks that nobody will release. The starts must neither hang nor
//! cost more than in an empty process. The threads take processor time, too, so an empty process beside
//! this one takes turns with it and meets the same.

#![forbid(unsafe_code)]

mod load;
mod other;
mod starts;
mod times;
mod watchdog;

use anyhow::bail;
use lexopt::{Arg, ValueExt};

use load::Load;
use other::Other;
use starts::Starts;
use times::Times;

const HELP: &str = "\
usage: stress [--containers N] [--threads N] [--memory MIB]

Needs root and busybox-static.

  --containers N  how many to start under load (default: 10000)
  --threads N     that allocate and lock (default: 64)
  --memory MIB    that is touched (default: 1024)
";

/// How often the empty process has its turn.
const TURN: usize = 10;

struct Options {
    containers: usize,
    load: Load,
    /// Be the empty process.
    on_demand: bool,
}

fn main() -> anyhow::Result<()> {
    let Some(options) = Options::parse()? else {
        print!("{HELP}");
        return Ok(());
    };
    let mut starts = Starts::prepare()?;
    if options.on_demand {
        return other::serve(&mut starts);
    }
    let mut quiet = Times::default();
    for _ in 0..options.containers.div_ceil(TURN) {
        quiet.add(starts.start()?);
    }
    println!("without load {quiet}");
    let _running = options.load.start()?;
    let (mut other, mut inside, mut outside) =
        (Other::spawn()?, Times::default(), Times::default());
    for number in 0..options.containers {
        inside.add(starts.start()?);
        if number % TURN == 0 {
            outside.add(other.start()?);
        }
    }
    println!("under load {inside}\nin an empty process beside it {outside}");
    println!("ratio of the medians under load: {:.2}", inside.median() / outside.median());
    other.stop()
}

impl Options {
    /// Nothing if help is asked for.
    fn parse() -> anyhow::Result<Option<Self>> {
        let load = Load { threads: 64, memory: 1024 };
        let mut options = Self { containers: 10_000, load, on_demand: false };
        let mut args = lexopt::Parser::from_env();
        while let Some(arg) = args.next()? {
            match arg {
                Arg::Long("containers") => options.containers = args.value()?.parse()?,
                Arg::Long("threads") => options.load.threads = args.value()?.parse()?,
                Arg::Long("memory") => options.load.memory = args.value()?.parse()?,
                Arg::Long("on-demand") => options.on_demand = true,
                Arg::Long("help") => return Ok(None),
                other => return Err(other.unexpected().into()),
            }
        }
        if options.containers == 0 {
            bail!("--containers must be at least 1");
        }
        Ok(Some(options))
    }
}
