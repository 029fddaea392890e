//! What a cgroup costs on the way to a container: medians in µs, step by step.
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
    let mut total = Duration::ZERO;
    for (name, mut times) in STEPS.into_iter().zip(times) {
        times.sort_unstable();
        let (median, p90) = (times[rounds / 2], times[rounds * 9 / 10]);
        println!("{name:<12} {:>8.1}   p90 {:>8.1}", micros(median), micros(p90));
        total += median;
    }
    println!("{:<12} {:>8.1}", "total", micros(total));
    Ok(())
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
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
