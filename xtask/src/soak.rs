//! `cargo xtask soak`: many short lives, side by side.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{self, ExitCode, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use lexopt::{Arg, ValueExt};
use serde_json::{Value, json};

use crate::{Command, build, host, packages, setup};

pub const COMMAND: Command = Command {
    name: "soak",
    about: "Runs thousands of short containers and processes in them, several at a time.",
    help: "
usage: cargo xtask soak [--count N] [--at-once N] [--runtime FILE]

Half of them are `run` of a program that exits with some status, half `exec` of one in a container. Each
must end with the right status, and within half a minute. Needs root.

  --count N       (default: 20000)
  --at-once N     (default: 8)
  --runtime FILE  another runtime with the same command line
",
    run,
};

/// One that takes longer hangs.
const DEADLINE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(1);

fn run(mut args: lexopt::Parser) -> anyhow::Result<ExitCode> {
    let (mut count, mut at_once, mut runtime) = (20_000, 8, None);
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("count") => count = args.value()?.parse()?,
            Arg::Long("at-once") => at_once = args.value()?.parse()?,
            Arg::Long("runtime") => runtime = Some(PathBuf::from(args.value()?)),
            _ => return Err(arg.unexpected().into()),
        }
    }
    setup::add_rust_target()?;
    packages::ensure(&["busybox-static"])?;
    let runtime = runtime.map_or_else(build::coracle, Ok)?;
    let work = tempfile::Builder::new().prefix("coracle-soak-").tempdir()?;
    let soak = Soak { runtime, work: work.path().to_owned(), next: AtomicUsize::new(0), count };
    soak.make_bundles()?;
    soak.start_host()?;
    let begin = Instant::now();
    let ended = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..at_once).map(|_| scope.spawn(|| soak.work())).collect();
        let ended = workers.into_iter().map(|worker| worker.join());
        ended.collect::<Vec<_>>()
    });
    let cleaned = soak.finish(&mut soak.command("delete", &["--force", HOST]));
    for worker in ended {
        worker.map_err(|_| anyhow::anyhow!("a thread panicked"))??;
    }
    ensure!(cleaned? == 0, "the container of the execs cannot be deleted");
    let left = fs::read_dir(soak.store())?.count();
    ensure!(left == 0, "{left} containers are left");
    println!(
        "{count} lives, {at_once} at a time, in {:.0?}: all as they should be",
        begin.elapsed()
    );
    Ok(ExitCode::SUCCESS)
}

/// The container that processes are executed in.
const HOST: &str = "soak-host";

struct Soak {
    runtime: PathBuf,
    work: PathBuf,
    next: AtomicUsize,
    count: usize,
}

impl Soak {
    fn store(&self) -> PathBuf {
        self.work.join("store")
    }

    fn bundle(&self, status: usize) -> PathBuf {
        self.work.join(format!("bundle-{status}"))
    }

    fn command(&self, name: &str, args: &[&str]) -> process::Command {
        let mut command = process::Command::new(&self.runtime);
        command.arg("--root").arg(self.store()).arg(name).args(args);
        command
    }

    /// One for each status that a command may exit with, and one that goes on.
    fn make_bundles(&self) -> anyhow::Result<()> {
        let bin = self.work.join("rootfs/bin");
        fs::create_dir_all(&bin)?;
        fs::copy("/bin/busybox", bin.join("busybox"))?;
        for applet in ["sh", "sleep"] {
            symlink("busybox", bin.join(applet))?;
        }
        for status in 0..=STATUSES {
            let directory = self.bundle(status);
            fs::create_dir(&directory)?;
            host::run(
                process::Command::new(&self.runtime).arg("spec").arg("--bundle").arg(&directory),
            )?;
            let path = directory.join("config.json");
            let mut config: Value = serde_json::from_slice(&fs::read(&path)?)?;
            config["process"]["terminal"] = json!(false);
            config["root"]["path"] = json!(self.work.join("rootfs"));
            config["process"]["args"] = match status {
                STATUSES => json!(["sleep", "100000"]),
                status => json!(["sh", "-c", format!("exit {status}")]),
            };
            fs::write(&path, serde_json::to_vec(&config)?)?;
        }
        Ok(())
    }

    fn start_host(&self) -> anyhow::Result<()> {
        let bundle = self.bundle(STATUSES);
        let bundle = bundle.to_string_lossy();
        let status =
            self.finish(&mut self.command("run", &["--detach", "--bundle", &bundle, HOST]))?;
        ensure!(status == 0, "the container of the execs does not start");
        Ok(())
    }

    fn work(&self) -> anyhow::Result<()> {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.count {
                return Ok(());
            }
            let expected = number / 2 % STATUSES;
            let mut command = match number % 2 {
                0 => {
                    let (bundle, id) = (self.bundle(expected), format!("soak-{number}"));
                    self.command("run", &["--bundle", &bundle.to_string_lossy(), &id])
                }
                _ => self.command("exec", &[HOST, "sh", "-c", &format!("exit {expected}")]),
            };
            let status = self.finish(&mut command).with_context(|| format!("life {number}"))?;
            ensure!(status == expected, "life {number}: {command:?}: {status}, not {expected}");
            if number.is_multiple_of(1000) {
                eprintln!("xtask: {number} of {}", self.count);
            }
        }
    }

    /// Waits for the end of a command, but not for ever.
    fn finish(&self, command: &mut process::Command) -> anyhow::Result<usize> {
        let error = Path::new(&self.work).join("stderr");
        let error = fs::File::options().create(true).append(true).open(error)?;
        let streams = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(error);
        let mut child = streams.spawn()?;
        let begin = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                let status = status.code().and_then(|code| usize::try_from(code).ok());
                return status.context("it was killed");
            }
            if begin.elapsed() > DEADLINE {
                child.kill()?;
                child.wait()?;
                bail!("{command:?} hung");
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// How many different statuses commands exit with.
const STATUSES: usize = 5;
