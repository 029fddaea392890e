//! A `/proc` that is none: whatever the runtime writes there, decoys would swallow.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Bundle, Cmd, Context, Result, Test, Verdict, check, check_eq, tests};
use serde_json::json;

use super::{need_harmless, refused, text, without};

pub const TESTS: &[Test] = tests![
    labels_for_a_false_proc,
    sysctls_for_a_false_proc,
    decoys_over_files_of_proc,
    false_descriptors_in_an_image,
];

/// A port below which the container asks to be privileged; nobody has it.
const PORT: &str = "net.ipv4.ip_unprivileged_port_start";
const PORT_FILE: &str = "sys/net/ipv4/ip_unprivileged_port_start";

/// A directory that looks like a procfs to who writes labels and sysctls.
fn false_proc(t: &Context) -> Result<PathBuf> {
    let proc = t.path("proc");
    for task in ["self", "thread-self", "1", "self/task/1"] {
        fs::create_dir_all(proc.join(task).join("attr/apparmor"))?;
        fs::create_dir_all(proc.join(task).join("fd"))?;
        for file in ["exec", "current", "keycreate", "apparmor/exec", "apparmor/current"] {
            fs::write(proc.join(task).join("attr").join(file), "decoy\n")?;
        }
    }
    fs::create_dir_all(proc.join("sys/net/ipv4"))?;
    fs::write(proc.join(PORT_FILE), "decoy\n")?;
    Ok(proc)
}

/// Bundles whose `/proc` is that directory, or a tmpfs.
fn with_false_proc(t: &Context, proc: &std::path::Path) -> Result<[Bundle; 2]> {
    let bundle = || -> Result<Bundle> {
        let bundle = without(t.bundle()?, "/proc").set("/linux/maskedPaths", json!([]));
        Ok(bundle.set("/linux/readonlyPaths", json!([])))
    };
    Ok([
        bundle()?.mount("/proc", "bind", &text(proc), &["rbind", "rw"]),
        bundle()?.mount("/proc", "tmpfs", "tmpfs", &[]),
    ])
}

fn check_decoys(proc: &std::path::Path) -> Result<()> {
    for file in
        ["self/attr/exec", "thread-self/attr/exec", "thread-self/attr/apparmor/exec", PORT_FILE]
    {
        check_eq!(fs::read_to_string(proc.join(file))?, "decoy\n");
    }
    Ok(())
}

/// CVE-2019-16884. The decoy takes the label, and the container would run without.
///
/// No such profile is loaded, so no start can succeed with it in force.
fn labels_for_a_false_proc(t: &mut Context) -> Result<Verdict> {
    let proc = false_proc(t)?;
    for field in ["/process/apparmorProfile", "/process/selinuxLabel"] {
        for bundle in with_false_proc(t, &proc)? {
            let label = "system_u:system_r:no_such_profile_t:s0";
            let output = t.run(&bundle.set(field, label).args(&["echo", "unconfined"]))?;
            check!(output.code() != 0, "{field}: {output}");
            check_decoys(&proc)?;
        }
    }
    Ok(Passed)
}

/// CVE-2025-52881, CVE-2025-62596. A container that starts has the value that it asked for, and the decoy has not.
fn sysctls_for_a_false_proc(t: &mut Context) -> Result<Verdict> {
    let proc = false_proc(t)?;
    for bundle in with_false_proc(t, &proc)? {
        let bundle = bundle.set(&format!("/linux/sysctl/{PORT}"), "79");
        let bundle = bundle.script("trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done");
        let (command, id) = t.run_as(&bundle, &["--detach"])?;
        let output = command.run()?;
        check_decoys(&proc)?;
        if output.code() == 0 {
            let state = t.command().args(["state", &id]).succeed()?.json()?;
            let pid = state["pid"].to_string();
            let seen = Cmd::new("nsenter").args(["--net", "--target", &pid, "cat"]);
            let seen = seen.arg(format!("/proc/{PORT_FILE}")).succeed()?;
            t.command().args(["delete", "--force", &id]).succeed()?;
            check_eq!(seen.text(), "79");
        }
    }
    Ok(Passed)
}

/// CVE-2025-52881. Mounts over single files of a real procfs.
fn decoys_over_files_of_proc(t: &mut Context) -> Result<Verdict> {
    let decoy = t.sentinel()?.join("core_pattern");
    for target in [&format!("/proc/{PORT_FILE}"), "/proc/self/attr/exec", "/proc/thread-self/attr"]
    {
        let bundle = t.bundle()?.mount(target, "bind", &text(&decoy), &["bind"]);
        let bundle = bundle.set(&format!("/linux/sysctl/{PORT}"), "79");
        is_repelled(t, &bundle)?;
    }
    // The same through links of the image.
    let bundle = t.bundle()?.mount("/link/net/ipv4", "bind", &text(&decoy), &["bind"]);
    symlink("/proc/sys", bundle.rootfs().join("link"))?;
    is_repelled(t, &bundle)?;
    Ok(Passed)
}

/// Ours mounts nothing there. Others may, if they do not write to it then.
fn is_repelled(t: &Context, bundle: &Bundle) -> Result<()> {
    let output = t.run(bundle)?;
    if t.is_coracle() {
        refused(t, &output, &["/proc"])?;
    }
    t.check_sentinel()
}

/// CVE-2026-115521. What is to be read-only is not found by `/proc/self/fd` of the image.
fn false_descriptors_in_an_image(t: &mut Context) -> Result<Verdict> {
    let bundle = without(t.bundle()?, "/proc").set("/root/readonly", true);
    let bundle = bundle.set("/linux/maskedPaths", json!([])).set("/linux/readonlyPaths", json!([]));
    let bundle = bundle.mount("/mnt", "bind", &text(&t.path("")), &["bind", "ro"]);
    let bundle = bundle.script("touch /file && echo wrote; touch /mnt/file && echo wrote; true");
    need_harmless!(t, t.run_with(&bundle, &[])?);
    for task in ["self", "thread-self"] {
        let directory = bundle.rootfs().join("proc").join(task).join("fd");
        fs::create_dir_all(&directory)?;
        for number in 0..64 {
            symlink("/dev/shm", directory.join(number.to_string()))?;
        }
    }
    let output = t.run(&bundle)?;
    check!(!output.stdout.contains("wrote"), "{output}");
    Ok(Passed)
}
