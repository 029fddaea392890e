//! The filters in the kernel, read back: those of other runtimes judge as ours.

use coracle_seccomp::{Action, Arch, BpfProgram};
use coracle_sys::seccomp::as_bytes;
use coracle_sys::{Errno, tracee};
use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Bundle, CgroupLayout, Cmd, Context, Result, Runtime, Test, Verdict, check, need, tests,
};
use rustix::process::Pid;
use serde_json::{Value, json};

use super::profiles::usual_profile;

pub const TESTS: &[Test] = tests![judge_as_those_of_runc, judge_as_those_of_crun];

/// Set in the numbers of x32.
const X32_BIT: u32 = 0x4000_0000;
/// The last call that the libseccomp of Debian 12 knows by name: set_mempolicy_home_node.
const LAST_KNOWN: u32 = 450;

/// The filter that a created container waits under. Nothing, if this kernel or these rights do not show it.
fn filter_of(t: &Context, runtime: Cmd, bundle: &Bundle) -> Result<Option<BpfProgram>> {
    let container = t.create_by(runtime, bundle, &[])?;
    let pid = Pid::from_raw(container.pid()?).ok_or_else(|| anyhow::anyhow!("no pid"))?;
    let read = tracee::seccomp_filter(pid, 0);
    container.delete_forcibly()?;
    match read {
        Ok(Some(program)) => Ok(Some(BpfProgram::from_bytes(as_bytes(&program))?)),
        Ok(None) => anyhow::bail!("there is no filter"),
        Err(error) if matches!(error.errno(), Errno::ACCESS | Errno::PERM | Errno::INVAL) => {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Every operator, and calls with one, with several and with overlapping rules.
fn with_arguments() -> Value {
    let arg = |index: u32, op: &str, value: u64| json!({"index": index, "op": format!("SCMP_CMP_{op}"), "value": value, "valueTwo": 0x10});
    let rule = |name: &str, args: Value| json!({"names": [name], "action": "SCMP_ACT_ERRNO", "errnoRet": 77, "args": args});
    // Calls that no runtime needs between loading the filter and the start.
    json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": [
            {"names": ["swapon", "swapoff", "nosuch"], "action": "SCMP_ACT_ERRNO"},
            {"names": ["acct"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28},
            {"names": ["rmdir"], "action": "SCMP_ACT_KILL_PROCESS"},
            {"names": ["link"], "action": "SCMP_ACT_TRAP"},
            {"names": ["lchown"], "action": "SCMP_ACT_LOG"},
            {"names": ["vhangup"], "action": "SCMP_ACT_TRACE", "errnoRet": 7},
            {"names": ["reboot"], "action": "SCMP_ACT_KILL"},
            rule("setns", json!([arg(1, "MASKED_EQ", 0x7e02_0000)])),
            rule("personality", json!([arg(0, "EQ", 8)])),
            rule("personality", json!([arg(0, "EQ", 0xffff_ffff_u64)])),
            rule("ioprio_set", json!([arg(1, "NE", 0x5412)])),
            rule("vmsplice", json!([arg(1, "LT", 0x1_0000_0000)])),
            rule("quotactl", json!([arg(0, "LE", 5), arg(1, "GE", 2)])),
            rule("tee", json!([arg(1, "GT", 3), arg(1, "EQ", 0)])),
            rule("move_pages", json!([arg(2, "GT", 0xffff_ffff)]))
        ]
    })
}

/// Arguments on both sides of what is compared.
fn arguments() -> Vec<[u64; 6]> {
    let values = [
        0,
        1,
        2,
        3,
        4,
        5,
        6,
        8,
        16,
        0x10_0000,
        0x2_0000,
        0x7e02_0000,
        0x5412,
        0x5413,
        0xffff_fffe,
        0xffff_ffff,
        0x1_0000_0000,
        0x1_0000_0008,
        u64::MAX,
    ];
    let equal = values.iter().map(|value| [*value; 6]);
    let mixed = values.iter().flat_map(|one| values.map(|two| [*one, two, *one, two, *one, two]));
    equal.chain(mixed).collect()
}

/// The numbers of calls whose arguments a rule compares.
fn compared(profile: &Value, arch: Arch) -> Vec<u32> {
    let rules = profile["syscalls"].as_array().into_iter().flatten();
    let with_args = rules.filter(|rule| rule["args"].as_array().is_some_and(|it| !it.is_empty()));
    let names = with_args.flat_map(|rule| rule["names"].as_array().into_iter().flatten());
    names.filter_map(|name| arch.syscall(name.as_str()?)).collect()
}

fn compare(profile: &Value, ours: &BpfProgram, theirs: &BpfProgram) -> Result<()> {
    let arguments = arguments();
    for arch in [Arch::X86_64, Arch::X86, Arch::X32] {
        let base = if arch == Arch::X32 { X32_BIT } else { 0 };
        let compared = compared(profile, arch);
        for number in (0..=600).map(|number| base + number) {
            // The multiplexers of x86: ours cannot be passed by, libseccomp's can.
            if arch == Arch::X86 && matches!(number, 102 | 117) {
                continue;
            }
            let few = if compared.contains(&number) { arguments.len() } else { 2 };
            for args in &arguments[..few] {
                let [one, other] = [ours, theirs].map(|it| it.verdict(arch, number, *args));
                // Whose libseccomp does not know a call, skips its rule.
                let is_new = number - base > LAST_KNOWN;
                let refused = matches!(other, Some(Action::Errno(1 | 38)));
                check!(
                    one == other || is_new && refused,
                    "{arch} {:?} ({number}) with {args:x?}: {one:?}, but {other:?}",
                    arch.syscall_name(number)
                );
            }
        }
    }
    Ok(())
}

/// crun works with one version of cgroups only: where there are two it gets a mount namespace without the second.
fn in_one_version(t: &Context, runtime: Cmd) -> Cmd {
    match t.host().layout {
        CgroupLayout::Hybrid => {
            let script = "umount --no-mtab /sys/fs/cgroup/unified; exec \"$@\"";
            runtime.through(["unshare", "--mount", "sh", "-ec", script, "sh"])
        }
        _ => runtime,
    }
}

fn compare_with(t: &Context, name: &str) -> Result<Verdict> {
    need!(cfg!(target_arch = "x86_64"), "the calls are those of x86-64");
    need!(t.is_coracle() && t.host().is_root(), "only root reads filters");
    let Some(other) = Runtime::other(name) else {
        return Ok(Verdict::Skipped(format!("no {name}")));
    };
    for profile in usual_profile()?.into_iter().chain([with_arguments()]) {
        // Without no_new_privs all of them load the filter before the start.
        let bundle = t.bundle()?.set("/ociVersion", "1.0.2").set("/linux/seccomp", profile.clone());
        let bundle = bundle.set("/process/noNewPrivileges", false);
        let root = t.path(&format!("{name}-root"));
        let Some(ours) = filter_of(t, t.command(), &bundle)? else {
            return Ok(Verdict::Skipped("this kernel does not show filters".into()));
        };
        let runtime = in_one_version(t, other.command().arg("--root").arg(root));
        let Some(theirs) = filter_of(t, runtime, &bundle)? else {
            return Ok(Verdict::Skipped("this kernel does not show filters".into()));
        };
        compare(&profile, &ours, &theirs)?;
    }
    Ok(Passed)
}

fn judge_as_those_of_runc(t: &mut Context) -> Result<Verdict> {
    compare_with(t, "runc")
}

fn judge_as_those_of_crun(t: &mut Context) -> Result<Verdict> {
    compare_with(t, "crun")
}
