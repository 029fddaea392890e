//! Notifications about cgroups, on the kernel of this host.

#![allow(clippy::unwrap_used, reason = "clippy knows tests, but not what they share")]

mod common;

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use common::{LONG, Scratch, host};
use coracle_cgroup::{
    Cgroup, Error, Memory, Permissions, PressureKind, PressureTrigger, PressureWatch, Resources,
};
use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};

const NOW: Duration = Duration::ZERO;
const MINUTE: Duration = Duration::from_secs(60);
/// Of linux/magic.h.
const TMPFS_MAGIC: i64 = 0x0102_1994;
const GREEDY: &str = "head -c 64m /dev/zero | tail -c 64m > /dev/null";

/// A cgroup with 16 MiB of memory and without swap.
fn small(root: &coracle_cgroup::CgroupRoot, name: &str) -> Scratch {
    let scratch = Scratch::new(root, name);
    let memory = Memory { limit: Some(16 << 20), swap: Some(16 << 20), ..Memory::default() };
    let limits = Resources { memory, ..Resources::default() };
    scratch.cgroup.set(&limits, Permissions::Required).unwrap();
    scratch
}

fn is_readable(watch: &impl AsFd) -> bool {
    let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(watch, PollFlags::IN)], Some(&zero)).unwrap() > 0
}

#[test]
fn memory_that_runs_out_is_told() {
    let Some(root) = host() else { return };
    let mut scratch = small(&root, "oom");
    let mut watch = scratch.cgroup.watch_oom().unwrap().unwrap();
    assert!(!watch.wait(NOW).unwrap());
    assert_eq!(watch.take().unwrap(), 0);
    for round in 1..=3 {
        assert!(!scratch.run(&format!("{GREEDY}; exit 1")));
        assert!(watch.wait(LONG).unwrap() && is_readable(&watch));
        assert!(watch.take().unwrap() >= 1);
        assert!(!is_readable(&watch), "it was taken already");
        assert_eq!(watch.take().unwrap(), 0);
        let memory = scratch.cgroup.stats().unwrap().memory.unwrap();
        assert!(memory.oom_kills >= Some(round), "{memory:?}");
    }
    // Another that watches from now on is not told of what was.
    let mut late = scratch.cgroup.watch_oom().unwrap().unwrap();
    assert!(!is_readable(&late));
    scratch.finish();
    assert!(matches!(watch.take(), Err(Error::Gone { .. })));
    assert!(matches!(late.take(), Err(Error::Gone { .. })));
}

#[test]
fn several_are_told_while_others_use_memory_in_peace() {
    let Some(root) = host() else { return };
    let (mut victim, mut other) = (small(&root, "victim"), small(&root, "other"));
    let mut watches =
        [(); 2].map(|()| victim.cgroup.watch_oom().unwrap().expect("there is memory"));
    let mut quiet = other.cgroup.watch_oom().unwrap().unwrap();
    other.run("head -c 4m /dev/zero | tail -c 4m > /dev/null");
    victim.run(&format!("{GREEDY}; :"));
    for watch in &mut watches {
        assert!(watch.wait(LONG).unwrap());
        assert!(watch.take().unwrap() >= 1);
    }
    assert_eq!(quiet.take().unwrap(), 0);
    victim.finish();
    other.finish();
}

#[test]
fn the_end_of_the_last_process_is_told() {
    let Some(root) = host() else { return };
    let mut scratch = Scratch::new(&root, "empty");
    assert!(scratch.cgroup.wait_empty(NOW).unwrap());
    let watch = scratch.cgroup.watch_empty().unwrap();
    scratch.spawn("sleep 0.3 & exec sleep 1000");
    assert!(!scratch.cgroup.wait_empty(Duration::from_millis(50)).unwrap());
    if let Some(watch) = &watch {
        assert!(!watch.is_empty().unwrap());
        assert!(!is_readable(watch));
    }
    let start = Instant::now();
    scratch.spawn("sleep 0.2");
    scratch.cgroup.kill(LONG).unwrap();
    assert!(scratch.cgroup.wait_empty(LONG).unwrap());
    assert!(start.elapsed() < LONG);
    if let Some(watch) = &watch {
        assert!(is_readable(watch) && watch.is_empty().unwrap() && !is_readable(watch));
    }
    scratch.reap();
    let opened = Cgroup::open(&scratch.cgroup.paths()).unwrap();
    scratch.finish();
    assert!(opened.wait_empty(NOW).unwrap(), "what is gone is empty");
    assert!(watch.is_none_or(|watch| watch.is_empty().unwrap()));
}

/// Is the next event told by epoll(7) on edges, as an `AsyncFd` of tokio waits with `Interest::PRIORITY`?
fn reported_as_to_tokio(watch: &impl AsFd) -> bool {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    let flags = epoll::EventFlags::PRI | epoll::EventFlags::ET | epoll::EventFlags::RDHUP;
    epoll::add(&epoll, watch, epoll::EventData::new_u64(1), flags).unwrap();
    let mut events = Vec::with_capacity(1);
    let limit = Timespec::try_from(LONG).unwrap();
    epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), Some(&limit)).unwrap();
    events.iter().any(|event: &epoll::Event| {
        let flags = event.flags;
        flags.contains(epoll::EventFlags::PRI)
    })
}

/// Tells of some waiting for `stall` in two seconds, where the kernel does.
fn watch_pressure(
    scratch: &Scratch,
    resource: PressureKind,
    stall: Duration,
) -> Option<PressureWatch> {
    let trigger = PressureTrigger { resource, full: false, stall, window: Duration::from_secs(2) };
    match scratch.cgroup.watch_pressure(&trigger) {
        Err(error @ (Error::MissingController { .. } | Error::Read { .. })) => {
            eprintln!("SKIPPED: {error}");
            None
        }
        watch => Some(watch.unwrap()),
    }
}

#[test]
fn waiting_for_a_processor_is_told() {
    let Some(root) = host() else { return };
    let mut scratch = Scratch::new(&root, "pressure");
    let stall = Duration::from_millis(50);
    let Some(watch) = watch_pressure(&scratch, PressureKind::Cpu, stall) else {
        return scratch.finish();
    };
    assert!(!watch.wait(NOW).unwrap());
    let processors = std::thread::available_parallelism().unwrap().get();
    for _ in 0..processors * 2 {
        scratch.spawn("while :; do :; done");
    }
    assert!(watch.wait(LONG).unwrap());
    assert!(!watch.wait(NOW).unwrap(), "it tells once in each window");
    assert!(reported_as_to_tokio(&watch));
    let pressure = scratch.cgroup.stats().unwrap().cpu.unwrap().pressure.unwrap();
    assert!(pressure.some.total >= stall, "{pressure:?}");
    scratch.finish();
    assert!(matches!(watch.wait(NOW), Err(Error::Gone { .. })));
}

/// By a process that writes and reads four times what it has memory for, over and over.
#[test]
fn waiting_for_memory_and_for_a_disk_is_told() {
    const DISK: &str = "/var/tmp";
    let Some(root) = host() else { return };
    if rustix::fs::statfs(DISK).unwrap().f_type == TMPFS_MAGIC {
        return eprintln!("SKIPPED: {DISK} is on no disk");
    }
    let file = format!("{DISK}/coracle-test-{}", std::process::id());
    let script = format!(
        "exec 3<>{file}; rm {file}; cd /proc/self/fd
         while :; do dd if=/dev/zero of=3 bs=1M count=64 conv=fsync; cat 3; done"
    );
    let stall = Duration::from_millis(1);
    for resource in [PressureKind::Memory, PressureKind::Io] {
        let mut scratch = small(&root, "disk");
        let Some(watch) = watch_pressure(&scratch, resource, stall) else {
            return scratch.finish();
        };
        assert!(!watch.wait(NOW).unwrap());
        scratch.spawn(&script);
        assert!(watch.wait(MINUTE).unwrap(), "{resource:?}");
        let stats = scratch.cgroup.stats().unwrap();
        let pressure = match resource {
            PressureKind::Memory => stats.memory.unwrap().pressure,
            _ => stats.block_io.unwrap().pressure,
        };
        assert!(pressure.unwrap().some.total >= stall, "{resource:?}: {pressure:?}");
        scratch.finish();
        assert!(matches!(watch.wait(NOW), Err(Error::Gone { .. })));
    }
}

#[test]
fn an_impossible_trigger_is_refused() {
    let Some(root) = host() else { return };
    let scratch = Scratch::new(&root, "trigger");
    let trigger = PressureTrigger {
        resource: PressureKind::Memory,
        full: true,
        stall: Duration::from_secs(3),
        window: Duration::from_secs(2),
    };
    let error = scratch.cgroup.watch_pressure(&trigger).unwrap_err();
    if let Error::Refused { hint, .. } = error {
        assert!(hint.contains("multiple of 2 s"), "{error}");
        assert!(error.to_string().contains("memory.pressure, \"full 3000000 2000000\""), "{error}");
    } else {
        eprintln!("SKIPPED: {error}");
    }
    scratch.finish();
}
