//! Users, groups and capabilities that come out other than asked for.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Background, Context, Output, Result, Test, Verdict, check, check_eq, rounds, tests,
};
use rustix::fs::{XattrFlags, setxattr};
use serde_json::json;

use super::idle;

pub const TESTS: &[Test] = tests![
    inheritable_capabilities,
    inheritable_capabilities_of_exec,
    programs_with_inheritable_capabilities,
    negative_permissions_of_a_group,
    users_that_are_no_numbers,
    users_that_exec_is_given,
    names_that_look_like_users,
    environments_of_others,
];

const STATUS: &str = "grep -e '^Cap[IA]' /proc/self/status";

fn check_none(output: &Output) -> Result<()> {
    let sets: Vec<_> = output.stdout.split_whitespace().collect();
    check_eq!(sets, ["CapInh:", "0000000000000000", "CapAmb:", "0000000000000000"]);
    Ok(())
}

/// CVE-2022-24769, CVE-2022-27650. Nobody has asked for inheritable capabilities.
fn inheritable_capabilities(t: &mut Context) -> Result<Verdict> {
    for uid in [0, 1000] {
        let bundle = t.bundle()?.set("/process/user/uid", uid).script(STATUS);
        let bundle = bundle.remove("/process/capabilities/inheritable");
        let bundle = bundle.remove("/process/capabilities/ambient");
        // What the caller has is not the container's.
        let command = t.run_with(&bundle, &[])?;
        let command = command.through(["setpriv", "--inh-caps", "+net_raw,+sys_admin"]);
        check_none(&command.run()?.expect(0)?)?;
    }
    Ok(Passed)
}

/// CVE-2022-29162, CVE-2025-27612.
fn inheritable_capabilities_of_exec(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    for user in ["0", "1000"] {
        let flags = ["--cap", "CAP_NET_RAW", "--cap", "CAP_SYS_ADMIN", "--user", user];
        let seen = container.exec_with(&flags, &["grep", "CapInh", "/proc/self/status"]);
        check_eq!(seen.run()?.expect(0)?.text(), "CapInh:\t0000000000000000");
    }
    container.delete_forcibly()?;
    Ok(Passed)
}

/// A version 2 `security.capability` with `CAP_NET_RAW` inheritable and effective; see capabilities(7).
const NET_RAW_EI: [u8; 20] = [1, 0, 0, 2, 0, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// CVE-2022-24769. With inheritable capabilities such a file gives them to anybody.
fn programs_with_inheritable_capabilities(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.set("/process/user/uid", 1000).capabilities(&["CAP_NET_RAW"]);
    let program = bundle.rootfs().join("bin/busybox-ei");
    fs::copy("/bin/busybox", &program)?;
    setxattr(&program, "security.capability", &NET_RAW_EI, XattrFlags::empty())?;
    let bundle = bundle.set("/process/noNewPrivileges", false);
    let arguments =
        ["/bin/busybox-ei", "grep", "-e", "CapPrm", "-e", "CapEff", "/proc/self/status"];
    let output = t.run(&bundle.clone().args(&arguments))?.expect(0)?;
    check_eq!(output.stdout.matches("0000000000000000").count(), 2);
    let container = t.start(&bundle.idle())?;
    let output = container.exec_with(&["--cap", "CAP_NET_RAW"], &arguments).run()?.expect(0)?;
    let gained = output.stdout.matches("0000000000002000").count();
    check!(gained == 0, "{output}");
    container.delete_forcibly()?;
    Ok(Passed)
}

/// CVE-2022-2995, CVE-2023-25173. Who is in a group has what the group has, which may be less than others have.
fn negative_permissions_of_a_group(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.set("/process/user", json!({"uid": 1000, "gid": 777}));
    let file = bundle.rootfs().join("file");
    fs::write(&file, "for all but the group\n")?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o604))?;
    chown(&file, Some(0), Some(777))?;
    let bundle = bundle.capabilities(&[]);
    for groups in [json!([]), json!([5, 6])] {
        let bundle = bundle.clone().set("/process/user/additionalGids", groups);
        let output = t.run(&bundle.script("id -G; cat /file"))?;
        check!(!output.stdout.contains("for all"), "{output}");
        check!(output.stdout.split_whitespace().any(|group| group == "777"), "{output}");
    }
    Ok(Passed)
}

/// CVE-2024-40635. Whoever is not to be root does not become it by a number that is too large, or none.
fn users_that_are_no_numbers(t: &mut Context) -> Result<Verdict> {
    let too_much = [
        json!(4_294_967_295_u64),
        json!(4_294_967_296_u64),
        json!(4_294_967_297_u64),
        json!(18_446_744_073_709_551_615_u64),
        json!(-1),
        json!(1.5),
        json!("1000"),
        json!("0x3e8"),
    ];
    for field in ["uid", "gid"] {
        for id in &too_much {
            let bundle = t.bundle()?.set(&format!("/process/user/{field}"), id.clone());
            let output = t.run(&bundle.args(&["id", if field == "uid" { "-u" } else { "-g" }]))?;
            let harmless = output.code() != 0 || output.text() == *id;
            check!(harmless, "{field} {id}: {output}");
        }
    }
    // The largest numbers that are users.
    for id in [2_147_483_648_u64, 4_294_967_294] {
        let output = t.run(&t.bundle()?.set("/process/user/uid", id).args(&["id", "-u"]))?;
        check!(output.code() != 0 || output.text() == id.to_string(), "{id}: {output}");
    }
    Ok(Passed)
}

/// CVE-2026-30892. The user that was named is the user that it runs as, or it does not run.
fn users_that_exec_is_given(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    let users = [
        ("0", "0:0"),
        ("1", "1:0"),
        ("1:2", "1:2"),
        ("01", "1:0"),
        ("1000", "1000:0"),
        ("4294967294", "4294967294:0"),
    ];
    for (user, expected) in users {
        let output =
            container.exec_with(&["--user", user], &["sh", "-c", "echo $(id -u):$(id -g)"]);
        let output = output.run()?;
        // What it takes a missing group for is its own affair, if only not another's number.
        let (uid, gid) = expected.split_once(':').unwrap_or_default();
        let seen = output.text().split_once(':').unwrap_or_default();
        let named = seen.0 == uid && (seen.1 == gid || !user.contains(':'));
        check!(output.code() != 0 || named, "{user}: {output}");
        check!(!t.is_coracle() || output.code() == 0, "{user}: {output}");
    }
    for user in [
        "+1",
        " 1",
        "1 ",
        "1:",
        ":1",
        "-1",
        "1e3",
        "0x1",
        "4294967295",
        "4294967296",
        "1:4294967296",
        "",
    ] {
        let output = container.exec_with(&["--user", user], &["id", "-u"]).run()?;
        let first = user.trim().trim_start_matches('+').split(':').next().unwrap_or_default();
        // An empty word may stand for what the configuration says.
        let harmless = output.code() != 0 || first.is_empty() || output.text() == first;
        check!(harmless, "{user:?}: {output}");
        check!(!t.is_coracle() || output.code() != 0, "{user:?}: {output}");
    }
    container.delete_forcibly()?;
    Ok(Passed)
}

/// CVE-2026-46680. Digits are a number, whatever the image's user database calls by that name.
fn names_that_look_like_users(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.idle();
    let names = ["99999999999", "4294967296", "1000000", "+7"];
    let lines: String = names.iter().map(|name| format!("{name}:x:0:0::/:/bin/sh\n")).collect();
    fs::write(bundle.rootfs().join("etc/passwd"), lines)?;
    let container = t.start(&bundle)?;
    for name in names {
        let output = container.exec_with(&["--user", name], &["id", "-u"]).run()?;
        check!(output.code() != 0 || output.text() != "0", "{name}: {output}");
    }
    container.delete_forcibly()?;
    Ok(Passed)
}

/// CVE-2021-21334. Containers that are started at the same time have each its own environment.
fn environments_of_others(t: &mut Context) -> Result<Verdict> {
    const AT_ONCE: u32 = 8;
    for round in 0..rounds(32).min(25) / AT_ONCE + 1 {
        let start = |number: u32| -> Result<(String, Background)> {
            let mark = format!("MARK{round}x{number}=yes");
            let bundle = t.bundle()?.push("/process/env", mark.as_str()).args(&["env"]);
            Ok((mark, t.run_with(&bundle, &[])?.spawn()?))
        };
        for started in (0..AT_ONCE).map(start).collect::<Vec<_>>() {
            let (mark, container) = started?;
            let output = container.wait()?.expect(0)?;
            let marks: Vec<_> = output
                .lines()
                .into_iter()
                .filter(|it| it.starts_with("MARK"))
                .map(str::to_owned)
                .collect();
            check_eq!(marks, [mark]);
        }
    }
    Ok(Passed)
}
