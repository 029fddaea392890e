//! Configurations and arguments that are more than they seem.

use std::fs;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Context, Result, Test, Verdict, check, need, tests};
use serde_json::json;

use super::{idle, text, without};

pub const TESTS: &[Test] = tests![
    mounts_that_are_too_long,
    mounts_with_a_nul,
    ids_that_are_paths,
    cgroups_above_the_own,
    values_of_sysctls_that_are_more_than_one,
    sysctls_of_the_host,
];

/// CVE-2021-43784. What does not fit into a message is not cut off, nor taken for the next one.
fn mounts_that_are_too_long(t: &mut Context) -> Result<Verdict> {
    for length in [4097, 65_535, 65_536, 65_537, 131_073] {
        let long = format!("/{}", "a".repeat(length));
        let deep = "/a".repeat(length / 2);
        for path in [long, deep] {
            let target = t.bundle()?.mount(&path, "tmpfs", "attacker", &[]);
            let script = "grep -c ' attacker ' /proc/self/mountinfo";
            let output = t.run(&target.clone().script(script))?;
            // Who walks there step by step may mount it; nowhere else.
            let inside = !t.is_coracle() && output.text() == "1";
            check!(output.code() != 0 || inside, "a target of {length} bytes: {output}");
            fs::remove_dir_all(target.directory())?;
            let source = t.bundle()?.mount("/mnt", "bind", &path, &["bind"]);
            check!(t.run(&source)?.code() != 0, "a source of {length} bytes");
        }
    }
    let long = "/".repeat(70_000);
    let bundle = t.bundle()?.namespace("network", Some(&long));
    check!(t.run(&bundle)?.code() != 0, "a namespace's path of 70000 bytes");
    Ok(Passed)
}

/// CVE-2021-43784. A path ends where it ends.
fn mounts_with_a_nul(t: &mut Context) -> Result<Verdict> {
    let secret = text(&t.sentinel()?.join("secret"));
    let source = format!("{secret}\0x");
    let attacks = [
        t.bundle()?.mount("/mnt\0x", "tmpfs", "tmpfs", &[]),
        t.bundle()?.mount("/etc/passwd", "bind", &source, &["bind"]),
        t.bundle()?.mount("/mnt", "tmpfs\0x", "tmpfs", &[]),
        t.bundle()?.mount("/mnt", "tmpfs", "tmpfs", &["mode=755\0x"]),
        t.bundle()?.namespace("network", Some("/proc/1/ns/net\0x")),
        t.bundle()?.push("/process/env", "A=b\0C=d"),
        t.bundle()?.set("/process/cwd", "/tmp\0x"),
        t.bundle()?.set("/linux/maskedPaths", json!(["/etc\0x"])),
    ];
    for bundle in attacks {
        let output = t.run(&bundle.script("cat /etc/passwd"))?;
        check!(!output.stdout.contains("secret"), "{output}");
        check!(!t.is_coracle() || output.code() != 0, "{output}");
    }
    Ok(Passed)
}

/// An id names files and cgroups; it must not name others'.
fn ids_that_are_paths(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?;
    bundle.write()?;
    let victim = t.path("victim");
    fs::create_dir_all(t.store())?;
    fs::create_dir(&victim)?;
    for id in ["..", ".", "../victim", "a/../../victim", "/victim", "a/b", "", "a\nb", "a b"] {
        for command in ["run", "delete", "state", "kill"] {
            let mut given = t.command().arg(command);
            if command == "run" {
                given = given.arg("--bundle").arg(bundle.directory());
            }
            let output = given.arg("--").arg(id).run()?;
            check!(output.code() != 0, "{command} {id:?}: {output}");
        }
        check!(victim.is_dir() && fs::read_dir(&victim)?.next().is_none(), "{id:?}");
    }
    fs::remove_dir(victim)?;
    Ok(Passed)
}

/// A cgroup's path leads below where it starts.
fn cgroups_above_the_own(t: &mut Context) -> Result<Verdict> {
    let victim = t.id();
    for path in [
        format!("/{}/../../../../{victim}", t.id()),
        format!("../../../../{victim}"),
        format!("/../../{victim}"),
    ] {
        let bundle = t.bundle()?.set("/linux/cgroupsPath", path.as_str());
        let output = t.run(&bundle.args(&["cat", "/proc/self/cgroup"]))?;
        check!(!output.stdout.contains(".."), "{path}: {output}");
        check!(!t.is_coracle() || output.code() != 0, "{path}: {output}");
    }
    let container = idle(t)?;
    for path in ["..", "a/../..", "/../x", "../../../victim"] {
        let output =
            container.exec_with(&["--cgroup", path], &["cat", "/proc/self/cgroup"]).run()?;
        check!(output.code() != 0 || !t.is_coracle(), "{path}: {output}");
        check!(!output.stdout.contains("/..") && !output.stdout.contains("victim"), "{output}");
    }
    container.delete_forcibly()?;
    Ok(Passed)
}

const PORT: &str = "net.ipv4.ip_unprivileged_port_start";
const PORT_FILE: &str = "/proc/sys/net/ipv4/ip_unprivileged_port_start";

/// CVE-2022-0811. A value is written as one value, whatever is in it.
fn values_of_sysctls_that_are_more_than_one(t: &mut Context) -> Result<Verdict> {
    let script = format!("cat {PORT_FILE} /proc/sys/net/ipv4/ip_default_ttl");
    for value in [
        "77+net.ipv4.ip_default_ttl=99",
        "77\nnet.ipv4.ip_default_ttl=99",
        "77,net.ipv4.ip_default_ttl=99",
    ] {
        let bundle = t.bundle()?.set(&format!("/linux/sysctl/{PORT}"), value);
        let output = t.run(&bundle.script(&script))?;
        check!(output.code() != 0 || output.lines().get(1) != Some(&"99"), "{value}: {output}");
    }
    // The value that it has: whoever sets it changes nothing.
    let present = fs::read_to_string("/proc/sys/kernel/core_pattern")?;
    for name in [
        format!("{PORT}+kernel.core_pattern"),
        "net/../kernel/core_pattern".into(),
        "net.ipv4.../../kernel/core_pattern".into(),
        "kernel.core_pattern".into(),
    ] {
        let name = name.replace('/', "~1");
        let bundle = t.bundle()?.set(&format!("/linux/sysctl/{name}"), present.trim());
        let output = t.run(&bundle)?;
        check!(output.code() != 0, "{name}: {output}");
    }
    Ok(Passed)
}

/// CVE-2022-0532. A container in a namespace of the host sets nothing of it.
fn sysctls_of_the_host(t: &mut Context) -> Result<Verdict> {
    need!(t.host().has_program("unshare"), "there is no unshare(1)");
    // The host here is another network namespace, so that a runtime that sets it does no harm.
    let bundle = without(t.bundle()?, "/dev/mqueue").without_namespace("network");
    let bundle = bundle.without_namespace("ipc");
    let sysctls = [(PORT, "77", PORT_FILE), ("kernel.msgmax", "4096", "/proc/sys/kernel/msgmax")];
    for (name, value, file) in sysctls {
        let bundle = bundle.clone().set(&format!("/linux/sysctl/{name}"), value);
        let command = t.run_with(&bundle, &[])?;
        let script = format!("\"$@\"; echo; cat {file}");
        let command = command.through(["unshare", "--net", "--ipc", "sh", "-c", &script, "sh"]);
        let output = command.run()?;
        check!(output.lines().last() != Some(&value), "{name}: {output}");
    }
    Ok(Passed)
}
