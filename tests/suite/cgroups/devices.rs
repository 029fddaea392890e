//! `/linux/resources/devices`: which devices open, v1 controller or BPF program.

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Bundle, Context, Result, Test, Verdict, check, check_eq, tests};
use serde_json::json;

pub const TESTS: &[Test] = tests![
    denies_what_the_default_configuration_denies,
    lets_every_node_be_made,
    allows_what_is_asked_for,
    allows_by_access,
    the_last_rule_wins,
    allows_the_devices_that_the_container_has,
    allows_all_if_asked,
];

/// Whether a block device that hardly any host has can be opened: for reading, and for writing.
///
/// The kernel asks the device controller before it looks for the device, so that what is allowed fails
/// with another error.
fn opens(t: &Context, bundle: Bundle, name: &str) -> Result<(bool, bool)> {
    let bundle = bundle.capabilities(&["CAP_MKNOD", "CAP_DAC_OVERRIDE"]);
    let script = format!("mknod /dev/probe {name} && (cat < /dev/probe; : >> /dev/probe)");
    let output = t.run(&bundle.script(&script))?;
    let refused = output.stderr.matches("Operation not permitted").count();
    let other = output.stderr.matches("No such device").count();
    check!(refused + other == 2, "{output}");
    let reading = output.stderr.lines().next().is_some_and(|line| !line.contains("not permitted"));
    Ok((reading, refused == usize::from(!reading)))
}

/// A number of those for local use.
const BLOCK: &str = "b 240 77";
const CHARACTER: &str = "c 240 77";

fn denies_what_the_default_configuration_denies(t: &mut Context) -> Result<Verdict> {
    check_eq!(opens(t, t.bundle()?, BLOCK)?, (false, false));
    check_eq!(opens(t, t.bundle()?, CHARACTER)?, (false, false));
    Ok(Passed)
}

fn lets_every_node_be_made(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.capabilities(&["CAP_MKNOD"]);
    let script = "mknod /dev/a b 240 1 && mknod /dev/b c 1 1 && ls /dev/a /dev/b";
    check_eq!(t.run(&bundle.script(script))?.expect(0)?.lines(), ["/dev/a", "/dev/b"]);
    Ok(Passed)
}

fn allow(bundle: Bundle, rule: serde_json::Value) -> Bundle {
    bundle.push("/linux/resources/devices", rule)
}

fn allows_what_is_asked_for(t: &mut Context) -> Result<Verdict> {
    let rule = json!({"allow": true, "type": "b", "major": 240, "minor": 77, "access": "rw"});
    check_eq!(opens(t, allow(t.bundle()?, rule.clone()), BLOCK)?, (true, true));
    check_eq!(opens(t, allow(t.bundle()?, rule.clone()), CHARACTER)?, (false, false));
    check_eq!(opens(t, allow(t.bundle()?, rule), "b 240 78")?, (false, false));
    let whole = json!({"allow": true, "type": "b", "major": 240, "access": "rwm"});
    check_eq!(opens(t, allow(t.bundle()?, whole), "b 240 78")?, (true, true));
    Ok(Passed)
}

fn allows_by_access(t: &mut Context) -> Result<Verdict> {
    for (access, expected) in [("r", (true, false)), ("w", (false, true)), ("m", (false, false))] {
        let rule = json!({"allow": true, "type": "c", "major": 240, "minor": 77, "access": access});
        check_eq!(opens(t, allow(t.bundle()?, rule), CHARACTER)?, expected);
    }
    Ok(Passed)
}

fn the_last_rule_wins(t: &mut Context) -> Result<Verdict> {
    let yes = json!({"allow": true, "type": "b", "major": 240, "access": "rwm"});
    let no = json!({"allow": false, "type": "b", "major": 240, "minor": 77, "access": "w"});
    check_eq!(opens(t, allow(allow(t.bundle()?, no.clone()), yes.clone()), BLOCK)?, (true, true));
    let whole = json!({"allow": false, "type": "b", "major": 240, "access": "w"});
    check_eq!(opens(t, allow(allow(t.bundle()?, yes.clone()), whole), BLOCK)?, (true, false));
    // As runc: version 1 has a list of exceptions, not of rules, and would pass over this one in silence.
    t.run(&allow(allow(t.bundle()?, yes), no))?.refused(&["240:77"])?;
    Ok(Passed)
}

fn allows_the_devices_that_the_container_has(t: &mut Context) -> Result<Verdict> {
    let fuse = json!({"path": "/dev/mine", "type": "b", "major": 240, "minor": 77});
    let bundle = t.bundle()?.push("/linux/devices", fuse);
    let output = t.run(&bundle.script("cat /dev/mine; : >> /dev/mine"))?;
    check_eq!(output.stderr.matches("No such device").count(), 2);
    let script =
        "for d in null zero full random urandom tty; do head -c 0 /dev/$d || echo $d; done";
    let output = t.run(&t.bundle()?.script(script))?;
    // There is no terminal.
    check_eq!(output.text(), "tty");
    check!(output.stderr.contains("No such device or address"), "{output}");
    Ok(Passed)
}

fn allows_all_if_asked(t: &mut Context) -> Result<Verdict> {
    let all =
        t.bundle()?.set("/linux/resources/devices", json!([{"allow": true, "access": "rwm"}]));
    check_eq!(opens(t, all, BLOCK)?, (true, true));
    Ok(Passed)
}
