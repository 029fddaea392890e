//! `cgroup`: what limits cost, by the library and by runtimes that set the same ones.
//!
//! Runtimes have no command that only makes a cgroup. Three things come close, and all take turns:
//!
//! - `update` of a created container with a document of limits: the start of a program and the writes;
//! - `create` and `delete` of a container with these limits, and the same without any;
//! - within this process, a cgroup that is made, limited and removed by coracle-cgroup, and by nothing
//!   but the system calls that it takes: a directory in each hierarchy, a write for each limit.
//!
//! Needs root and busybox-static. crun needs a host without v2 beside v1.

#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use coracle_cgroup::{Cgroup, CgroupPath, CgroupRoot, Cpu, Memory, Mode, Permissions, Resources};
use lexopt::{Arg, ValueExt};
use tempfile::TempDir;

const HELP: &str = "\
usage: cgroup [--rounds N] RUNTIME...

The first RUNTIME is what the others are compared with.

  --rounds N  (default: 100)
";

/// The limits, as a document for `update` and as a part of a configuration.
const LIMITS: &str = r#"{
    "memory": {"limit": 268435456, "swap": 268435456, "reservation": 134217728},
    "cpu": {"shares": 512, "quota": 50000, "period": 100000, "cpus": "0", "mems": "0"},
    "pids": {"limit": 512}
}"#;

const WARM_UP: usize = 3;
const ID: &str = "coracle-bench-cgroup";

fn main() -> anyhow::Result<()> {
    let Some((rounds, runtimes)) = options()? else {
        print!("{HELP}");
        return Ok(());
    };
    let work = tempfile::Builder::new().prefix("coracle-bench-").tempdir()?;
    let runtimes: Vec<_> =
        runtimes.iter().map(|path| Runtime::prepare(&work, path)).collect::<Result<_, _>>()?;
    let mut times = vec![Times::default(); runtimes.len()];
    let (mut library, mut bare) = (Vec::new(), Vec::new());
    for round in 0..WARM_UP + rounds {
        for turn in 0..runtimes.len() {
            let number = (round + turn) % runtimes.len();
            let measured = runtimes[number].round(round % 2 == 0)?;
            if round >= WARM_UP {
                times[number].iter_mut().zip(measured).for_each(|(all, time)| all.push(time));
            }
        }
        let pair = [by_library()?, by_system_calls()?];
        if round >= WARM_UP {
            library.push(pair[0]);
            bare.push(pair[1]);
        }
    }
    print_runtimes(&runtimes, &times);
    println!();
    let [library, bare] = [median(&library), median(&bare)];
    println!("| made, limited, removed in one process | median | |\n|---|---|---|");
    println!("| the system calls alone | {bare:.0} µs | **×1.00** |");
    println!("| coracle-cgroup | {library:.0} µs | **×{:.2}** |", library / bare);
    Ok(())
}

/// Nothing if help is asked for.
fn options() -> anyhow::Result<Option<(usize, Vec<PathBuf>)>> {
    let (mut rounds, mut runtimes) = (100, Vec::new());
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("rounds") => rounds = args.value()?.parse()?,
            Arg::Long("help") => return Ok(None),
            Arg::Value(path) => runtimes.push(PathBuf::from(path)),
            other => return Err(other.unexpected().into()),
        }
    }
    ensure!(rounds > 0 && !runtimes.is_empty(), "{HELP}");
    Ok(Some((rounds, runtimes)))
}

/// A runtime, its state, and a bundle without limits and one with them.
struct Runtime {
    program: PathBuf,
    state: PathBuf,
    bundles: [PathBuf; 2],
    limits: PathBuf,
}

impl Runtime {
    fn prepare(work: &TempDir, program: &Path) -> anyhow::Result<Self> {
        let name = program.file_name().context("a program without a name")?;
        let directory = work.path().join(name);
        let limits = work.path().join("limits.json");
        fs::write(&limits, LIMITS)?;
        let bundles = [("null", "plain"), (LIMITS, "limited")].map(|(resources, name)| {
            let path = directory.join(name);
            make_bundle(&path, resources).map(|()| path)
        });
        let [plain, limited] = bundles;
        let state = directory.join("state");
        Ok(Self { program: program.to_owned(), state, bundles: [plain?, limited?], limits })
    }

    /// In µs: `update`, and `create` and `delete` without and with limits. Who of the two is first changes.
    fn round(&self, plain_first: bool) -> anyhow::Result<[f64; 3]> {
        let [plain, limited] = &self.bundles;
        let first = if plain_first { self.life(plain)? } else { [0.0; 2] };
        let [limited, _] = self.life(limited)?;
        let [plain, update] = if plain_first { first } else { self.life(plain)? };
        Ok([update, plain, limited])
    }

    /// How long `create` and `delete` take together, and an `update` between them.
    fn life(&self, bundle: &Path) -> anyhow::Result<[f64; 2]> {
        let create = self.timed(&["create", "--bundle"], &[bundle.as_os_str(), ID.as_ref()])?;
        let update = self.timed(&["update", "--resources"], &[self.limits.as_ref(), ID.as_ref()]);
        let delete = self.timed(&["delete", "--force"], &[ID.as_ref()])?;
        Ok([create + delete, update?])
    }

    fn timed(&self, words: &[&str], more: &[&std::ffi::OsStr]) -> anyhow::Result<f64> {
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(&self.state).args(words).args(more);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let begin = Instant::now();
        let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
        let time = begin.elapsed();
        ensure!(status.success(), "{command:?} failed with {status}");
        Ok(micros(time))
    }
}

fn make_bundle(path: &Path, resources: &str) -> anyhow::Result<()> {
    for name in ["bin", "proc", "dev", "sys"] {
        fs::create_dir_all(path.join("rootfs").join(name))?;
    }
    fs::copy("/bin/busybox", path.join("rootfs/bin/busybox"))
        .context("is busybox-static there?")?;
    let config = format!(
        r#"{{"ociVersion": "1.0.2", "root": {{"path": "rootfs"}},
            "process": {{"cwd": "/", "args": ["/bin/busybox", "true"], "user": {{"uid": 0, "gid": 0}}}},
            "mounts": [{{"destination": "/proc", "type": "proc", "source": "proc"}}],
            "linux": {{"cgroupsPath": "/{ID}", "resources": {resources},
                       "namespaces": [{{"type": "pid"}}, {{"type": "mount"}}]}}}}"#
    );
    Ok(fs::write(path.join("config.json"), config)?)
}

/// The same limits as in the document.
fn limits() -> Resources {
    let memory = Memory {
        limit: Some(256 << 20),
        swap: Some(256 << 20),
        reservation: Some(128 << 20),
        ..Memory::default()
    };
    let cpu = Cpu {
        shares: Some(512),
        quota: Some(50_000),
        period: Some(100_000),
        cpus: "0".into(),
        mems: "0".into(),
        ..Cpu::default()
    };
    Resources { memory, cpu, pids: Some(512), ..Resources::default() }
}

fn by_library() -> anyhow::Result<f64> {
    let root = CgroupRoot::discover()?;
    let begin = Instant::now();
    let cgroup = Cgroup::create(&root, &CgroupPath::new(format!("/{ID}"))?, Permissions::Required)?;
    cgroup.set(&limits(), Permissions::Required)?;
    cgroup.remove(Duration::from_secs(1))?;
    Ok(micros(begin.elapsed()))
}

/// Which file of which hierarchy holds what.
const ON_V1: [(&str, &str, &str); 9] = [
    ("memory", "memory.limit_in_bytes", "268435456"),
    ("memory", "memory.memsw.limit_in_bytes", "268435456"),
    ("memory", "memory.soft_limit_in_bytes", "134217728"),
    ("cpu", "cpu.shares", "512"),
    ("cpu", "cpu.cfs_period_us", "100000"),
    ("cpu", "cpu.cfs_quota_us", "50000"),
    ("cpuset", "cpuset.cpus", "0"),
    ("cpuset", "cpuset.mems", "0"),
    ("pids", "pids.max", "512"),
];
const ON_V2: [(&str, &str, &str); 8] = [
    ("", "memory.max", "268435456"),
    ("", "memory.swap.max", "0"),
    ("", "memory.low", "134217728"),
    ("", "cpu.weight", "59"),
    ("", "cpu.max", "50000 100000"),
    ("", "cpuset.cpus", "0"),
    ("", "cpuset.mems", "0"),
    ("", "pids.max", "512"),
];

fn by_system_calls() -> anyhow::Result<f64> {
    let root = CgroupRoot::discover()?;
    let files: &[_] = if root.mode() == Mode::Unified { &ON_V2 } else { &ON_V1 };
    let hierarchies = root.hierarchies().iter();
    let directories: Vec<_> = hierarchies.map(|it| it.mount_point().join(ID)).collect();
    let place = |controller: &str| match root.hierarchy(controller) {
        Some(hierarchy) => Ok(hierarchy.mount_point().join(ID)),
        None if root.mode() == Mode::Unified => Ok(directories[0].clone()),
        None => bail!("no hierarchy has {controller}"),
    };
    let writes = files
        .iter()
        .map(|(controller, file, value)| Ok((place(controller)?.join(file), *value)))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let begin = Instant::now();
    for directory in &directories {
        fs::create_dir(directory)?;
    }
    for (file, value) in &writes {
        fs::OpenOptions::new()
            .write(true)
            .open(file)
            .and_then(|mut file| std::io::Write::write_all(&mut file, value.as_bytes()))?;
    }
    for directory in &directories {
        fs::remove_dir(directory)?;
    }
    Ok(micros(begin.elapsed()))
}

/// What was measured of one runtime, in µs: as [`Runtime::round`].
type Times = [Vec<f64>; 3];

fn print_runtimes(runtimes: &[Runtime], times: &[Times]) {
    println!("| median | `update` | `create` and `delete` without limits | with limits |");
    println!("|---|---|---|---|");
    let medians: Vec<_> = times.iter().map(|times| times.each_ref().map(|it| median(it))).collect();
    for (runtime, times) in runtimes.iter().zip(&medians) {
        print!("| {} |", runtime.program.file_name().unwrap_or_default().display());
        for (time, first) in times.iter().zip(medians[0]) {
            print!(" {:.2} ms **×{:.2}** |", time / 1e3, time / first);
        }
        println!();
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_owned();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
