//! What was used is what is told, on the kernel of this host.

#![allow(clippy::unwrap_used, reason = "clippy knows tests, but not what they share")]

mod common;

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use common::{Scratch, host};
use coracle_cgroup::{Cgroup, CgroupPath, Cpu, Memory, Mode, Permissions, Resources, Stats};

fn limited(scratch: &Scratch, limits: Resources) -> Stats {
    scratch.cgroup.set(&limits, Permissions::Required).unwrap();
    scratch.cgroup.stats().unwrap()
}

#[test]
fn processor_time_is_that_of_the_process() {
    let Some(root) = host() else { return };
    let mut scratch = Scratch::new(&root, "cpu");
    // The shell itself says what it has used, in jiffies: fields 14 and 15 of its stat.
    let script = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done; exec sleep 1000";
    let pid = scratch.spawn(script);
    let own = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<_> = stat.split(' ').collect();
        let ticks = [13, 14].map(|index: usize| fields[index].parse::<u64>().unwrap());
        Duration::from_millis(10 * (ticks[0] + ticks[1]))
    };
    while std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap().trim() != "sleep" {
        std::thread::sleep(Duration::from_millis(10));
    }
    let stats = scratch.cgroup.stats().unwrap().cpu.unwrap();
    let difference = stats.usage.abs_diff(own());
    assert!(difference <= Duration::from_millis(30), "{stats:?}, not {:?}", own());
    let modes = stats.user + stats.system;
    assert!(stats.usage.abs_diff(modes) <= Duration::from_millis(30), "{stats:?}");
    if root.mode() == Mode::Unified {
        assert!(stats.per_cpu.is_empty());
    } else {
        let sum: Duration = stats.per_cpu.iter().map(|cpu| cpu.usage).sum();
        assert_eq!(sum, stats.usage);
    }
    scratch.finish();
}

#[test]
fn a_quota_throttles() {
    let Some(root) = host() else { return };
    let mut scratch = Scratch::new(&root, "quota");
    let cpu = Cpu { quota: Some(2000), period: Some(20_000), ..Cpu::default() };
    let before = limited(&scratch, Resources { cpu, ..Resources::default() });
    assert_eq!(before.cpu.unwrap().throttling.unwrap().throttled_periods, 0);
    scratch.run("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; :");
    let stats = scratch.cgroup.stats().unwrap().cpu.unwrap();
    let throttling = stats.throttling.unwrap();
    assert!(throttling.periods >= throttling.throttled_periods, "{stats:?}");
    assert!(throttling.throttled_periods > 0, "{stats:?}");
    assert!(throttling.throttled_time > Duration::from_millis(1), "{stats:?}");
    scratch.finish();
}

#[test]
fn memory_is_what_was_touched() {
    let Some(root) = host() else { return };
    const SIZE: u64 = 24 << 20;
    let mut scratch = Scratch::new(&root, "memory");
    let memory = Memory { limit: Some(200 << 20), ..Memory::default() };
    let before = limited(&scratch, Resources { memory, ..Resources::default() }).memory.unwrap();
    assert_eq!(before.usage.limit, Some(200 << 20));
    let directory = tempfile::tempdir_in("/dev/shm").unwrap();
    let path = directory.path().join("file");
    scratch.run(&format!("head -c {SIZE} /dev/zero > {}", path.display()));
    let stats = scratch.cgroup.stats().unwrap().memory.unwrap();
    // The kernel counts in batches.
    let around = SIZE - (1 << 20)..SIZE + (8 << 20);
    for number in [stats.usage.current, stats.cache, stats.raw["shmem"], stats.working_set()] {
        assert!(around.contains(&number), "{stats:?}");
    }
    assert!(stats.usage.peak.is_none_or(|peak| peak >= SIZE), "{stats:?}");
    assert_eq!((stats.usage.failures, stats.oom_kills.unwrap_or_default()), (0, 0));
    match root.mode() {
        Mode::Unified => assert!(stats.kernel.is_none() && stats.with_swap.is_none()),
        _ => assert!(stats.kernel.is_some() && stats.swap.is_none()),
    }
    std::fs::remove_file(path).unwrap();
    scratch.finish();
}

#[test]
fn processes_and_threads_are_counted() {
    let Some(root) = host() else { return };
    let mut scratch = Scratch::new(&root, "pids");
    let limits = Resources { pids: Some(50), ..Resources::default() };
    assert_eq!(limited(&scratch, limits).pids.unwrap().current, 0);
    for _ in 0..3 {
        scratch.spawn("exec sleep 1000");
    }
    let stats = scratch.cgroup.stats().unwrap();
    let pids = stats.pids.unwrap();
    assert_eq!((pids.current, pids.limit), (3, Some(50)));
    scratch.finish();
}

#[test]
fn what_is_written_to_a_disk_is_counted() {
    let Some(root) = host() else { return };
    const SIZE: u64 = 4 << 20;
    let mut scratch = Scratch::new(&root, "io");
    if scratch.cgroup.stats().unwrap().block_io.is_none() {
        eprintln!("SKIPPED: no controller counts here");
        return scratch.finish();
    }
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    if rustix::fs::major(directory.path().metadata().unwrap().dev()) == 0 {
        eprintln!("SKIPPED: the file system is on no block device");
        return scratch.finish();
    }
    let path = directory.path().join("file");
    let direct = format!("dd if=/dev/zero of={} bs=1M count=4 oflag=direct", path.display());
    if !scratch.run(&direct) {
        eprintln!("SKIPPED: the file system does not write past its cache");
        return scratch.finish();
    }
    let stats = scratch.cgroup.stats().unwrap().block_io.unwrap();
    let written: u64 = stats.devices.iter().map(|device| device.bytes.write).max().unwrap();
    assert!((SIZE..2 * SIZE).contains(&written), "{stats:?}");
    assert!(stats.devices.iter().any(|device| device.operations.write >= 4), "{stats:?}");
    scratch.finish();
}

#[test]
fn sub_cgroups_count() {
    let Some(root) = host() else { return };
    let path = format!("/coracle-test-{}-family/child", std::process::id());
    let path = CgroupPath::new(path).unwrap();
    let mut child = Scratch::of(Cgroup::create(&root, &path, Permissions::Required).unwrap());
    let parents = child.cgroup.paths().into_iter();
    let parents = parents.map(|(name, path)| (name, path.parent().unwrap().to_owned())).collect();
    let parent = Scratch::of(Cgroup::open(&parents).unwrap());
    child.run("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; :");
    let used = child.cgroup.stats().unwrap().cpu.unwrap().usage;
    assert!(used > Duration::ZERO);
    assert!(parent.cgroup.stats().unwrap().cpu.unwrap().usage >= used);
    child.finish();
    parent.finish();
}
