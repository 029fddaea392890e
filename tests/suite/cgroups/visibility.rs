//! The cgroup file systems inside.

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Bundle, CgroupLayout, Context, Result, Test, Verdict, check, check_eq, parse_mountinfo, tests,
};

pub const TESTS: &[Test] = tests![
    shows_the_containers_own_cgroup,
    shows_no_more_without_a_cgroup_namespace,
    is_read_only_if_asked,
    is_writable_if_asked,
    links_controllers_that_share_a_hierarchy,
];

const MIB: u64 = 1 << 20;

fn limited(bundle: Bundle) -> Bundle {
    bundle.set("/linux/resources/memory/limit", 64 * MIB)
}

/// Prints the memory limit that the container finds at the root of what it has mounted.
const SHOW: &str =
    "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes 2>/dev/null || cat memory.max";

fn shows_the_containers_own_cgroup(t: &mut Context) -> Result<Verdict> {
    let output = t.run(&limited(t.bundle()?).script(SHOW))?.expect(0)?;
    check_eq!(output.text(), (64 * MIB).to_string());
    Ok(Passed)
}

fn shows_no_more_without_a_cgroup_namespace(t: &mut Context) -> Result<Verdict> {
    let bundle = limited(t.bundle()?).without_namespace("cgroup");
    if t.host().layout == CgroupLayout::Unified {
        // As from runc: the host's hierarchy is shown, but nothing can be changed in it.
        let output = t.run(&bundle.script("cd /sys/fs/cgroup; echo 1 > cgroup.procs"))?;
        check!(output.stderr.contains("Read-only file system"), "{output}");
        return Ok(Passed);
    }
    let output = t.run(&bundle.clone().script(SHOW))?.expect(0)?;
    check_eq!(output.text(), (64 * MIB).to_string());
    let output = t.run(&bundle.script("ls -d /sys/fs/cgroup/*/../../*/tasks | head -1; pwd"))?;
    check!(!output.stderr.contains("No such device"), "{output}");
    Ok(Passed)
}

fn is_read_only_if_asked(t: &mut Context) -> Result<Verdict> {
    let script = "cat /proc/self/mountinfo; mkdir /sys/fs/cgroup/x /sys/fs/cgroup/memory/x";
    for bundle in [t.bundle()?, t.bundle()?.without_namespace("cgroup")] {
        let output = t.run(&bundle.script(script))?;
        let mounts = parse_mountinfo(&output.stdout)?;
        let cgroups: Vec<_> =
            mounts.iter().filter(|mount| mount.target.starts_with("/sys/fs/cgroup")).collect();
        check!(!cgroups.is_empty());
        for mount in cgroups {
            check!(mount.has("ro") && mount.has("nosuid") && mount.has("nodev"), "{mount:?}");
        }
        check!(!output.stderr.is_empty());
    }
    Ok(Passed)
}

fn is_writable_if_asked(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?;
    let mounts = bundle.spec()["mounts"].as_array().cloned().unwrap_or_default();
    let index = mounts.iter().position(|mount| mount["type"] == "cgroup").unwrap_or_default();
    let bundle = bundle.set(&format!("/mounts/{index}/options/4"), "rw");
    let directory = if t.host().is_v1("pids") { "pids/" } else { "" };
    let script = format!(
        "cd /sys/fs/cgroup/{directory} && mkdir inner && echo $$ > inner/cgroup.procs && \
         grep -c inner /proc/self/cgroup"
    );
    let output = t.run(&bundle.script(&script))?.expect(0)?;
    check_eq!(output.text(), "1");
    Ok(Passed)
}

fn links_controllers_that_share_a_hierarchy(t: &mut Context) -> Result<Verdict> {
    if t.host().layout == CgroupLayout::Unified {
        return Ok(Verdict::Skipped("the hierarchy is unified".into()));
    }
    let output = t.script("cd /sys/fs/cgroup; ls -d memory pids cpu cpuacct devices freezer")?;
    check_eq!(output.lines().len(), 6);
    t.script("cd /sys/fs/cgroup; test -e cpu/cpu.shares && test -e cpuacct/cpuacct.usage")?;
    Ok(Passed)
}
