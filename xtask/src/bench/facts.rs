//! What the numbers depend on.

use std::path::Path;
use std::process::Command;
use std::{fs, thread};

use anyhow::Context;

use super::programs::Program;
use crate::host;

/// Names and values, of this machine and of the runtimes.
pub fn gather(runtimes: &[Program]) -> anyhow::Result<Vec<(String, String)>> {
    let uname = rustix::system::uname();
    let mut facts = vec![
        ("kernel", uname.release().to_string_lossy().into_owned()),
        ("processors", format!("{} × {}", thread::available_parallelism()?, processor()?)),
        ("control groups", control_groups().to_owned()),
    ];
    for runtime in runtimes {
        let text = host::stdout(Command::new(&runtime.path).arg("--version"))?;
        let version = text.lines().next().unwrap_or_default().trim();
        facts.push((&runtime.name, version.to_owned()));
    }
    Ok(facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn processor() -> anyhow::Result<String> {
    let text = fs::read_to_string("/proc/cpuinfo").context("cannot read /proc/cpuinfo")?;
    let model = text.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map(|model| model.trim_start_matches([' ', '\t', ':']).to_owned());
    Ok(model.unwrap_or_else(|| std::env::consts::ARCH.to_owned()))
}

/// What is mounted in `/sys/fs/cgroup`.
fn control_groups() -> &'static str {
    let has = |path: &str| Path::new("/sys/fs/cgroup").join(path).exists();
    match (has("cgroup.controllers"), has("unified")) {
        (true, _) => "v2",
        (false, true) if is_hybrid() => "v1 beside v2",
        _ => "v1",
    }
}

/// Is v2 mounted beside v1?
pub fn is_hybrid() -> bool {
    Path::new(super::view::UNIFIED).join("cgroup.procs").exists()
}
