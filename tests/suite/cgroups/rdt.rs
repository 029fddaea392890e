//! `/linux/intelRdt`: on a machine without the hardware, what is said of that.

use std::path::Path;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Context, Result, Test, Verdict, check, check_eq, need, tests};
use serde_json::json;

pub const TESTS: &[Test] = tests![needs_the_file_system, has_a_class_of_its_own];

const RESCTRL: &str = "/sys/fs/resctrl";

fn is_mounted() -> bool {
    Path::new(RESCTRL).join("schemata").exists()
}

fn needs_the_file_system(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "runc starts the container all the same");
    need!(!is_mounted(), "there is a resctrl file system");
    for asked in [json!({"closID": "/"}), json!({"schemata": ["L3:0=f"]}), json!({})] {
        let bundle = t.bundle()?.set("/linux/intelRdt", asked);
        t.run(&bundle)?.refused(&["resctrl", "mount"])?;
    }
    let container = t.start(&t.bundle()?.idle())?;
    let flags = ["--pids-limit", "77", "--mem-bw-schema", "MB:0=20"];
    let before = t.host().limit_of(container.pid()?, "pids", ["pids.max"; 2])?;
    container.command("update", &flags).run()?.refused(&["resctrl", "mount"])?;
    check_eq!(t.host().limit_of(container.pid()?, "pids", ["pids.max"; 2])?, before);
    container.delete_forcibly()?;
    Ok(Passed)
}

fn has_a_class_of_its_own(t: &mut Context) -> Result<Verdict> {
    need!(is_mounted(), "no resctrl file system is mounted");
    let bundle = t.bundle()?.idle().set("/linux/intelRdt", json!({"enableMonitoring": true}));
    let container = t.start(&bundle)?;
    let group = Path::new(RESCTRL).join(container.id());
    let tasks = std::fs::read_to_string(group.join("tasks"))?;
    let pid = container.pid()?.to_string();
    check!(tasks.lines().any(|line| line == pid), "{tasks}");
    check!(group.join("mon_groups").join(container.id()).exists());
    container.delete_forcibly()?;
    check!(!group.exists());
    Ok(Passed)
}
