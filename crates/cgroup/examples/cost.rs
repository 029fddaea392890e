//! What a cgroup costs on the way to a container, step by step, in µs.
//!
//! `cargo run --release -p coracle-cgroup --example cost` as root. With a number, so many rounds.

use std::time::{Duration, Instant};

use coracle_cgroup::{
    Cgroup, CgroupPath, CgroupRoot, Cpu, DeviceRule, Memory, Permissions, Resources,
    default_device_rules,
};

const STEPS: [&str; 9] = [
    "discover",
    "create",
    "entry",
    "set memory",
    "set cpu",
    "set pids",
    "set devices",
    "open+stats",
    "remove",
];

fn main() -> coracle_cgroup::Result<()> {
    let rounds = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(200_usize);
    let limits = limits();
    let mut times = vec![Vec::with_capacity(rounds); STEPS.len()];
    for _ in 0..rounds {
        for (step, time) in round(&limits)?.into_iter().enumerate() {
            times[step].push(time);
        }
    }
    println!("{:<12} {:>8} {:>8} {:>8}", "", "least", "median", "p90");
    let mut total = [Duration::ZERO; 3];
    for (name, mut times) in STEPS.into_iter().zip(times) {
        times.sort_unstable();
        let row = [times[0], times[rounds / 2], times[rounds * 9 / 10]];
        print(name, row);
        total = std::array::from_fn(|column| total[column] + row[column]);
    }
    print("total", total);
    Ok(())
}

fn print(name: &str, row: [Duration; 3]) {
    let [least, median, p90] = row.map(|time| time.as_secs_f64() * 1e6);
    println!("{name:<12} {least:>8.1} {median:>8.1} {p90:>8.1}");
}

fn limits() -> [Resources; 4] {
    let memory = Memory { limit: Some(256 << 20), swap: Some(256 << 20), ..Memory::default() };
    let cpu =
        Cpu { shares: Some(512), quota: Some(50_000), period: Some(100_000), ..Cpu::default() };
    let mut devices = vec![DeviceRule::DENY_ALL];
    devices.extend(default_device_rules());
    [
        Resources { memory, ..Resources::default() },
        Resources { cpu, ..Resources::default() },
        Resources { pids: Some(512), ..Resources::default() },
        Resources { devices, ..Resources::default() },
    ]
}

fn round(limits: &[Resources; 4]) -> coracle_cgroup::Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(STEPS.len());
    let mut last = Instant::now();
    let mut lap = || times.push(std::mem::replace(&mut last, Instant::now()).elapsed());
    let root = CgroupRoot::discover()?;
    lap();
    let path = CgroupPath::new(format!("coracle-cost-{}", std::process::id()))?;
    let cgroup = Cgroup::create(&root, &path, Permissions::Required)?;
    lap();
    let entry = cgroup.entry()?;
    lap();
    for resources in limits {
        cgroup.set(resources, Permissions::Required)?;
        lap();
    }
    Cgroup::open(&cgroup.paths())?.stats()?;
    lap();
    drop(entry);
    cgroup.remove(Duration::from_secs(1))?;
    lap();
    Ok(times)
}
