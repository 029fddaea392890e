//! Containers in containers.

use std::path::Path;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Bundle, Context, Result, Suite, Test, Verdict, check_eq, tests};
use serde_json::json;

use crate::rootless;

pub fn add_to(suite: Suite) -> Suite {
    suite.group("nested", TESTS)
}

const TESTS: &[Test] = tests![runs_in_a_container_of_root, runs_in_a_container_of_a_user];

/// What the inner container says of itself.
const SCRIPT: &str = "echo inside; hostname; echo $$; ls /proc/1/exe > /dev/null && exit 9";

/// Puts the runtime and an inner bundle into the outer one, whose command it is to run that.
fn around(t: &Context, outer: Bundle, inner: &Bundle) -> Result<Bundle> {
    let inner = inner.clone().script(SCRIPT).set("/hostname", "inner");
    inner.write()?;
    let program = t.runtime().path().to_string_lossy().into_owned();
    let directory = inner.directory().to_string_lossy().into_owned();
    let script = "exec /coracle --root /run/store run --bundle /inner nested";
    Ok(outer
        .script(script)
        .set("/process/capabilities", json!({}))
        .set("/linux/maskedPaths", json!([]))
        .set("/linux/readonlyPaths", json!([]))
        .mount("/run", "tmpfs", "tmpfs", &[])
        .mount("/coracle", "bind", &program, &["bind", "ro"])
        .mount("/inner", "bind", &directory, &["rbind"]))
}

/// All capabilities that there are in the outer container.
fn with_all_capabilities(outer: Bundle) -> Bundle {
    let names = [
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_ADMIN",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_ADMIN",
        "SYS_CHROOT",
        "SYS_PTRACE",
        "AUDIT_WRITE",
        "NET_BIND_SERVICE",
        "SETFCAP",
    ];
    let names: Vec<_> = names.iter().map(|name| format!("CAP_{name}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    outer.set("/process/noNewPrivileges", false).capabilities(&names)
}

fn runs_in_a_container_of_root(t: &mut Context) -> Result<Verdict> {
    let outer = around(t, t.bundle()?.writable(), &t.bundle()?)?;
    let outer = with_all_capabilities(outer);
    let mounts = outer.spec()["mounts"].as_array().cloned().unwrap_or_default();
    let cgroup = mounts.iter().position(|mount| mount["destination"] == "/sys/fs/cgroup");
    // The inner one's cgroups are made in the outer one's.
    let outer = match cgroup {
        Some(index) => outer
            .set(&format!("/mounts/{index}/options"), json!(["nosuid", "noexec", "nodev", "rw"])),
        None => outer,
    };
    let output = t.run(&outer)?.expect(9)?;
    check_eq!(output.lines(), ["inside", "inner", "1"]);
    Ok(Passed)
}

fn runs_in_a_container_of_a_user(t: &mut Context) -> Result<Verdict> {
    let outer = rootless::bundle(t)?;
    let inner = rootless::bundle(t)?;
    let inner = inner.set("/linux/uidMappings/0/hostID", 0).set("/linux/gidMappings/0/hostID", 0);
    let outer = with_all_capabilities(around(t, outer, &inner)?);
    t.give_to_user(Path::new(outer.directory()))?;
    t.give_to_user(Path::new(inner.directory()))?;
    let output = t.as_user(t.run_with(&outer, &[])?).run()?.expect(9)?;
    check_eq!(output.lines(), ["inside", "inner", "1"]);
    Ok(Passed)
}
