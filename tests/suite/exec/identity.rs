//! `--user` and `--additional-gids`.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Container, Context, Result, Test, Verdict, check, check_eq, need, tests};
use serde_json::json;

use super::{field, idle};

pub const TESTS: &[Test] = tests![
    becomes_the_user,
    is_the_user_of_the_container_otherwise,
    takes_nothing_but_a_number_for_a_user,
    takes_numbers_that_nobody_has,
    does_not_look_up_a_number_as_a_name,
    joins_more_groups,
    is_in_its_own_group,
    is_not_spared_by_its_own_group,
];

/// User, group and all groups.
fn identity(container: &Container, flags: &[&str]) -> Result<[String; 3]> {
    let output = container.exec_with(flags, &["cat", "/proc/self/status"]).succeed()?;
    let all_four = |name| {
        let values: Vec<_> = field(&output.stdout, name).split_whitespace().collect();
        check!(values.len() == 4 && values.iter().all(|it| *it == values[0]), "{values:?}");
        Ok::<_, anyhow::Error>(values[0].to_owned())
    };
    let mut groups: Vec<u32> = field(&output.stdout, "Groups")
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    groups.sort_unstable();
    let groups: Vec<_> = groups.iter().map(u32::to_string).collect();
    Ok([all_four("Uid")?, all_four("Gid")?, groups.join(" ")])
}

fn becomes_the_user(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    let forms = [
        ("0", "0", "0"),
        ("1", "1", "0"),
        ("1:2", "1", "2"),
        ("01", "1", "0"),
        ("0:0", "0", "0"),
        ("1000:05", "1000", "5"),
        ("00", "0", "0"),
    ];
    for (given, uid, gid) in forms {
        check_eq!(
            (given, identity(&container, &["--user", given])?),
            (given, [uid, gid, gid].map(str::to_owned))
        );
    }
    container.delete_forcibly()?;
    Ok(Passed)
}

fn is_the_user_of_the_container_otherwise(t: &mut Context) -> Result<Verdict> {
    let user = json!({"uid": 7, "gid": 8, "additionalGids": [9, 10]});
    let container = t.start(&t.bundle()?.set("/process/user", user).idle())?;
    check_eq!(identity(&container, &[])?, ["7", "8", "8 9 10"]);
    check_eq!(identity(&container, &["--user", "1"])?[..2], ["1", "8"]);
    check_eq!(identity(&container, &["-u", "1:2"])?[..2], ["1", "2"]);
    check_eq!(identity(&container, &["-g", "11"])?, ["7", "8", "8 9 10 11"]);
    container.delete_forcibly()?;
    Ok(Passed)
}

fn takes_nothing_but_a_number_for_a_user(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "others take some of them");
    let container = idle(t)?;
    let wrong = [
        "",
        " ",
        "+1",
        " 1",
        "1 ",
        "1:",
        ":",
        ":1",
        "1:2:3",
        "-1",
        "-0",
        "1:-1",
        "1:+1",
        "1: 1",
        "root",
        "user",
        "0x1",
        "1e3",
        "1.0",
        "1_0",
        "١",
        "1\n",
        "0:root",
        "4294967295",
        "0:4294967295",
        "4294967296",
        "1:4294967296",
        "18446744073709551616",
        "99999999999999999999",
    ];
    for wrong in wrong {
        let output = container.exec_with(&["--user", wrong], &["id"]).run()?;
        check!([1, 255].contains(&output.code()), "{wrong:?}: {output}");
        check_eq!((wrong, output.stdout.as_str()), (wrong, ""));
        output.says(&["is no user or group"])?;
    }
    for wrong in ["", "-1", "+1", "tty", "4294967295", "4294967296", "5;6"] {
        let output = container.exec_with(&["--additional-gids", wrong], &["id"]).run()?;
        check!([1, 255].contains(&output.code()), "{wrong:?}: {output}");
        output.says(&["is no user or group"])?;
    }
    container.delete_forcibly()?;
    Ok(Passed)
}

fn takes_numbers_that_nobody_has(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    for id in ["2147483647", "2147483648", "4294967294"] {
        let seen = identity(&container, &["--user", &format!("{id}:{id}")])?;
        check_eq!(seen, [id; 3]);
    }
    container.delete_forcibly()?;
    Ok(Passed)
}

fn does_not_look_up_a_number_as_a_name(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.idle();
    let users = "99999999999:x:0:0::/:/bin/sh\n1:x:0:0::/:/bin/sh\n";
    fs::write(bundle.rootfs().join("etc/passwd"), users)?;
    let container = t.start(&bundle)?;
    check_eq!(identity(&container, &["--user", "1"])?[0], "1");
    let output = container.exec_with(&["--user", "99999999999"], &["id", "-u"]).run()?;
    check!(output.code() != 0 && output.stdout.is_empty(), "{output}");
    container.delete_forcibly()?;
    Ok(Passed)
}

fn joins_more_groups(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    let flags = ["--user", "1:2", "-g", "3", "-g", "4000000000"];
    check_eq!(identity(&container, &flags)?, ["1", "2", "2 3 4000000000"]);
    container.delete_forcibly()?;
    Ok(Passed)
}

fn is_in_its_own_group(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    for flags in [&["--user", "1:2"][..], &["--user", "0:3"], &[]] {
        let [_, gid, groups] = identity(&container, flags)?;
        check_eq!(gid, groups);
    }
    let [_, gid, groups] = identity(&container, &["--user", "1:20", "-g", "30"])?;
    check_eq!((gid.as_str(), groups.as_str()), ("20", "20 30"));
    container.delete_forcibly()?;
    Ok(Passed)
}

/// Mode 604 denies the group what it gives to all others.
fn is_not_spared_by_its_own_group(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.idle();
    let file = bundle.rootfs().join("denied");
    fs::write(&file, "content\n")?;
    chown(&file, Some(0), Some(3000))?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o604))?;
    let container = t.start(&bundle)?;
    let read = |flags: &[&str]| container.exec_with(flags, &["cat", "/denied"]).run();
    read(&["--user", "1000:1000"])?.expect(0)?;
    read(&["--user", "1000:3000"])?.expect(1)?.says(&["ermission denied"])?;
    read(&["--user", "1000:1000", "-g", "3000"])?.expect(1)?.says(&["ermission denied"])?;
    container.delete_forcibly()?;
    Ok(Passed)
}
