//! Resource limits, the OOM score and kernel parameters.

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Context, Result, Test, Verdict, check, check_eq, need, tests};
use serde_json::json;

use crate::namespaces::mapped;

pub const TESTS: &[Test] = tests![
    sets_resource_limits,
    keeps_the_other_limits,
    is_not_hit_by_them_itself,
    refuses_limits_that_cannot_be,
    adjusts_the_oom_score,
    leaves_the_oom_score_alone,
    sets_kernel_parameters,
    refuses_parameters_of_the_host,
];

pub const CAP_SYS_RESOURCE: u32 = 24;

/// Soft and hard limit of a line of `/proc/self/limits`.
fn limits<'text>(text: &'text str, name: &str) -> Option<(&'text str, &'text str)> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let mut words = line.split_whitespace();
    Some((words.next()?, words.next()?))
}

fn sets_resource_limits(t: &mut Context) -> Result<Verdict> {
    let asked = [
        ("RLIMIT_AS", "Max address space", 1 << 30, 1 << 31),
        ("RLIMIT_CORE", "Max core file size", 0_u64, 1024_u64),
        ("RLIMIT_CPU", "Max cpu time", 100, 200),
        ("RLIMIT_DATA", "Max data size", 1 << 30, 1 << 31),
        ("RLIMIT_FSIZE", "Max file size", 4096, 8192),
        ("RLIMIT_LOCKS", "Max file locks", 10, 20),
        ("RLIMIT_MEMLOCK", "Max locked memory", 4096, 4096),
        ("RLIMIT_MSGQUEUE", "Max msgqueue size", 1000, 2000),
        ("RLIMIT_NICE", "Max nice priority", 0, 0),
        ("RLIMIT_NOFILE", "Max open files", 99, 100),
        ("RLIMIT_NPROC", "Max processes", 1000, 1001),
        ("RLIMIT_RSS", "Max resident set", 1 << 30, 1 << 31),
        ("RLIMIT_RTPRIO", "Max realtime priority", 0, 0),
        ("RLIMIT_RTTIME", "Max realtime timeout", 1000, 2000),
        ("RLIMIT_SIGPENDING", "Max pending signals", 50, 60),
        ("RLIMIT_STACK", "Max stack size", 1 << 20, 1 << 21),
    ];
    let list = asked.map(|(kind, _, soft, hard)| json!({"type": kind, "soft": soft, "hard": hard}));
    let bundle = t.bundle()?.set("/process/rlimits", json!(list));
    let output = t.run(&bundle.args(&["cat", "/proc/self/limits"]))?.expect(0)?;
    for (_, name, soft, hard) in asked {
        let expected = (soft.to_string(), hard.to_string());
        let seen = limits(&output.stdout, name).map(|(soft, hard)| (soft.into(), hard.into()));
        check_eq!(seen, Some(expected));
    }
    Ok(Passed)
}

fn keeps_the_other_limits(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.remove("/process/rlimits").args(&["cat", "/proc/self/limits"]);
    let command = t.run_with(&bundle, &[])?.after("ulimit -Sn 123; ulimit -Hn 321");
    let output = command.succeed()?;
    check_eq!(limits(&output.stdout, "Max open files"), Some(("123", "321")));
    Ok(Passed)
}

/// A limit that is too low for the set-up is for the command all the same.
fn is_not_hit_by_them_itself(t: &mut Context) -> Result<Verdict> {
    let low = [
        ("RLIMIT_NOFILE", 4),
        ("RLIMIT_FSIZE", 0),
        ("RLIMIT_NPROC", 1),
        ("RLIMIT_MEMLOCK", 0),
        ("RLIMIT_SIGPENDING", 0),
        ("RLIMIT_MSGQUEUE", 0),
        // As little as the command lives with.
        ("RLIMIT_AS", 4 << 20),
        ("RLIMIT_DATA", 512 << 10),
        ("RLIMIT_STACK", 128 << 10),
    ];
    for (kind, value) in low {
        let limit = json!([{"type": kind, "soft": value, "hard": value}]);
        let bundle = t.bundle()?.set("/process/rlimits", limit).args(&["echo", "fine"]);
        // Standard output is a file, which has a size.
        let (read, write) = rustix::pipe::pipe()?;
        t.run_with(&bundle, &[])?.stdout(write).succeed()?;
        let mut text = [0; 16];
        let count = rustix::io::read(&read, &mut text)?;
        check_eq!(&text[..count], b"fine\n");
    }
    Ok(Passed)
}

fn refuses_limits_that_cannot_be(t: &mut Context) -> Result<Verdict> {
    let with = |limit: serde_json::Value| -> Result<_> {
        t.run(&t.bundle()?.set("/process/rlimits", json!([limit])))
    };
    with(json!({"type": "RLIMIT_NOSUCH", "soft": 1, "hard": 1}))?
        .refused(&["/process/rlimits/0/type", "RLIMIT_NOSUCH"])?;
    with(json!({"type": "RLIMIT_CORE", "soft": 2, "hard": 1}))?.refused(&["/process/rlimits/0"])?;
    if !t.host().has_capability(CAP_SYS_RESOURCE) {
        let limit = json!([{"type": "RLIMIT_NOFILE", "soft": 10, "hard": 1 << 30}]);
        let bundle = t.bundle()?.set("/process/rlimits", limit);
        let command = t.run_with(&bundle, &[])?.after("ulimit -n 100");
        command.run()?.refused(&["limit", "RLIMIT_NOFILE"])?;
    }
    Ok(Passed)
}

fn adjusts_the_oom_score(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.args(&["cat", "/proc/self/oom_score_adj"]);
    for score in [300, 1000] {
        let bundle = bundle.clone().set("/process/oomScoreAdj", score);
        check_eq!(t.run(&bundle)?.expect(0)?.text(), score.to_string());
    }
    let bundle = bundle.set("/process/oomScoreAdj", -500);
    if t.host().has_capability(CAP_SYS_RESOURCE) {
        check_eq!(t.run(&bundle)?.expect(0)?.text(), "-500");
    } else {
        t.run(&bundle)?.refused(&["/process/oomScoreAdj", "CAP_SYS_RESOURCE"])?;
    }
    Ok(Passed)
}

fn leaves_the_oom_score_alone(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.args(&["cat", "/proc/self/oom_score_adj"]);
    let command = t.run_with(&bundle, &[])?.after("echo 77 > /proc/self/oom_score_adj");
    check_eq!(command.succeed()?.text(), "77");
    Ok(Passed)
}

fn sets_kernel_parameters(t: &mut Context) -> Result<Verdict> {
    let asked = [
        ("net.ipv4.ip_forward", "1"),
        ("net/ipv4/ip_default_ttl", "33"),
        ("kernel.domainname", "fleet"),
        ("kernel.msgmax", "4321"),
        ("kernel.msgmnb", "4322"),
        ("kernel.msgmni", "4323"),
        ("kernel.sem", "100\t200\t30\t40"),
        ("kernel.shmall", "4324"),
        ("kernel.shmmax", "4325"),
        ("kernel.shmmni", "123"),
        ("kernel.shm_rmid_forced", "1"),
        ("fs.mqueue.msg_default", "6"),
        ("fs.mqueue.msg_max", "7"),
        ("fs.mqueue.msgsize_default", "256"),
        ("fs.mqueue.msgsize_max", "512"),
        ("fs.mqueue.queues_max", "8"),
    ];
    let file = |name: &str| format!("/proc/sys/{}", name.replace('.', "/"));
    let files: Vec<_> = asked.iter().map(|(name, _)| file(name)).collect();
    let sysctl: serde_json::Map<_, _> =
        asked.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    // Root of a user namespace may set those of IPC since Linux 6.9.
    let mut bundles = vec![t.bundle()?];
    if t.host().kernel_is(6, 9) {
        bundles.push(mapped(t)?);
    }
    for bundle in bundles {
        let bundle = bundle.set("/linux/sysctl", sysctl.clone());
        let output = t.run(&bundle.script(&format!("cat {}", files.join(" "))))?.expect(0)?;
        check_eq!(output.lines(), asked.map(|(_, value)| value));
    }
    let host = std::fs::read_to_string("/proc/sys/kernel/msgmax")?;
    check!(host.trim() != "4321");
    Ok(Passed)
}

fn refuses_parameters_of_the_host(t: &mut Context) -> Result<Verdict> {
    let with = |bundle: coracle_testkit::Bundle, name: &str, value: &str| {
        t.run(&bundle.set("/linux/sysctl", json!({ name: value })))
    };
    with(t.bundle()?, "kernel.core_pattern", "x")?
        .refused(&["/linux/sysctl", "kernel.core_pattern"])?;
    with(t.bundle()?, "vm.swappiness", "1")?.refused(&["vm.swappiness"])?;
    with(t.bundle()?, "kernel.msgmax/../core_pattern", "x")?.refused(&["/linux/sysctl"])?;
    let shared = t.bundle()?.without_namespace("network");
    with(shared, "net.ipv4.ip_forward", "1")?.refused(&["net.ipv4.ip_forward", "network"])?;
    let shared = t.bundle()?.without_namespace("ipc");
    with(shared, "kernel.msgmax", "1")?.refused(&["kernel.msgmax", "ipc"])?;
    need!(t.is_coracle(), "others pass on what the kernel refuses in other words");
    // A namespace that is joined may be the host's own, under any of its names.
    for (kind, file, name) in [
        ("network", "net", "net.ipv4.ip_forward"),
        ("ipc", "ipc", "kernel.msgmax"),
        ("uts", "uts", "kernel.domainname"),
    ] {
        let joined = t.bundle()?.remove("/hostname");
        let joined = joined.namespace(kind, Some(&format!("/proc/self/ns/{file}")));
        with(joined, name, "1")?.refused(&["/linux/sysctl", "would change the host"])?;
    }
    with(t.bundle()?, "net.ipv4.nosuch", "1")?.refused(&["/linux/sysctl", "nosuch"])?;
    with(t.bundle()?, "net.ipv4.ip_forward", "much")?.refused(&["/linux/sysctl", "ip_forward"])?;
    Ok(Passed)
}
