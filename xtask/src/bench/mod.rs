//! `cargo xtask bench`: what containers cost, beside other runtimes and the kernel alone.

mod bundle;
mod container;
mod facts;
mod markdown;
mod measure;
mod options;
mod profile;
mod programs;
mod samples;
mod strace;
mod svg;
mod view;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;

use crate::{Command, workspace};
use options::{Mode, Options};
use programs::Programs;
use samples::{Measure, Samples, Variant};
use view::View;

pub const COMMAND: Command = Command {
    name: "bench",
    about: "Measures coracle beside other runtimes and the kernel alone.",
    help: "
usage: cargo xtask bench [--rounds N] [--peers LIST] [--output DIR] [--check | --guest]
       cargo xtask bench --profile

Needs root, strace for --profile, and Debian's golang-github-containers-common for its seccomp
profile. Builds coracle, floor and peak, as releases. The programs take turns in every round, and each
command has to succeed. On a host with both cgroup versions all are measured without the v2 mount,
which crun needs, and coracle once more with it. Writes benchmarks.md and benchmarks.svg.

  --rounds N    (default: 100; in the guest 20)
  --peers LIST  the other runtimes (default: crun,runc)
  --output DIR  where to write to (default: docs)
  --programs D  measure the coracle, floor and peak of a directory instead of building them
  --check       write nothing; fail where coracle is slower than it has to be
  --guest       measure in the emulated machine of `cargo xtask guest`, with unified cgroup v2;
                writes benchmarks-v2.md and benchmarks-v2.svg, of which only the ratios count
  --profile     print where the time of one `coracle run` goes, by strace, which is slow itself
",
    run,
};

/// The most that `run` may take, as a share of what it takes with crun.
const RUN_BY_CRUN: f64 = 0.8;

fn run(args: lexopt::Parser) -> anyhow::Result<ExitCode> {
    let options = Options::parse(args)?;
    match &options.mode {
        Mode::Raw(staging) => {
            let samples = measure::measure(staging, &options)?;
            fs::write(view::samples_file(staging), serde_json::to_vec(&samples)?)?;
        }
        Mode::Profile => profile::print(&Programs::of(&options)?)?,
        Mode::Check => return check(&view::host(&options)?),
        Mode::Report => write(&options, "benchmarks", &view::host(&options)?)?,
        Mode::Guest => write(&options, "benchmarks-v2", &view::guest(&options)?)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn write(options: &Options, name: &str, views: &[(View, Samples)]) -> anyhow::Result<()> {
    let directory = workspace::root().join(&options.output);
    let write = |path: &Path, text: String| {
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    write(&directory.join(name).with_extension("md"), markdown::render(name, options, views)?)?;
    write(&directory.join(name).with_extension("svg"), svg::render(views)?)
}

fn check(views: &[(View, Samples)]) -> anyhow::Result<ExitCode> {
    let [(_, samples), ..] = views else { anyhow::bail!("nothing was measured") };
    let mut code = ExitCode::SUCCESS;
    for variant in Variant::ALL {
        let median = |program| {
            let summary = samples.summary(variant, Measure::Run, program);
            summary.map(|summary| summary.median).with_context(|| format!("no {program}"))
        };
        let ratio = median("coracle")? / median("crun")?;
        // Mounts cost all alike: they are the kernel's.
        let most = if variant == Variant::Binds { 1.0 } else { RUN_BY_CRUN };
        let verdict = if ratio <= most { "good" } else { "too slow" };
        println!("run {}: {ratio:.2} of crun's time, at most {most}: {verdict}", variant.name());
        if ratio > most {
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}
