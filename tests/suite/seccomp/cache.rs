//! The cache of compiled filters.

use std::fs::{self, Permissions};
use std::hash::{DefaultHasher, Hasher};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Bundle, Context, Result, Test, Verdict, check, check_eq, need, tests};
use serde_json::json;

use super::filter;
use crate::rootless;

pub const TESTS: &[Test] = tests![
    serves_the_starts_after_the_first,
    serves_users_too,
    is_not_used_where_others_could_have_written,
    takes_no_other_profiles_filter,
    does_not_keep_a_start_from_its_checks,
];

/// `BPF_RET | BPF_K`, `SECCOMP_RET_ALLOW`.
const ALLOW_ALL: [u8; 8] = [6, 0, 0, 0, 0, 0, 0xff, 0x7f];

/// A container that says whether it can make a directory, which its filter forbids.
fn forbidding(bundle: Bundle) -> Bundle {
    let bundle = bundle.script("mkdir /dev/shm/made 2> /dev/null && echo made || echo denied");
    let rules = json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]);
    filter(bundle, "SCMP_ACT_ALLOW", rules)
}

fn directory(t: &Context) -> PathBuf {
    t.store().join("@seccomp")
}

fn entries(t: &Context) -> Result<Vec<PathBuf>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(directory(t))? {
        entries.push(entry?.path());
    }
    Ok(entries)
}

/// The one entry, made anew.
fn entry(t: &Context, bundle: &Bundle) -> Result<PathBuf> {
    if directory(t).exists() {
        fs::remove_dir_all(directory(t))?;
    }
    check_eq!(t.run(bundle)?.text(), "denied");
    let entries = entries(t)?;
    check_eq!(entries.len(), 1);
    Ok(entries[0].clone())
}

/// What `--debug` says of the filter.
fn origin(output: &str) -> Option<&str> {
    let line = output.lines().find(|line| line.contains("seccomp filter: "))?;
    line.rsplit_once(", ").map(|(_, origin)| origin)
}

fn serves_the_starts_after_the_first(t: &mut Context) -> Result<Verdict> {
    let bundle = forbidding(t.bundle()?);
    bundle.write()?;
    for expected in ["compiled", "found in the cache", "found in the cache"] {
        let command = t.command().args(["--debug", "run", "--bundle"]);
        let output = command.arg(bundle.directory()).arg(t.id()).succeed()?;
        check_eq!(output.text(), "denied");
        check_eq!(origin(&output.stderr), Some(expected));
        check!(output.stderr.contains(" instructions, "), "{output}");
    }
    let mode = |path: &Path| fs::metadata(path).map(|found| found.permissions().mode() & 0o7777);
    check_eq!(mode(&directory(t))?, 0o700);
    for entry in entries(t)? {
        check_eq!(mode(&entry)?, 0o600);
    }
    let container = t.start(&bundle.idle())?;
    let command = t.command().args(["--debug", "exec", container.id(), "mkdir", "/dev/shm/made"]);
    let output = command.run()?.expect(1)?;
    check_eq!(origin(&output.stderr), Some("found in the cache"));
    check_eq!(t.command().arg("list").arg("--quiet").succeed()?.text(), container.id());
    container.delete_forcibly()?;
    Ok(Passed)
}

fn serves_users_too(t: &mut Context) -> Result<Verdict> {
    let bundle = forbidding(rootless::bundle(t)?);
    bundle.write()?;
    for expected in ["compiled", "found in the cache"] {
        let command = t.command().args(["--debug", "run", "--bundle"]);
        let output = t.as_user(command.arg(bundle.directory()).arg(t.id())).succeed()?;
        check_eq!(output.text(), "denied");
        check_eq!(origin(&output.stderr), Some(expected));
    }
    // Whoever else looks into the container leaves nothing there.
    let container = rootless::create(t, &bundle.idle())?;
    fs::remove_dir_all(directory(t))?;
    let output = container.exec(&["mkdir", "/dev/shm/made"]).run()?;
    check!(output.code() == 1 && !output.stderr.contains("is not used"), "{output}");
    check!(!directory(t).exists());
    container.delete_forcibly()?;
    Ok(Passed)
}

/// Whoever can write an entry decides what containers may do: that can be the owner alone.
fn is_not_used_where_others_could_have_written(t: &mut Context) -> Result<Verdict> {
    need!(t.host().is_root(), "only root can give files away");
    type Doing = fn(&Path) -> std::io::Result<()>;
    let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode));
    let doings: [(&str, Doing); 6] = [
        ("another user's file", |entry| chown(entry, Some(1000), None)),
        ("a file that others can write", |entry| {
            fs::set_permissions(entry, Permissions::from_mode(0o606))
        }),
        ("a link", |entry| {
            let elsewhere = entry.with_file_name("elsewhere");
            fs::rename(entry, &elsewhere)?;
            symlink(elsewhere, entry)
        }),
        ("a second name", |entry| fs::hard_link(entry, entry.with_file_name("elsewhere"))),
        ("another user's directory", |entry| {
            chown(entry.parent().unwrap_or(entry), Some(1000), None)
        }),
        ("a directory that others can write", |entry| {
            let directory = entry.parent().unwrap_or(entry);
            fs::set_permissions(directory, Permissions::from_mode(0o777))
        }),
    ];
    let bundle = forbidding(t.bundle()?);
    let planted = |entry: &Path| -> Result<()> {
        // A valid entry is the profile, a checksum, and the filter.
        let mut bytes = fs::read(entry)?;
        let length = compiled_length(t, &bundle)?;
        bytes.truncate(bytes.len() - length - size_of::<u64>());
        let mut checksum = DefaultHasher::new();
        checksum.write(&ALLOW_ALL);
        bytes.extend(checksum.finish().to_ne_bytes());
        bytes.extend(ALLOW_ALL);
        fs::write(entry, bytes)?;
        Ok(mode(entry, 0o600)?)
    };
    // It would work: the owner is trusted.
    planted(&entry(t, &bundle)?)?;
    check_eq!(t.run(&bundle)?.text(), "made");
    for (name, doing) in doings {
        let entry = entry(t, &bundle)?;
        planted(&entry)?;
        doing(&entry)?;
        let output = t.run(&bundle)?;
        check!(output.text() == "denied", "{name}: {output}");
        check!(output.stderr.contains("is not used: "), "{name}: {output}");
    }
    Ok(Passed)
}

/// The length of the bundle's filter, in bytes.
fn compiled_length(t: &Context, bundle: &Bundle) -> Result<usize> {
    let config = bundle.directory().join("config.json");
    let command = t.command().args(["seccomp", "explain", "--format", "json"]);
    let said = command.arg(config).arg("mkdir").succeed()?.json()?;
    let instructions = said["instructions"].as_u64().unwrap_or_default();
    Ok(usize::try_from(instructions)? * 8)
}

/// Entries are found by a hash, for which two profiles could be made to be the same.
fn takes_no_other_profiles_filter(t: &mut Context) -> Result<Verdict> {
    let bundle = forbidding(t.bundle()?);
    let strict = entry(t, &bundle)?;
    // As long as the other in every part.
    let rules = json!([{"names": ["rmdir", "getppid"], "action": "SCMP_ACT_ERRNO"}]);
    let lax = filter(forbidding(t.bundle()?), "SCMP_ACT_ALLOW", rules);
    check_eq!(t.run(&lax)?.text(), "made");
    let other = entries(t)?.into_iter().find(|entry| *entry != strict).unwrap_or_default();
    for (from, to, bundle, expected) in
        [(&other, &strict, &bundle, "denied"), (&strict, &other, &lax, "made")]
    {
        fs::copy(from, to)?;
        let output = t.run(bundle)?;
        check!(output.text() == expected && output.stderr.is_empty(), "{output}");
    }
    Ok(Passed)
}

/// A filter that was found is under the same conditions as one that was compiled.
fn does_not_keep_a_start_from_its_checks(t: &mut Context) -> Result<Verdict> {
    let rules = json!([{"names": ["getppid"], "action": "SCMP_ACT_NOTIFY"}]);
    let notifying = filter(t.bundle()?, "SCMP_ACT_ALLOW", rules);
    let flagged =
        forbidding(t.bundle()?).set("/linux/seccomp/flags", json!(["SECCOMP_FILTER_FLAG_NONE"]));
    let foreign =
        forbidding(t.bundle()?).set("/linux/seccomp/architectures", json!(["SCMP_ARCH_S390"]));
    for _ in 0..2 {
        check!(!directory(t).exists());
        t.run(&notifying)?.refused(&["/linux/seccomp/listenerPath"])?;
        t.run(&flagged)?.refused(&["SECCOMP_FILTER_FLAG_NONE"])?;
    }
    for _ in 0..2 {
        t.run(&foreign)?.says(&["no table of its calls"])?;
        check_eq!(entries(t)?.len(), 1);
    }
    Ok(Passed)
}
