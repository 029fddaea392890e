//! Capabilities, no_new_privs, keyrings and signals.

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Bundle, Context, Result, Test, Verdict, check, check_eq, check_has, need, tests,
};
use serde_json::{Value, json};

use super::field;
use crate::namespaces::mapped;

pub const TESTS: &[Test] = tests![
    has_the_capabilities_of_the_default_configuration,
    has_exactly_the_capabilities_of_each_set,
    keeps_ambient_capabilities_for_users,
    has_none_without_a_list,
    warns_of_capabilities_that_nobody_knows,
    warns_of_ambient_capabilities_that_cannot_be,
    capabilities_have_an_effect,
    takes_no_more_than_the_caller_may_give,
    has_all_capabilities_in_a_user_namespace_that_is_joined,
    sets_no_new_privs,
    has_a_session_keyring_of_its_own,
    shares_its_keyring_with_what_is_executed_in_it,
    stays_in_the_callers_keyring_if_asked,
    starts_with_no_signal_blocked_or_ignored,
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
const SYS_RESOURCE: u64 = 1 << 24;
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
    let list = json!(["CAP_CHOWN", "CAP_KILL", "CAP_SETUID"]);
    let bundle = with_all_sets(t.bundle()?, &list);
    let bundle = bundle.set("/process/capabilities/ambient", list);
    let output = t.run(&bundle)?.expect(0)?;
    output.says(&["warning", "/process/capabilities/ambient", "CAP_CHOWN", "CAP_SETUID"])?;
    if t.is_coracle() {
        // Engines ask for many of them.
        check_eq!(output.stderr.lines().count(), 1);
    }
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

/// Also of the bounding set, which a caller that is confined itself cannot widen.
fn takes_no_more_than_the_caller_may_give(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "others fail, or say nothing");
    need!(t.host().has_program("setpriv"), "no setpriv");
    let bundle = with_all_sets(t.bundle()?, &json!(["CAP_KILL", "CAP_NET_RAW"]));
    let bundle = bundle.args(&["cat", "/proc/self/status"]);
    let bounded = ["setpriv", "--bounding-set", "-net_raw", "--inh-caps", "-net_raw"];
    let output = t.run_with(&bundle, &[])?.through(bounded).succeed()?;
    check_eq!(u64::from_str_radix(field(&output.stdout, "CapBnd"), 16)?, KILL);
    output.says(&["warning", "cannot give CAP_NET_RAW"])?;
    Ok(Passed)
}

fn has_all_capabilities_in_a_user_namespace_that_is_joined(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "others have what their caller has");
    let neighbour = t.start(&mapped(t)?.idle())?;
    neighbour.wait_for("ready")?;
    let path = format!("/proc/{}/ns/user", neighbour.pid()?);
    let bundle = mapped(t)?.remove("/linux/uidMappings").remove("/linux/gidMappings");
    let bundle = bundle.remove("/hostname").namespace("user", Some(&path));
    // One that the host of these tests may be without.
    let bundle = with_all_sets(bundle, &json!(["CAP_SYS_RESOURCE"]));
    let output = t.run(&bundle.args(&["cat", "/proc/self/status"]))?.expect(0)?;
    check_eq!(u64::from_str_radix(field(&output.stdout, "CapEff"), 16)?, SYS_RESOURCE);
    check!(!output.stderr.contains("warning"), "{output}");
    neighbour.delete_forcibly()?;
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

/// The keyring belongs to root of the container, also in a user namespace.
fn shares_its_keyring_with_what_is_executed_in_it(t: &mut Context) -> Result<Verdict> {
    for bundle in [t.bundle()?, mapped(t)?] {
        let container = t.start(&bundle.set("/linux/maskedPaths", json!([])).idle())?;
        container.wait_for("ready")?;
        let keys = container.script("cat /proc/keys")?.stdout;
        let name = format!("_ses.{}", container.id());
        let own: Vec<_> = keys.lines().filter(|line| line.contains(&name)).collect();
        check_eq!(own.len(), 1);
        container.delete_forcibly()?;
    }
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
