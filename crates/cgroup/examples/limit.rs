//! Runs a command with limits, and prints what it has used.
//!
//! `limit MEMORY-IN-MIB PROCESSORS COMMAND [ARG...]`, as in
//! `cargo run -p coracle-cgroup --example limit -- 256 0.5 make -j8`. Needs root or a delegated cgroup.

use std::error::Error;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use coracle_cgroup::{Cgroup, CgroupPath, CgroupRoot, Cpu, Memory, Permissions, Resources, Stats};

/// Tells a copy of this program which cgroup it is to enter before it becomes the command.
const ENTER: &str = "COR_EXAMPLE_CGROUP";

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let root = CgroupRoot::discover()?;
    if let Ok(path) = std::env::var(ENTER) {
        // From here on, what this process and its children use counts.
        Cgroup::open(&root.paths(&CgroupPath::new(path)?)?)?.add(0)?;
        return Err(Command::new(&args[0]).args(&args[1..]).env_remove(ENTER).exec().into());
    }
    let [memory, processors, command @ ..] = &args[..] else {
        return Err("usage: limit MEMORY-IN-MIB PROCESSORS COMMAND [ARG...]".into());
    };
    if command.is_empty() {
        return Err("which command is to run?".into());
    }
    let limits = limits(memory.parse()?, processors.parse()?);

    let path = format!("/limit-example-{}", std::process::id());
    let cgroup = Cgroup::create(&root, &CgroupPath::new(&path)?, Permissions::Required)?;
    let result = run(&cgroup, &limits, command, &path);
    // Nothing stays behind, whatever went wrong.
    cgroup.kill(Duration::from_secs(10))?;
    cgroup.remove(Duration::from_secs(1))?;
    result
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a number of microseconds that a person has typed as a number of processors"
)]
fn limits(memory: i64, processors: f64) -> Resources {
    let (memory, period) = (memory << 20, 100_000);
    Resources {
        memory: Memory { limit: Some(memory), swap: Some(memory), ..Memory::default() },
        cpu: Cpu {
            quota: Some((processors * period as f64) as i64),
            period: Some(period),
            ..Cpu::default()
        },
        ..Resources::default()
    }
}

fn run(
    cgroup: &Cgroup,
    limits: &Resources,
    command: &[String],
    path: &str,
) -> Result<ExitCode, Box<dyn Error>> {
    for skipped in cgroup.set(limits, Permissions::Required)? {
        eprintln!("limit: {skipped}");
    }
    let start = Instant::now();
    let status = Command::new(std::env::current_exe()?).args(command).env(ENTER, path).status()?;
    print(&cgroup.stats()?, start.elapsed());
    println!("ended        {status}");
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from))
}

fn print(stats: &Stats, elapsed: Duration) {
    println!("time         {elapsed:.2?}");
    if let Some(cpu) = &stats.cpu {
        println!("processors   {:.2?} user, {:.2?} system", cpu.user, cpu.system);
        if let Some(throttling) = cpu.throttling {
            println!("throttled    {:.2?}", throttling.throttled_time);
        }
        if let Some(pressure) = cpu.pressure {
            println!("waited       {:.2?} for a processor", pressure.some.total);
        }
    }
    if let Some(memory) = &stats.memory {
        let peak = memory.usage.peak.unwrap_or(memory.usage.current);
        println!("memory       {:.1} MiB at most", peak as f64 / f64::from(1 << 20));
        println!("killed       {} for lack of memory", memory.oom_kills.unwrap_or_default());
    }
    for device in stats.block_io.iter().flat_map(|io| &io.devices) {
        let (major, minor, bytes) = (device.major, device.minor, device.bytes);
        println!("disk {major:>3}:{minor:<3} {} bytes read, {} written", bytes.read, bytes.write);
    }
}
