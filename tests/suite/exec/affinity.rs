//! On which CPUs the process runs.

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Bundle, Container, Context, Result, Test, Verdict, check, check_eq, need, tests,
};
use serde_json::json;

use super::{field, idle, process_file};

pub const TESTS: &[Test] = tests![
    is_not_bound_as_its_caller,
    stays_within_the_set_of_the_container,
    runs_on_the_cpus_that_are_asked_for,
    takes_other_cpus_from_the_description,
    refuses_cpus_that_cannot_be,
];

/// Lists of CPUs that the program `grep` sees.
const LIST: [&str; 2] = ["cat", "/proc/self/status"];

fn cpus(container: &Container, flags: &[&str]) -> Result<String> {
    let output = container.exec_with(flags, &LIST).succeed()?;
    Ok(field(&output.stdout, "Cpus_allowed_list").to_owned())
}

/// All of this machine.
fn online() -> Result<String> {
    Ok(std::fs::read_to_string("/sys/devices/system/cpu/online")?.trim().to_owned())
}

/// Has this machine more than one?
fn several() -> Result<bool> {
    Ok(online()? != "0")
}

fn is_not_bound_as_its_caller(t: &mut Context) -> Result<Verdict> {
    need!(several()?, "there is one CPU");
    need!(t.host().has_program("taskset"), "no taskset");
    need!(t.is_coracle(), "the packaged peers keep the caller's CPUs");
    let container = idle(t)?;
    for flags in [&[][..], &["--detach"]] {
        let bound = container.exec_with(flags, &LIST).through(["taskset", "--cpu-list", "0"]);
        let output = bound.succeed()?;
        let text = coracle_testkit::eventually("its output", || {
            let text = output.stdout_now()?;
            Ok(text.contains("nonvoluntary").then_some(text))
        })?;
        check_eq!(field(&text, "Cpus_allowed_list"), online()?);
    }
    container.delete_forcibly()?;
    Ok(Passed)
}

fn stays_within_the_set_of_the_container(t: &mut Context) -> Result<Verdict> {
    need!(several()?, "there is one CPU");
    need!(t.host().has_controller("cpuset"), "no cpuset");
    let container = t.start(&t.bundle()?.set("/linux/resources/cpu/cpus", "1").idle())?;
    check_eq!(cpus(&container, &[])?, "1");
    let bound = container.exec(&LIST).through(["taskset", "--cpu-list", "0"]).succeed()?;
    check_eq!(field(&bound.stdout, "Cpus_allowed_list"), "1");
    container.delete_forcibly()?;
    Ok(Passed)
}

fn with_affinity(t: &Context, affinity: serde_json::Value) -> Result<Bundle> {
    Ok(t.bundle()?.set("/process/execCPUAffinity", affinity).idle())
}

fn runs_on_the_cpus_that_are_asked_for(t: &mut Context) -> Result<Verdict> {
    need!(several()?, "there is one CPU");
    need!(t.is_coracle(), "the packaged peers do not know the field");
    let all = online()?;
    let asked = [
        (json!({"final": "0"}), "0"),
        (json!({"final": "1"}), "1"),
        (json!({"initial": "0", "final": "1"}), "1"),
        (json!({"initial": "1", "final": "0,1"}), "0-1"),
        (json!({"final": "0-1"}), "0-1"),
        (json!({"initial": "0"}), all.as_str()),
        (json!({"initial": "1", "final": ""}), all.as_str()),
        (json!({}), all.as_str()),
    ];
    for (affinity, expected) in asked {
        let container = t.start(&with_affinity(t, affinity.clone())?)?;
        check_eq!((&affinity, cpus(&container, &[])?), (&affinity, expected.to_owned()));
        // It is not for the first process.
        let first = std::fs::read_to_string(format!("/proc/{}/status", container.pid()?))?;
        check_eq!(field(&first, "Cpus_allowed_list"), all);
        container.delete_forcibly()?;
    }
    Ok(Passed)
}

fn takes_other_cpus_from_the_description(t: &mut Context) -> Result<Verdict> {
    need!(several()?, "there is one CPU");
    need!(t.is_coracle(), "the packaged peers do not know the field");
    let container = t.start(&with_affinity(t, json!({"final": "0"}))?)?;
    let process = json!({"args": LIST, "cwd": "/", "env": ["PATH=/bin"],
        "execCPUAffinity": {"initial": "0", "final": "1"}});
    let file = process_file(t, &process)?;
    check_eq!(
        field(
            &container.exec_with(&["--process", &file], &[]).succeed()?.stdout,
            "Cpus_allowed_list"
        ),
        "1"
    );
    container.delete_forcibly()?;
    Ok(Passed)
}

fn refuses_cpus_that_cannot_be(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "the packaged peers do not know the field");
    for wrong in ["x", "1-", "-1", "1-0", "0;1", "0 1", "99999999999"] {
        for name in ["initial", "final"] {
            let output = t.run(&with_affinity(t, json!({name: wrong}))?)?;
            let pointer = format!("/process/execCPUAffinity/{name}");
            output.refused(&[&pointer])?;
        }
    }
    let container = idle(t)?;
    for name in ["initial", "final"] {
        // The kernel takes the part that there is, so it must be none.
        let process = json!({"args": ["/bin/true"], "cwd": "/", "execCPUAffinity": {name: "1000"}});
        let file = process_file(t, &process)?;
        let output = container.exec_with(&["--process", &file], &[]).run()?;
        check!(output.code() == 255, "{name}: {output}");
        output.says(&["1000"])?;
    }
    container.delete_forcibly()?;
    Ok(Passed)
}
