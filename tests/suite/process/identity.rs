//! Users and groups.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Context, Result, Test, Verdict, check_eq, tests};
use serde_json::json;

use super::field;

pub const TESTS: &[Test] = tests![
    becomes_the_user,
    has_the_groups_that_are_asked_for_and_its_own,
    takes_numbers_that_nobody_has,
    is_not_spared_by_a_group_it_is_in,
    masks_the_modes_of_files,
    leads_a_session,
];

fn becomes_the_user(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.set("/process/user", json!({"uid": 1000, "gid": 5}));
    let output = t.run(&bundle.args(&["cat", "/proc/self/status"]))?.expect(0)?;
    check_eq!(field(&output.stdout, "Uid"), "1000\t1000\t1000\t1000");
    check_eq!(field(&output.stdout, "Gid"), "5\t5\t5\t5");
    Ok(Passed)
}

fn has_the_groups_that_are_asked_for_and_its_own(t: &mut Context) -> Result<Verdict> {
    let groups = |user: serde_json::Value| -> Result<Vec<u32>> {
        let bundle = t.bundle()?.set("/process/user", user);
        let output = t.run(&bundle.args(&["cat", "/proc/self/status"]))?.expect(0)?;
        let words = field(&output.stdout, "Groups").split_whitespace();
        let mut numbers = words.map(str::parse).collect::<Result<Vec<_>, _>>()?;
        numbers.sort_unstable();
        Ok(numbers)
    };
    check_eq!(groups(json!({"uid": 0, "gid": 0}))?, [0]);
    check_eq!(groups(json!({"uid": 7, "gid": 8}))?, [8]);
    check_eq!(
        groups(json!({"uid": 7, "gid": 8, "additionalGids": [5, 4_000_000_000_u32]}))?,
        [5, 8, 4_000_000_000]
    );
    check_eq!(groups(json!({"uid": 7, "gid": 8, "additionalGids": [8, 9]}))?, [8, 9]);
    Ok(Passed)
}

fn takes_numbers_that_nobody_has(t: &mut Context) -> Result<Verdict> {
    for id in [2_147_483_647_u32, 2_147_483_648, 4_294_967_294] {
        let bundle = t.bundle()?.set("/process/user", json!({"uid": id, "gid": id}));
        let output = t.run(&bundle.script("id -u; id -g"))?.expect(0)?;
        check_eq!(output.lines(), [id.to_string(), id.to_string()]);
    }
    Ok(Passed)
}

/// Mode 604 denies the group what it gives to all others.
fn is_not_spared_by_a_group_it_is_in(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.set("/process/user", json!({"uid": 1000, "gid": 3000}));
    let file = bundle.rootfs().join("denied");
    fs::write(&file, "")?;
    chown(&file, Some(0), Some(3000))?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o604))?;
    t.run(&bundle.args(&["cat", "/denied"]))?.expect(1)?.says(&["ermission denied"])?;
    Ok(Passed)
}

fn masks_the_modes_of_files(t: &mut Context) -> Result<Verdict> {
    let umask = |bundle: coracle_testkit::Bundle| -> Result<String> {
        // The caller's counts for nothing.
        let command = t.run_with(&bundle.script("umask"), &[])?.after("umask 007");
        Ok(command.succeed()?.text().to_owned())
    };
    check_eq!(umask(t.bundle()?)?, "0022");
    check_eq!(umask(t.bundle()?.set("/process/user/umask", 0o077))?, "0077");
    check_eq!(umask(t.bundle()?.set("/process/user/umask", 0))?, "0000");
    Ok(Passed)
}

fn leads_a_session(t: &mut Context) -> Result<Verdict> {
    let output = t.script("cut -d' ' -f 1,5,6 /proc/1/stat")?;
    check_eq!(output.text(), "1 1 1");
    Ok(Passed)
}
