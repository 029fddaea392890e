//! `--process`.

use std::fs;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Context, Result, Test, Verdict, check, check_eq, check_has, need, tests};
use serde_json::{Value, json};

use super::{field, idle, in_both, process_file};

pub const TESTS_FOR_ALL: &[Test] = tests![takes_a_process_without_a_user];

pub const TESTS: &[Test] = tests![
    takes_every_field,
    takes_what_is_missing_from_the_container,
    adds_flags_to_the_file,
    finds_the_file_where_the_caller_is,
    reads_the_file_from_a_pipe,
    refuses_what_is_no_json,
    refuses_what_is_no_process,
    warns_of_what_nobody_knows,
];

/// What prints everything that a process can be told to be.
const SHOW: &str = "cat /proc/self/status /proc/self/limits; echo; pwd; umask; echo A=$A B=$B
    echo oom $(cat /proc/self/oom_score_adj)";

fn shell(script: &str) -> Value {
    json!({"args": ["/bin/sh", "-c", script], "cwd": "/"})
}

fn takes_a_process_without_a_user(t: &mut Context) -> Result<Verdict> {
    in_both(t, |container| {
        let file = process_file(t, &shell("id -u; id -g; pwd; exit 4"))?;
        let output = container.exec_with(&["--process", &file], &[]).run()?.expect(4)?;
        check_eq!(output.lines(), ["0", "0", "/"]);
        Ok(())
    })
}

fn takes_every_field(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    let kill = json!(["CAP_KILL"]);
    let file = process_file(
        t,
        &json!({
            "args": ["sh", "-c", SHOW],
            "env": ["PATH=/bin", "A=1", "B=2", "A=3"],
            "cwd": "/tmp",
            "terminal": false,
            "user": {"uid": 1000, "gid": 5, "additionalGids": [6, 7], "umask": 0o027},
            "capabilities": {
                "bounding": kill, "effective": kill, "permitted": kill, "inheritable": kill,
                "ambient": kill
            },
            "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 88}],
            "noNewPrivileges": true,
            "oomScoreAdj": 444,
            "execCPUAffinity": {"initial": "0", "final": "0"},
        }),
    )?;
    let output = container.exec_with(&["--process", &file], &[]).succeed()?;
    let text = &output.stdout;
    let expected = [
        ("Uid", "1000\t1000\t1000\t1000"),
        ("Gid", "5\t5\t5\t5"),
        ("Groups", "5 6 7"),
        ("CapInh", "0000000000000020"),
        ("CapEff", "0000000000000020"),
        ("CapBnd", "0000000000000020"),
        ("CapAmb", "0000000000000020"),
        ("NoNewPrivs", "1"),
    ];
    for (name, value) in expected {
        check_eq!((name, field(text, name)), (name, value));
    }
    check_has!(text, "\n/tmp\n0027\nA=3 B=2\noom 444\n");
    let files = text.lines().find(|line| line.starts_with("Max open files")).unwrap_or_default();
    check_eq!(files.split_whitespace().collect::<Vec<_>>()[3..5], ["77", "88"]);
    if t.is_coracle() {
        check_eq!(field(text, "Cpus_allowed_list"), "0");
    }
    container.delete_forcibly()?;
    Ok(Passed)
}

/// Of the capabilities and all that confines; not of what the file would have to say.
fn takes_what_is_missing_from_the_container(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.idle().capabilities(&["CAP_CHOWN"]);
    let bundle = bundle.set("/linux/seccomp", json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}],
    }));
    let container = t.start(&bundle)?;
    let file = process_file(t, &shell("cat /proc/self/status; mkdir /tmp/x"))?;
    let output = container.exec_with(&["--process", &file], &[]).run()?.expect(1)?;
    check_eq!(field(&output.stdout, "CapBnd"), "0000000000000001");
    check_eq!(field(&output.stdout, "CapEff"), "0000000000000001");
    check_eq!(field(&output.stdout, "Seccomp"), "2");
    output.says(&["not supported"])?;
    container.delete_forcibly()?;
    Ok(Passed)
}

fn adds_flags_to_the_file(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "others ignore flags beside --process");
    let container = idle(t)?;
    let mut process = shell("id -u; id -G; pwd; echo $A $B; grep NoNewPrivs /proc/self/status");
    process["env"] = json!(["A=1", "B=2"]);
    process["user"] = json!({"uid": 3, "gid": 4});
    let file = process_file(t, &process)?;
    let flags = ["--process", &file, "--env", "B=3", "--user", "5:6", "--cwd", "/tmp"];
    let more = ["--additional-gids", "7", "--no-new-privs"];
    let output = container.exec_with(&[&flags[..], &more].concat(), &[]).succeed()?;
    check_eq!(output.lines(), ["5", "6 7", "/tmp", "1 3", "NoNewPrivs:\t1"]);
    container.delete_forcibly()?;
    Ok(Passed)
}

fn finds_the_file_where_the_caller_is(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    process_file(t, &shell("echo found"))?;
    let exec = container.exec_with(&["-p", "process.json"], &[]).directory(t.path(""));
    check_eq!(exec.succeed()?.text(), "found");
    let exec = container.exec_with(&["--process", "no.json"], &[]).directory(t.path(""));
    exec.run()?.not_executed(&["no.json", "does not exist"])?;
    container.exec_with(&["--process", "/"], &[]).run()?.not_executed(&["/"])?;
    container.delete_forcibly()?;
    Ok(Passed)
}

fn reads_the_file_from_a_pipe(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    let pipe = t.path("pipe");
    let pipe = pipe.to_string_lossy();
    let process = shell("echo piped");
    let exec = container.exec_with(&["--process", &pipe], &[]);
    let exec = exec.after(&format!("mkfifo {pipe}; printf '%s' '{process}' > {pipe} &"));
    check_eq!(exec.succeed()?.text(), "piped");
    container.delete_forcibly()?;
    Ok(Passed)
}

fn refuses_what_is_no_json(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    let file = t.path("process.json");
    let path = file.to_string_lossy();
    for text in ["", "{", "[]", "null", "3", "\"args\"", "{\"args\": [\"true\"]}}", "\0", "{\u{0}}"]
    {
        fs::write(&file, text)?;
        let output = container.exec_with(&["--process", &path], &[]).run()?;
        output.not_executed(&["process.json"])?;
    }
    container.delete_forcibly()?;
    Ok(Passed)
}

fn refuses_what_is_no_process(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    let wrong = [
        ("/args", json!([])),
        ("/args", json!(null)),
        ("/args", json!("true")),
        ("/args", json!(["true", 3])),
        ("/args", json!(["tr\0ue"])),
        ("/cwd", json!("tmp")),
        ("/cwd", json!("")),
        ("/env", json!(["=x"])),
        ("/env", json!(["A=\0"])),
        ("/user/uid", json!(-1)),
        ("/user/uid", json!(4_294_967_296_u64)),
        ("/user/uid", json!("root")),
        ("/rlimits", json!([{"type": "RLIMIT_NOSUCH", "soft": 1, "hard": 1}])),
        ("/rlimits", json!([{"type": "RLIMIT_CORE", "soft": 2, "hard": 1}])),
        ("/ioPriority", json!({"class": "IOPRIO_CLASS_BE", "priority": 8})),
        ("/execCPUAffinity/initial", json!("x")),
        ("/execCPUAffinity/final", json!("1-0")),
    ];
    for (pointer, value) in wrong {
        let mut process = shell("echo executed");
        if let Some((object, key)) = pointer[1..].split_once('/') {
            process[object] = json!({"uid": 0, "gid": 0});
            process[object][key] = value.clone();
        } else {
            process[&pointer[1..]] = value.clone();
        }
        let file = process_file(t, &process)?;
        let output = container.exec_with(&["--process", &file], &[]).run()?;
        check!(output.stdout.is_empty(), "{pointer} = {value}: {output}");
        output.not_executed(&[pointer])?;
    }
    container.delete_forcibly()?;
    Ok(Passed)
}

fn warns_of_what_nobody_knows(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    let mut process = shell("echo executed");
    process["brandNew"] = json!({"x": 1});
    process["user"] = json!({"uid": 0, "gid": 0, "shoeSize": 44});
    let file = process_file(t, &process)?;
    let output = container.exec_with(&["--process", &file], &[]).succeed()?;
    check_eq!(output.text(), "executed");
    if t.is_coracle() {
        output.says(&["warning", "/brandNew", "/user/shoeSize"])?;
    }
    container.delete_forcibly()?;
    Ok(Passed)
}
