//! `stress`: starts containers through the library from a process in which starting is hard.
//!
//! The process has a gigabyte of memory and 64 threads that allocate and lock all the time: whoever forks
//! here copies page tables and inherits locks that nobody will release. The starts must neither hang nor
//! cost more than in an empty process. The threads take processor time, too; so the same starts are measured
//! in an empty process beside another one that has the load.

#![forbid(unsafe_code)]

mod load;
mod starts;
mod watchdog;

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};
use lexopt::{Arg, ValueExt};

use load::Load;
use starts::{Starts, Summary};

const HELP: &str = "\
usage: stress [--containers N] [--threads N] [--memory MIB]

Needs root and busybox-static.

  --containers N  how many to start under load (default: 10000)
  --threads N     that allocate and lock (default: 64)
  --memory MIB    that is touched (default: 1024)
";

struct Options {
    containers: usize,
    load: Load,
    /// Be the load of another process, until standard input ends.
    only_load: bool,
}

fn main() -> anyhow::Result<()> {
    let Some(options) = Options::parse()? else {
        print!("{HELP}");
        return Ok(());
    };
    if options.only_load {
        let _running = options.load.start()?;
        std::io::stdout().write_all(b"+\n")?;
        std::io::stdin().read_to_end(&mut Vec::new())?;
        return Ok(());
    }
    let mut starts = Starts::prepare()?;
    // Enough for a median.
    let few = (options.containers / 10).clamp(20, 1000);
    let empty = starts.measure("in an empty process", few)?;
    let beside = Beside::start(&options.load)?;
    let beside_load = starts.measure("beside a process with the load", few)?;
    beside.stop()?;
    let _running = options.load.start()?;
    let inside = starts.measure("under the load", options.containers)?;
    compare("an empty process", inside, empty);
    compare("an empty process beside the load", inside, beside_load);
    Ok(())
}

fn compare(other: &str, inside: Summary, outside: Summary) {
    let ratio = inside.median.as_secs_f64() / outside.median.as_secs_f64();
    println!("under the load the median is {ratio:.2} of that in {other}");
}

impl Options {
    /// Nothing if help is asked for.
    fn parse() -> anyhow::Result<Option<Self>> {
        let load = Load { threads: 64, memory: 1024 };
        let mut options = Self { containers: 10_000, load, only_load: false };
        let mut args = lexopt::Parser::from_env();
        while let Some(arg) = args.next()? {
            match arg {
                Arg::Long("containers") => options.containers = args.value()?.parse()?,
                Arg::Long("threads") => options.load.threads = args.value()?.parse()?,
                Arg::Long("memory") => options.load.memory = args.value()?.parse()?,
                Arg::Long("only-load") => options.only_load = true,
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

/// Another process with the load.
struct Beside(Child);

impl Beside {
    fn start(load: &Load) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--only-load", "--threads", &load.threads.to_string()]);
        command.args(["--memory", &load.memory.to_string()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        // It says when all is touched.
        let ready = child.stdout.take().context("no pipe")?.read_exact(&mut [0]);
        ready.context("the process with the load failed")?;
        Ok(Self(child))
    }

    fn stop(mut self) -> anyhow::Result<()> {
        drop(self.0.stdin.take());
        self.0.wait().map(drop).context("cannot wait for the process with the load")
    }
}
