//! Capabilities, no_new_privs, keyrings and signals.

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Bundle, Cmd, Context, Result, Test, Verdict, check, check_eq, check_has, need, tests,
};
use serde_json::{Value, json};

use super::field;

pub const TESTS: &[Test] = tests![
    has_the_capabilities_of_the_default_configuration,
    has_exactly_the_capabilities_of_each_set,
    keeps_ambient_capabilities_for_users,
    has_none_without_a_list,
    warns_of_capabilities_that_nobody_knows,
    warns_of_ambient_capabilities_that_cannot_be,
    capabilities_have_an_effect,
    sets_no_new_privs,
    has_a_session_keyring_of_its_own,
    stays_in_the_callers_keyring_if_asked,
    starts_with_no_signal_blocked_or_ignored,
    runs_under_an_apparmor_profile,
    never_runs_without_the_profile_that_is_asked_for,
];

/// The five sets of a container, as the kernel counts them.
fn sets(t: &Context, bundle: Bundle) -> Result<[u64; 5]> {
    let output = t.run(&bundle.args(&["cat", "/proc/self/status"]))?.expect(0)?;
    let mut sets = [0; 5];
    for (set, name) in sets.iter_mut().zip(["Bnd", "Eff", "Prm", "Inh", "Amb"]) {
        *set = u64::from_str_radix(field(&output.stdout, &format!("Cap{name}")), 16)?;
    }
    Ok(sets)
}

const CHOWN: u64 = 1 << 0;
const DAC_OVERRIDE: u64 = 1 << 1;
const KILL: u64 = 1 << 5;
const NET_BIND_SERVICE: u64 = 1 << 10;
const AUDIT_WRITE: u64 = 1 << 29;

fn has_the_capabilities_of_the_default_configuration(t: &mut Context) -> Result<Verdict> {
    let given = KILL | NET_BIND_SERVICE | AUDIT_WRITE;
    let [bounding, effective, permitted, _, ambient] = sets(t, t.bundle()?)?;
    check_eq!([bounding, effective, permitted, ambient], [given, given, given, 0]);
    Ok(Passed)
}

/// Those of the process itself, before execve(2) makes of root's what it must.
fn has_exactly_the_capabilities_of_each_set(t: &mut Context) -> Result<Verdict> {
    let capabilities = json!({
        "bounding": ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_KILL", "CAP_NET_BIND_SERVICE"],
        "permitted": ["CAP_CHOWN", "CAP_KILL"],
        "effective": ["CAP_KILL"],
        "inheritable": ["CAP_CHOWN"],
        "ambient": [],
    });
    let bundle = t.bundle()?.set("/process/capabilities", capabilities);
    let bundle = bundle.set("/process/noNewPrivileges", false);
    let container = t.create(&bundle.clone())?;
    let status = std::fs::read_to_string(format!("/proc/{}/status", container.pid()?))?;
    let set = |name: &str| u64::from_str_radix(field(&status, name), 16);
    let bounding = CHOWN | DAC_OVERRIDE | KILL | NET_BIND_SERVICE;
    let expected = [bounding, KILL, CHOWN | KILL, CHOWN, 0];
    check_eq!(
        [set("CapBnd")?, set("CapEff")?, set("CapPrm")?, set("CapInh")?, set("CapAmb")?],
        expected
    );
    container.delete()?;
    // Root gets what the bounding set leaves; any other user nothing.
    check_eq!(sets(t, bundle.clone())?, [bounding, bounding, bounding, CHOWN, 0]);
    let user = bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}));
    check_eq!(sets(t, user)?, [bounding, 0, 0, CHOWN, 0]);
    Ok(Passed)
}

fn keeps_ambient_capabilities_for_users(t: &mut Context) -> Result<Verdict> {
    let list = json!(["CAP_CHOWN", "CAP_KILL"]);
    let bundle = t.bundle()?.set("/process/user", json!({"uid": 1000, "gid": 1000}));
    let bundle = ["bounding", "permitted", "effective", "inheritable", "ambient"]
        .iter()
        .fold(bundle, |it, set| it.set(&format!("/process/capabilities/{set}"), list.clone()));
    check_eq!(sets(t, bundle)?, [CHOWN | KILL; 5]);
    Ok(Passed)
}

fn has_none_without_a_list(t: &mut Context) -> Result<Verdict> {
    let empty = t.bundle()?.set("/process/capabilities", json!({}));
    check_eq!(sets(t, empty)?, [0; 5]);
    let missing = t.bundle()?.remove("/process/capabilities");
    check_eq!(sets(t, missing)?, [0; 5]);
    Ok(Passed)
}

fn with_all_sets(bundle: Bundle, list: &Value) -> Bundle {
    ["bounding", "permitted", "effective"]
        .iter()
        .fold(bundle, |it, set| it.set(&format!("/process/capabilities/{set}"), list.clone()))
}

fn warns_of_capabilities_that_nobody_knows(t: &mut Context) -> Result<Verdict> {
    let bundle = with_all_sets(t.bundle()?, &json!(["CAP_CHOWN", "CAP_FUTURE"]));
    let output = t.run(&bundle.script("grep CapBnd /proc/self/status"))?.expect(0)?;
    check!(output.stdout.trim().ends_with("0001"), "{output}");
    output.says(&["warning", "CAP_FUTURE"])?;
    Ok(Passed)
}

fn warns_of_ambient_capabilities_that_cannot_be(t: &mut Context) -> Result<Verdict> {
    let bundle = with_all_sets(t.bundle()?, &json!(["CAP_CHOWN"]));
    let bundle = bundle.set("/process/capabilities/ambient", json!(["CAP_CHOWN"]));
    let output = t.run(&bundle)?.expect(0)?;
    output.says(&["warning", "/process/capabilities/ambient", "CAP_CHOWN"])?;
    Ok(Passed)
}

fn capabilities_have_an_effect(t: &mut Context) -> Result<Verdict> {
    let script = "chown 1000 /tmp && echo chowned; hostname x && echo named";
    let bundle = t.bundle()?.writable().script(script);
    let output = t.run(&bundle.clone().capabilities(&["CAP_CHOWN"]))?;
    check_eq!(output.text(), "chowned");
    let output = t.run(&bundle.capabilities(&["CAP_SYS_ADMIN"]))?.expect(0)?;
    check_eq!(output.text(), "named");
    Ok(Passed)
}

fn sets_no_new_privs(t: &mut Context) -> Result<Verdict> {
    for (value, shown) in [(json!(true), "1"), (json!(false), "0"), (Value::Null, "0")] {
        let bundle = t.bundle()?.remove("/process/noNewPrivileges");
        let bundle = match value {
            Value::Null => bundle,
            value => bundle.set("/process/noNewPrivileges", value),
        };
        let output = t.run(&bundle.args(&["cat", "/proc/self/status"]))?.expect(0)?;
        check_eq!(field(&output.stdout, "NoNewPrivs"), shown);
    }
    Ok(Passed)
}

fn keyrings(t: &Context, flags: &[&str]) -> Result<(String, String)> {
    let bundle = t.bundle()?.set("/linux/maskedPaths", json!([])).args(&["cat", "/proc/keys"]);
    let (command, id) = t.run_as(&bundle, flags)?;
    Ok((command.succeed()?.stdout, format!("_ses.{id}")))
}

fn has_a_session_keyring_of_its_own(t: &mut Context) -> Result<Verdict> {
    let (keys, name) = keyrings(t, &[])?;
    check_has!(keys, name.as_str());
    Ok(Passed)
}

fn stays_in_the_callers_keyring_if_asked(t: &mut Context) -> Result<Verdict> {
    let (keys, name) = keyrings(t, &["--no-new-keyring"])?;
    check!(!keys.contains(&name), "{keys}");
    Ok(Passed)
}

/// Also not those of the C library, 32 and 33, which posix_spawn(3) of glibc leaves ignored.
fn starts_with_no_signal_blocked_or_ignored(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.args(&["cat", "/proc/self/status"]);
    let ignoring = t.run_with(&bundle, &[])?.after("trap '' HUP INT TERM USR1 PIPE CHLD");
    let output = ignoring.succeed()?;
    for set in ["SigBlk", "SigIgn", "SigPnd", "ShdPnd"] {
        check_eq!((set, u64::from_str_radix(field(&output.stdout, set), 16)?), (set, 0));
    }
    Ok(Passed)
}

fn runs_under_an_apparmor_profile(t: &mut Context) -> Result<Verdict> {
    need!(t.host().apparmor, "AppArmor is not active");
    need!(t.host().has_program("apparmor_parser"), "no apparmor_parser");
    let name = t.id();
    let profile = format!("profile {name} {{ file, deny /etc/passwd r, }}\n");
    let parser = |action| Cmd::new("apparmor_parser").args([action, "-K"]).input(&profile);
    parser("-r")?.succeed()?;
    let script =
        "cat /proc/self/attr/current; cat /etc/passwd; cat /etc/group > /dev/null && echo read";
    let bundle = t.bundle()?.set("/process/apparmorProfile", name.clone()).script(script);
    let output = t.run(&bundle)?.expect(0)?;
    check_eq!(output.lines(), [format!("{name} (enforce)"), "read".to_owned()]);
    check!(output.stderr.contains("ermission denied"), "{output}");
    let bundle = bundle.set("/process/noNewPrivileges", false);
    check_eq!(t.run(&bundle)?.expect(0)?.lines()[0], format!("{name} (enforce)"));
    parser("-R")?.succeed()?;
    Ok(Passed)
}

fn never_runs_without_the_profile_that_is_asked_for(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.set("/process/apparmorProfile", "no-such-profile");
    let output = t.run(&bundle.script("echo unconfined"))?;
    check!(output.stdout.is_empty(), "{output}");
    output.refused(&["apparmor"])?;
    Ok(Passed)
}
