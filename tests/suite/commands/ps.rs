//! `ps`.

use std::fs;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Bundle, Container, Context, Result, Test, Verdict, check, check_eq, check_has, eventually,
    need, tests,
};

use crate::rootless;

pub const TESTS: &[Test] = tests![
    lists_numbers_as_json,
    shows_rows_of_the_hosts_ps,
    passes_arguments_on_to_ps,
    includes_sub_cgroups,
    lists_what_outlives_the_first_process,
    says_what_is_wrong,
    lists_the_processes_of_a_user,
];

/// Three processes.
fn family(bundle: Bundle) -> Bundle {
    bundle.script("sleep 1000 & sleep 1000 & echo ready; wait")
}

fn pids(container: &Container) -> Result<Vec<i32>> {
    let output = container.command("ps", &["--format", "json"]).succeed()?;
    check_eq!(output.lines().len(), 1);
    // From runc, no processes are null.
    Ok(serde_json::from_str::<Option<_>>(&output.stdout)?.unwrap_or_default())
}

fn rows(container: &Container, args: &[&str]) -> Result<Vec<String>> {
    let output = container.command("ps", &[]).args(args).succeed()?;
    Ok(output.lines().iter().map(|line| (*line).to_owned()).collect())
}

fn lists_numbers_as_json(t: &mut Context) -> Result<Verdict> {
    let container = t.create(&family(t.bundle()?))?;
    check_eq!(pids(&container)?, [container.pid()?]);
    container.start()?;
    container.wait_for("ready")?;
    let found = pids(&container)?;
    check!(found.is_sorted() && found.len() == 3, "{found:?}");
    let namespace = |pid: &i32| fs::read_link(format!("/proc/{pid}/ns/pid"));
    for pid in &found {
        check_eq!(namespace(pid)?, namespace(&container.pid()?)?);
    }
    container.kill("KILL")?;
    container.wait_until_stopped()?;
    check_eq!(pids(&container)?, [0; 0]);
    check_eq!(rows(&container, &[])?.len(), 1);
    container.delete()?;
    Ok(Passed)
}

fn shows_rows_of_the_hosts_ps(t: &mut Context) -> Result<Verdict> {
    let container = t.start(&family(t.bundle()?))?;
    container.wait_for("ready")?;
    let rows = rows(&container, &[])?;
    check_eq!(rows.len(), 4);
    let heading: Vec<_> = rows[0].split_whitespace().collect();
    check_eq!(heading[..3], ["UID", "PID", "PPID"]);
    let numbers = rows[1..].iter().filter_map(|row| row.split_whitespace().nth(1)?.parse().ok());
    check_eq!(numbers.collect::<Vec<i32>>(), pids(&container)?);
    check_eq!(rows[1..].iter().filter(|row| row.contains("sleep 1000")).count(), 3);
    container.delete_forcibly()?;
    Ok(Passed)
}

/// Whatever comes after the id is for ps, flags that are also ours included.
fn passes_arguments_on_to_ps(t: &mut Context) -> Result<Verdict> {
    let container = t.start(&family(t.bundle()?))?;
    container.wait_for("ready")?;
    for (args, title) in [
        (&["-e", "-f"][..], "STIME"),
        (&["aux"], "%CPU"),
        (&["-e", "--format", "pid,args"], "COMMAND"),
    ] {
        let rows = rows(&container, args)?;
        check!(rows.len() == 4 && rows[0].contains(title), "{args:?}: {rows:?}");
    }
    // For runc the PID must be before all columns with spaces.
    let more = [&["--", "-ef"][..], &["-eo", "args:40,lstart,pid"]];
    for args in more.into_iter().filter(|_| t.is_coracle()) {
        check_eq!(rows(&container, args)?.len(), 4);
    }
    container.delete_forcibly()?;
    Ok(Passed)
}

fn includes_sub_cgroups(t: &mut Context) -> Result<Verdict> {
    let container = t.start(&family(t.bundle()?))?;
    container.wait_for("ready")?;
    let before = pids(&container)?;
    let below = t.host().cgroup_of(container.pid()?, "devices")?.join("below/deeper");
    fs::create_dir_all(&below)?;
    fs::write(below.join("cgroup.procs"), before[2].to_string())?;
    check_eq!(pids(&container)?, before);
    container.delete_forcibly()?;
    Ok(Passed)
}

fn lists_what_outlives_the_first_process(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.without_namespace("pid").script("sleep 1000 & exit");
    let container = t.start(&bundle)?;
    container.wait_until_stopped()?;
    let found = pids(&container)?;
    check_eq!(found.len(), 1);
    check_has!(fs::read_to_string(format!("/proc/{}/cmdline", found[0]))?, "sleep");
    container.delete_forcibly()?;
    Ok(Passed)
}

fn says_what_is_wrong(t: &mut Context) -> Result<Verdict> {
    let container = t.start(&t.bundle()?.idle())?;
    let ps = |args: &[&str]| container.command("ps", &[]).args(args).run();
    ps(&["-eo", "args"])?.refused(&["PID"])?;
    ps(&["--no-such-flag"])?.refused(&["ps failed", "option"])?;
    let nowhere = container.command("ps", &[]).env("PATH", "/nowhere").run()?;
    nowhere.refused(&["cannot run ps", "json"])?;
    container.command("ps", &["--format", "xml"]).run()?.refused(&["table or json"])?;
    container.delete_forcibly()?;
    t.command().args(["ps", "nobody"]).run()?.refused(&["does not exist"])?;
    t.command().arg("ps").run()?.refused(&["usage"])?;
    Ok(Passed)
}

/// Without a cgroup they are found by the pid namespace, and those of namespaces inside it.
fn lists_the_processes_of_a_user(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "others list nothing without a cgroup");
    let script = "unshare -p -f sleep 1000 & sleep 1000 & echo ready; wait";
    let bundle = rootless::bundle(t)?.script(script).capabilities(&["CAP_SYS_ADMIN"]);
    let container = rootless::create(t, &bundle)?;
    check_eq!(pids(&container)?, [container.pid()?]);
    container.start()?;
    container.wait_for("ready")?;
    eventually("four processes", || Ok((pids(&container)?.len() == 4).then_some(())))?;
    check_eq!(rows(&container, &[])?.len(), 5);
    container.kill("KILL")?;
    container.wait_until_stopped()?;
    check_eq!(pids(&container)?, [0; 0]);
    container.delete()?;
    Ok(Passed)
}
