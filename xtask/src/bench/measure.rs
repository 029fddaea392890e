//! The measuring itself: all programs take turns, in one process.

use std::fs;
use std::path::Path;
use std::process::{self, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rustix::process::{getpid, set_child_subreaper};

use super::bundle::Bundle;
use super::container::{Runtime, timed};
use super::facts;
use super::options::Options;
use super::programs::{Program, Programs, installed};
use super::samples::{Measure, Samples, Variant};
use super::view;

/// What is not counted: caches fill, and processors wake up.
const WARM_UP: usize = 3;

/// The amount of memory hardly varies.
const ROUNDS_OF_PEAK: usize = 10;

/// Differences vary more than what they are of.
const PAIRS: usize = 8;

const CGROUPS: &str = "/sys/fs/cgroup";

struct Bench<'a> {
    variant: Variant,
    bundle: &'a Bundle,
    /// For the variant with a seccomp profile, the same without it.
    bare: Option<&'a Bundle>,
    floor: Program,
    runtimes: &'a [Program],
    peak: &'a Path,
    /// For what the runtimes know of their containers.
    state: &'a Path,
}

/// Measures coracle, the floor and the peers in this mount namespace.
pub fn measure(staging: &Path, options: &Options) -> anyhow::Result<Samples> {
    // So that the first processes of containers are ours to wait for.
    set_child_subreaper(Some(getpid()))?;
    let work = tempfile::Builder::new().prefix("coracle-bench-").tempdir()?;
    let peers = options.peers.iter().map(|name| installed(name));
    // All in one place, so that no file system is quicker for one than for others.
    let programs = work.path().join("programs");
    fs::create_dir(&programs)?;
    let programs = Programs::in_directory(staging)
        .copy(&programs, &peers.collect::<anyhow::Result<Vec<_>>>()?)?;
    let names = std::iter::once("coracle").chain(options.peers.iter().map(String::as_str));
    let runtimes: Vec<_> = names.map(|name| programs.get(name)).collect();
    let mut samples = Samples::of(facts::gather(&runtimes)?);
    let cgroup = format!("coracle-bench-{}", process::id());
    let bare = Bundle::make(work.path().join("bare"), Variant::Plain, &cgroup)?;
    for variant in Variant::ALL {
        let bundle = work.path().join(format!("{variant:?}"));
        let bundle = Bundle::make(bundle, variant, &cgroup)?;
        let bench = Bench {
            variant,
            bundle: &bundle,
            bare: (variant == Variant::Seccomp).then_some(&bare),
            floor: programs.get("floor"),
            runtimes: &runtimes,
            peak: &programs.path("peak"),
            state: &view::state_directory(staging),
        };
        eprintln!("xtask: measuring {} rounds {}", options.rounds, variant.name());
        bench.rounds(options.rounds, &mut samples)?;
        ensure_nothing_is_left(&cgroup)?;
    }
    Ok(samples)
}

impl Bench<'_> {
    fn rounds(&self, rounds: usize, samples: &mut Samples) -> anyhow::Result<()> {
        let mut ignored = Samples::default();
        for _ in 0..WARM_UP {
            self.round(0, &mut ignored)?;
        }
        for round in 0..rounds {
            self.round(round, samples)?;
        }
        for program in self.runtimes {
            let runtime = self.runtime(program);
            for _ in 0..ROUNDS_OF_PEAK.min(rounds) {
                let (created, peak) = runtime.create_for_peak(self.peak)?;
                self.add(samples, program, Measure::CreatePeak, peak);
                created.finish()?;
            }
            self.add(samples, program, Measure::Size, kib(&program.path)?);
        }
        Ok(())
    }

    /// One of each; who is first changes from round to round.
    fn round(&self, number: usize, samples: &mut Samples) -> anyhow::Result<()> {
        // The floor mounts nothing besides.
        let floor = Some(&self.floor).filter(|_| self.variant != Variant::Binds);
        let mut turns: Vec<_> = self.runtimes.iter().chain(floor).collect();
        let first = number % turns.len();
        turns.rotate_left(first);
        for program in turns {
            if program.name == self.floor.name {
                let mut command = Command::new(&program.path);
                let time = timed(command.arg(self.bundle.rootfs()).arg("/bin/true"))?;
                self.add(samples, program, Measure::Run, micros(time));
            } else {
                self.runtime_round(program, samples)?;
            }
        }
        Ok(())
    }

    fn runtime_round(&self, program: &Program, samples: &mut Samples) -> anyhow::Result<()> {
        let runtime = self.runtime(program);
        let mut add = |measure, value| self.add(samples, program, measure, value);
        add(Measure::Run, micros(runtime.run()?));
        if let Some(bundle) = self.bare {
            let bare = Runtime { program, bundle, state: runtime.state.clone() };
            for pair in 0..PAIRS {
                // Which is first must not matter.
                let early = if pair % 2 == 0 { Some(bare.run()?) } else { None };
                let with = runtime.run()?;
                let without = early.map_or_else(|| bare.run(), Ok)?;
                add(Measure::Filter, micros(with) - micros(without));
            }
        }
        add(Measure::Version, micros(timed(Command::new(&program.path).arg("--version"))?));
        let (created, create) = runtime.create()?;
        add(Measure::Create, micros(create));
        add(Measure::State, micros(created.state()?));
        add(Measure::Exec, micros(created.exec()?));
        add(Measure::InitRss, created.memory("Rss")?);
        add(Measure::InitPss, created.memory("Pss")?);
        let begin = Instant::now();
        let [start, delete] = created.finish()?;
        add(Measure::Cycle, micros(create + begin.elapsed()));
        add(Measure::Start, micros(start));
        add(Measure::Delete, micros(delete));
        Ok(())
    }

    fn runtime<'a>(&'a self, program: &'a Program) -> Runtime<'a> {
        Runtime { program, bundle: self.bundle, state: self.state.join(&program.name) }
    }

    fn add(&self, samples: &mut Samples, program: &Program, measure: Measure, value: f64) {
        samples.add(self.variant, measure, &program.name, value);
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn kib(file: &Path) -> anyhow::Result<f64> {
    let metadata = fs::metadata(file).with_context(|| format!("no {}", file.display()))?;
    Ok(f64::from(u32::try_from(metadata.len() / 1024)?))
}

/// Fails if a runtime has left a cgroup behind.
fn ensure_nothing_is_left(cgroup: &str) -> anyhow::Result<()> {
    let hierarchies = fs::read_dir(CGROUPS)?.collect::<Result<Vec<_>, _>>()?;
    let hierarchies = hierarchies.iter().map(fs::DirEntry::path).chain([CGROUPS.into()]);
    let hierarchies = hierarchies.filter(|path| path.join("cgroup.procs").exists());
    let left: Vec<_> =
        hierarchies.map(|path| path.join(cgroup)).filter(|path| path.exists()).collect();
    ensure!(left.is_empty(), "a runtime has left behind {left:?}");
    Ok(())
}
