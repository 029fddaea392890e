//! Runs a command in a cgroup of its own from an asynchronous program, and tells what happens to it:
//! `limits MEMORY-IN-MIB COMMAND [ARG...]`. Needs root, or a delegated cgroup.
//!
//! No container: of Coracle only `coracle-cgroup`. Its watches are descriptors, so tokio's `AsyncFd` takes
//! them as they are. What blocks is short: a few writes to files of the kernel.

#![expect(
    deprecated,
    reason = "tokio is wary of numbers of descriptors, but the watches own theirs"
)]

use std::error::Error;
use std::process::ExitStatus;
use std::time::Duration;

use coracle_cgroup::{
    Cgroup, CgroupPath, CgroupRoot, EmptyWatch, Memory, OomWatch, Permissions, PressureKind,
    PressureTrigger, PressureWatch, Resources,
};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::process::{Child, Command};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Waits for a line before it becomes the command, so that all of the command runs in the cgroup.
const WAIT: [&str; 3] = ["-c", "read -r go && exec \"$@\" </dev/null", "sh"];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let usage = "usage: limits MEMORY-IN-MIB COMMAND [ARG...]";
    let bytes = args.next().ok_or(usage)?.parse::<i64>()? << 20;
    let command: Vec<_> = args.collect();

    let path = CgroupPath::new(format!("/limits-example-{}", std::process::id()))?;
    let cgroup = Cgroup::create(&CgroupRoot::discover()?, &path, Permissions::Required)?;
    let result = run(&cgroup, bytes, &command).await;
    // Nothing stays behind, whatever went wrong.
    cgroup.kill(Duration::from_secs(10))?;
    cgroup.remove(Duration::from_secs(1))?;
    println!("the command ended with {}", result?);
    Ok(())
}

async fn run(cgroup: &Cgroup, bytes: i64, command: &[String]) -> Result<ExitStatus> {
    let memory = Memory { limit: Some(bytes), swap: Some(bytes), ..Memory::default() };
    let limits = Resources { memory, pids: Some(100), ..Resources::default() };
    cgroup.set(&limits, Permissions::Required)?;
    let mut oom = cgroup.watch_oom()?.map(AsyncFd::new).transpose()?;
    let mut pressure = watch_pressure(cgroup)?;
    let empty = cgroup.watch_empty()?.map(AsyncFd::new).transpose()?;

    let mut child = start(cgroup, command).await?;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            count = memory_ran_out(oom.as_mut()) => println!("memory ran out, {} time(s)", count?),
            waited = waited_long(pressure.as_mut()) => waited?,
        }
    };
    if let Some(memory) = cgroup.stats()?.memory {
        println!("{} bytes of memory at most", memory.usage.peak.unwrap_or(memory.usage.current));
    }
    // What the command has left in the background may go on for a second.
    drop(tokio::time::timeout(Duration::from_secs(1), all_ended(empty.as_ref())).await);
    Ok(status)
}

async fn start(cgroup: &Cgroup, command: &[String]) -> Result<Child> {
    let stdin = std::process::Stdio::piped();
    let mut child = Command::new("sh").args(WAIT).args(command).stdin(stdin).spawn()?;
    cgroup.add(child.id().ok_or("it has ended")?)?;
    child.stdin.take().ok_or("no pipe")?.write_all(b"go\n").await?;
    Ok(child)
}

/// For 100 ms in 2 s something had to wait for memory. Only hosts with cgroup v2 tell that.
fn watch_pressure(cgroup: &Cgroup) -> Result<Option<AsyncFd<PressureWatch>>> {
    let (stall, window) = (Duration::from_millis(100), Duration::from_secs(2));
    let trigger = PressureTrigger { resource: PressureKind::Memory, full: false, stall, window };
    match cgroup.watch_pressure(&trigger) {
        Ok(watch) => Ok(Some(AsyncFd::with_interest(watch, Interest::PRIORITY)?)),
        Err(error) => {
            eprintln!("without pressure: {error}");
            Ok(None)
        }
    }
}

/// How often it did since the last time. Never returns where nobody can tell.
async fn memory_ran_out(watch: Option<&mut AsyncFd<OomWatch>>) -> Result<u64> {
    let Some(watch) = watch else { std::future::pending().await };
    let mut guard = watch.readable_mut().await?;
    let count = guard.get_inner_mut().take()?;
    // The descriptor is not readable any more.
    guard.clear_ready();
    Ok(count)
}

async fn waited_long(watch: Option<&mut AsyncFd<PressureWatch>>) -> Result<()> {
    let Some(watch) = watch else { std::future::pending().await };
    watch.ready_mut(Interest::PRIORITY).await?.clear_ready();
    println!("it waits for memory");
    Ok(())
}

async fn all_ended(watch: Option<&AsyncFd<EmptyWatch>>) -> Result<()> {
    let Some(watch) = watch else { return Ok(()) };
    while !watch.get_ref().is_empty()? {
        watch.readable().await?.clear_ready();
    }
    Ok(())
}
