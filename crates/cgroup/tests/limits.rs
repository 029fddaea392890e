//! Limits that are read back, refused, or missing, on the kernel of this host.

#![allow(clippy::unwrap_used, reason = "clippy knows tests, but not what they share")]

mod common;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use common::{Scratch, host, unique};
use coracle_cgroup::{
    Cgroup, CgroupRoot, Cpu, DeviceAccess, DeviceKind, DeviceRule, HugePages, Memory, Mode,
    Network, Permissions, Resources, Skipped,
};
use coracle_sys::bpf::{self, AttachFlags, Insn};

fn set(scratch: &Scratch, resources: &Resources) -> Vec<Skipped> {
    scratch.cgroup.set(resources, Permissions::Required).unwrap()
}

fn memory(limit: i64, swap: Option<i64>) -> Resources {
    let memory = Memory { limit: Some(limit), swap, ..Memory::default() };
    Resources { memory, ..Resources::default() }
}

fn cpu(cpu: Cpu) -> Resources {
    Resources { cpu, ..Resources::default() }
}

#[test]
fn memory_is_read_back_and_changes_in_both_directions() {
    let Some(root) = host() else { return };
    let scratch = Scratch::new(&root, "memory");
    let limit = || scratch.read("memory", "memory.limit_in_bytes", "memory.max");
    const M: i64 = 1 << 20;
    for size in [100 * M, 20 * M, 500 * M] {
        let memory = Memory {
            limit: Some(size),
            swap: Some(size * 2),
            reservation: Some(10 * M),
            swappiness: Some(50),
            check_before_update: true,
            ..Memory::default()
        };
        let skipped = set(&scratch, &Resources { memory, ..Resources::default() });
        assert_eq!(limit(), size.to_string());
        let low = scratch.read("memory", "memory.soft_limit_in_bytes", "memory.low");
        assert_eq!(low, (10 * M).to_string());
        match root.mode() {
            Mode::Unified => {
                assert_eq!(scratch.read("memory", "", "memory.swap.max"), size.to_string());
                assert_eq!(skipped.len(), 1, "{skipped:?}");
            }
            _ => {
                let total = scratch.read("memory", "memory.memsw.limit_in_bytes", "");
                assert_eq!(total, (size * 2).to_string());
                assert_eq!(scratch.read("memory", "memory.swappiness", ""), "50");
            }
        }
    }
    set(&scratch, &memory(0, None));
    assert_eq!(limit(), (500 * M).to_string());
    set(&scratch, &memory(-1, None));
    assert!(["max", "9223372036854771712"].contains(&limit().as_str()), "{}", limit());
    scratch.finish();
}

#[test]
fn processor_time_is_read_back() {
    let Some(root) = host() else { return };
    let scratch = Scratch::new(&root, "cpu");
    set(&scratch, &cpu(Cpu { shares: Some(2048), ..Cpu::default() }));
    let expected = if root.mode() == Mode::Unified { "174" } else { "2048" };
    assert_eq!(scratch.read("cpu", "cpu.shares", "cpu.weight"), expected);

    // Each fits only after another of the same call, in one order or the other.
    for (quota, period, burst) in
        [(50_000, 100_000, 10_000), (2000, 10_000, 0), (90_000, 90_000, 80_000)]
    {
        let time =
            Cpu { quota: Some(quota), period: Some(period), burst: Some(burst), ..Cpu::default() };
        set(&scratch, &cpu(time));
        if root.mode() == Mode::Unified {
            assert_eq!(scratch.read("", "", "cpu.max"), format!("{quota} {period}"));
        } else {
            assert_eq!(scratch.read("cpu", "cpu.cfs_quota_us", ""), quota.to_string());
            assert_eq!(scratch.read("cpu", "cpu.cfs_period_us", ""), period.to_string());
        }
        assert_eq!(scratch.read("cpu", "cpu.cfs_burst_us", "cpu.max.burst"), burst.to_string());
    }
    set(&scratch, &cpu(Cpu { quota: Some(-1), burst: Some(0), ..Cpu::default() }));
    let max = scratch.read("cpu", "cpu.cfs_quota_us", "cpu.max");
    assert!(max == "-1" || max.starts_with("max "), "{max}");

    set(&scratch, &cpu(Cpu { idle: Some(1), ..Cpu::default() }));
    let shares = cpu(Cpu { shares: Some(512), ..Cpu::default() });
    let error = scratch.cgroup.set(&shares, Permissions::Required).unwrap_err().to_string();
    assert!(
        error.ends_with("EINVAL (invalid argument); an idle cgroup has none: unset idle first"),
        "{error}"
    );
    set(&scratch, &cpu(Cpu { idle: Some(0), shares: Some(512), ..Cpu::default() }));
    scratch.finish();
}

#[test]
fn places_and_numbers_are_read_back() {
    let Some(root) = host() else { return };
    let mut scratch = Scratch::new(&root, "places");
    set(&scratch, &cpu(Cpu { cpus: "0".into(), mems: "0".into(), ..Cpu::default() }));
    assert_eq!(scratch.read("cpuset", "cpuset.cpus", "cpuset.cpus"), "0");
    for (limit, expected) in [(7, "7"), (0, "1"), (-1, "max")] {
        set(&scratch, &Resources { pids: Some(limit), ..Resources::default() });
        assert_eq!(scratch.read("pids", "pids.max", "pids.max"), expected);
    }
    assert!(scratch.run("[ $(nproc) = 1 ]"));
    scratch.spawn("sleep 1000");
    let stats = scratch.cgroup.stats().unwrap();
    assert!(stats.pids.is_some_and(|pids| pids.current >= 1 && pids.limit.is_none()), "{stats:?}");
    assert!(stats.memory.is_some() && stats.cpu.is_some(), "{stats:?}");
    assert_eq!(stats.cpuset.unwrap().cpus, [0]);
    scratch.finish();
}

#[test]
fn a_refused_limit_names_file_value_and_remedy() {
    let Some(root) = host() else { return };
    let scratch = Scratch::new(&root, "refused");
    let refused = |resources: Resources| {
        scratch.cgroup.set(&resources, Permissions::BestEffort).unwrap_err().to_string()
    };
    let error = refused(cpu(Cpu { quota: Some(1), ..Cpu::default() }));
    assert!(error.contains("coracle-test") && error.contains("\"1"), "{error}");
    assert!(error.contains("EINVAL") && error.contains("quota and period are 1000"), "{error}");
    let error = refused(cpu(Cpu { cpus: "4095".into(), ..Cpu::default() }));
    assert!(error.contains("cpuset.cpus") && error.contains("parent's cpuset"), "{error}");
    let error = refused(memory(-7, None));
    assert!(error.starts_with("memory limit = -7: "), "{error}");
    if root.mode() != Mode::Unified {
        let error = refused(memory(8 << 20, Some(4 << 20)));
        assert!(error.contains("memory.memsw.limit_in_bytes, \"4194304\""), "{error}");
        let error = refused(cpu(Cpu { shares: Some(1), ..Cpu::default() }));
        assert!(error.contains("minimum allowed"), "{error}");
    }
    scratch.finish();
}

#[test]
fn a_missing_controller_is_named() {
    let Some(root) = host() else { return };
    let scratch = Scratch::new(&root, "missing");
    let unified = BTreeMap::from([("nonsense.max".to_owned(), "1".to_owned())]);
    let unified = Resources { unified, ..Resources::default() };
    let error = scratch.cgroup.set(&unified, Permissions::Required).unwrap_err();
    match root.mode() {
        Mode::Unified => {
            let named = "cannot set nonsense.max: controller nonsense has no such file";
            assert!(error.to_string().starts_with(named), "{error}");
            let high = BTreeMap::from([("memory.high".to_owned(), "104857600".to_owned())]);
            set(&scratch, &Resources { unified: high, ..Resources::default() });
            assert_eq!(scratch.read("", "", "memory.high"), "104857600");
        }
        _ => assert!(error.to_string().contains("needs a host with cgroup v2 alone"), "{error}"),
    }
    let network = Network { class_id: Some(1), ..Network::default() };
    let marks = Resources { network, ..Resources::default() };
    let result = scratch.cgroup.set(&marks, Permissions::Required);
    match (root.mode(), root.hierarchy("net_cls")) {
        (Mode::Unified, _) => assert_eq!(result.unwrap()[0].controller, "net_cls"),
        (_, None) => assert!(result.unwrap_err().to_string().contains("controller net_cls is not")),
        (_, Some(_)) => assert!(result.unwrap().is_empty()),
    }
    scratch.finish();
}

#[test]
fn huge_pages_are_limited_where_their_controller_is() {
    let Some(root) = host() else { return };
    if root.hierarchy("hugetlb").is_none() {
        return eprintln!("SKIPPED: no hugetlb controller");
    }
    if !std::path::Path::new("/sys/kernel/mm/hugepages/hugepages-2048kB").exists() {
        return eprintln!("SKIPPED: no huge pages of 2 MB");
    }
    let _restore = Controllers::of(&root);
    let scratch = Scratch::new(&root, "huge");
    let pages = HugePages { page_size: "2MB".into(), limit: 4 << 20 };
    set(&scratch, &Resources { huge_pages: vec![pages], ..Resources::default() });
    let limit = scratch.read("hugetlb", "hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.max");
    assert_eq!(limit, (4 << 20).to_string());
    let escape = HugePages { page_size: "../x".into(), limit: 1 };
    let escape = Resources { huge_pages: vec![escape], ..Resources::default() };
    assert!(scratch.cgroup.set(&escape, Permissions::Required).is_err());
    scratch.finish();
}

/// Gives back the controllers of v2 that a test took from a hybrid host, one test at a time.
struct Controllers {
    control: Option<PathBuf>,
    before: String,
    _one_by_one: MutexGuard<'static, ()>,
}

impl Controllers {
    fn of(root: &CgroupRoot) -> Self {
        static ONE_BY_ONE: Mutex<()> = Mutex::new(());
        let one_by_one = ONE_BY_ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let v2 = root.hierarchies().iter().find(|h| h.is_v2() && root.mode() == Mode::Hybrid);
        let control = v2.map(|h| h.mount_point().join("cgroup.subtree_control"));
        let before = control.as_ref().map(|file| std::fs::read_to_string(file).unwrap());
        Self { control, before: before.unwrap_or_default(), _one_by_one: one_by_one }
    }
}

impl Drop for Controllers {
    fn drop(&mut self) {
        let Some(control) = &self.control else { return };
        for name in std::fs::read_to_string(control).unwrap_or_default().split_whitespace() {
            if !self.before.split_whitespace().any(|before| before == name) {
                drop(std::fs::write(control, format!("-{name}")));
            }
        }
    }
}

fn device(allow: bool, major: u32, minor: u32, access: DeviceAccess) -> DeviceRule {
    let (major, minor) = (Some(major), Some(minor));
    DeviceRule { allow, kind: DeviceKind::Char, major, minor, access }
}

/// Which of the devices a process in the cgroup can open for reading and writing.
fn can_open(scratch: &mut Scratch) -> [bool; 3] {
    ["/dev/null", "/dev/zero", "/dev/full"].map(|node| scratch.run(&format!(": <> {node}")))
}

fn check_devices(scratch: &mut Scratch) {
    assert_eq!(can_open(scratch), [true; 3]);
    let all = DeviceAccess::all();
    let mut devices = vec![DeviceRule::DENY_ALL, device(true, 1, 3, all)];
    let mut apply = |scratch: &Scratch, rule: Option<DeviceRule>| {
        devices.extend(rule);
        let resources = Resources { devices: devices.clone(), ..Resources::default() };
        assert!(set(scratch, &resources).is_empty());
    };
    // `: <>` needs /dev/null of nobody: the shell's own descriptors are open already.
    apply(scratch, None);
    assert_eq!(can_open(scratch), [true, false, false]);
    apply(scratch, Some(device(true, 1, 5, DeviceAccess::READ)));
    assert_eq!(can_open(scratch), [true, false, false]);
    assert!(scratch.run(": < /dev/zero"));
    apply(scratch, Some(device(true, 1, 5, all)));
    assert_eq!(can_open(scratch), [true, true, false]);
    apply(scratch, Some(device(false, 1, 3, DeviceAccess::WRITE)));
    assert_eq!(can_open(scratch), [false, true, false]);
    let everything = DeviceRule { allow: true, ..DeviceRule::DENY_ALL };
    apply(scratch, Some(everything));
    apply(scratch, Some(device(false, 1, 7, DeviceAccess::WRITE)));
    assert_eq!(can_open(scratch), [true, true, false]);
    assert!(scratch.run(": < /dev/full"));
}

#[test]
fn denied_devices_cannot_be_opened() {
    let Some(root) = host() else { return };
    let mut scratch = Scratch::new(&root, "devices");
    check_devices(&mut scratch);
    scratch.finish();
}

/// The v2 hierarchy by itself, also of a hybrid host.
fn unified(name: &str) -> Option<(Scratch, Controllers)> {
    let root = host()?;
    let Some(hierarchy) = root.hierarchies().iter().find(|hierarchy| hierarchy.is_v2()) else {
        eprintln!("SKIPPED: no v2 hierarchy");
        return None;
    };
    let restore = Controllers::of(&root);
    let root = CgroupRoot::unified_at(hierarchy.mount_point()).unwrap();
    let cgroup = Cgroup::create(&root, &unique(name), Permissions::Required).unwrap();
    Some((Scratch::of(cgroup), restore))
}

#[test]
fn a_program_denies_devices_on_v2() {
    let Some((mut scratch, _restore)) = unified("program") else { return };
    check_devices(&mut scratch);
    scratch.finish();
}

#[test]
fn a_program_takes_the_place_of_what_is_there() {
    let Some((mut scratch, _restore)) = unified("replace") else { return };
    let cgroup = std::fs::File::open(&scratch.cgroup.paths()[""]).unwrap();
    // return 0: somebody else's program that denies everything
    let deny = |immediate| {
        let code = [(0xb4, immediate), (0x95, 0)];
        let program =
            code.map(|(code, immediate)| Insn { code, registers: 0, offset: 0, immediate });
        bpf::load_device_program(&program).unwrap()
    };
    let (one, other) = (deny(0), deny(0));
    let multi = AttachFlags::ALLOW_MULTI;
    for foreign in [
        vec![(&one, AttachFlags::default())],
        vec![(&one, multi)],
        vec![(&one, multi), (&other, multi)],
    ] {
        for old in bpf::attached_device_programs(&cgroup).unwrap().ids {
            bpf::detach_device_program(&cgroup, bpf::program_by_id(old).unwrap()).unwrap();
        }
        for (program, flags) in &foreign {
            bpf::attach_device_program(&cgroup, program, *flags, None).unwrap();
        }
        assert!(!scratch.run(": < /dev/null"));
        let devices = vec![DeviceRule::DENY_ALL, device(true, 1, 3, DeviceAccess::all())];
        set(&scratch, &Resources { devices, ..Resources::default() });
        assert_eq!(bpf::attached_device_programs(&cgroup).unwrap().ids.len(), 1);
        assert_eq!(can_open(&mut scratch), [true, false, false]);
    }
    drop(cgroup);
    scratch.finish();
}
