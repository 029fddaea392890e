//! What is executed, in which containers, and how it ends.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread::sleep;
use std::time::Duration;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Context, Result, Test, Verdict, check, check_eq, eventually, need, tests};
use rustix::process::Signal;

use super::{idle, in_both};

pub const TESTS_FOR_ALL: &[Test] = tests![
    prints_what_the_program_prints,
    reads_what_the_caller_gives,
    exits_as_the_program_exits,
    exits_with_128_and_the_signal_that_kills_the_program,
    says_why_it_cannot_execute,
    leaves_the_rest_of_the_line_to_the_program,
];

pub const TESTS: &[Test] = tests![
    executes_in_a_created_container,
    executes_in_no_stopped_container,
    executes_in_no_paused_container,
    waits_for_a_paused_container_if_asked,
    needs_a_program,
    passes_on_signals,
    leaves_no_zombie,
    outlives_what_the_program_leaves_behind,
    executes_a_file_as_its_user,
];

fn prints_what_the_program_prints(t: &mut Context) -> Result<Verdict> {
    in_both(t, |container| {
        let output = container.script("echo out; echo err >&2; echo more")?;
        check_eq!((output.stdout.as_str(), output.stderr.as_str()), ("out\nmore\n", "err\n"));
        check_eq!(container.stdout()?, "ready\n");
        Ok(())
    })
}

fn reads_what_the_caller_gives(t: &mut Context) -> Result<Verdict> {
    in_both(t, |container| {
        let upper = container.exec(&["tr", "a-z", "A-Z"]).input("some text\nmore")?;
        check_eq!(upper.succeed()?.stdout, "SOME TEXT\nMORE");
        check_eq!(container.exec(&["cat"]).succeed()?.stdout, "");
        Ok(())
    })
}

fn exits_as_the_program_exits(t: &mut Context) -> Result<Verdict> {
    in_both(t, |container| {
        for code in [0, 1, 2, 7, 126, 127, 128, 137, 254, 255] {
            container.exec(&["sh", "-c", &format!("exit {code}")]).run()?.expect(code)?;
        }
        Ok(())
    })
}

fn exits_with_128_and_the_signal_that_kills_the_program(t: &mut Context) -> Result<Verdict> {
    in_both(t, |container| {
        for (signal, code) in [("KILL", 137), ("TERM", 143), ("HUP", 129), ("USR1", 138)] {
            let suicide = format!("kill -{signal} $$; sleep 5");
            container.exec(&["sh", "-c", &suicide]).run()?.expect(code)?;
        }
        Ok(())
    })
}

fn says_why_it_cannot_execute(t: &mut Context) -> Result<Verdict> {
    in_both(t, |container| {
        let fails = |args: &[&str], words: &[&str]| container.exec(args).run()?.not_executed(words);
        // What podman looks for to tell 126 and 127.
        fails(&["nosuch"], &["nosuch", "executable file not found in $PATH"])?;
        fails(&["/no/such"], &["/no/such", "o such file or directory"])?;
        fails(&["/etc/passwd"], &["/etc/passwd", "ermission denied"])?;
        fails(&["/etc"], &["/etc", "is a directory"])?;
        fails(&[""], &[])?;
        t.command().args(["exec", "nobody", "true"]).run()?.not_executed(&["does not exist"])
    })
}

fn leaves_the_rest_of_the_line_to_the_program(t: &mut Context) -> Result<Verdict> {
    in_both(t, |container| {
        let words = ["--env", "-t", "--help", "--", "-d", "--cwd=/x", ""];
        let print = [&["printf", "<%s>"][..], &words].concat();
        let expected: String = words.iter().map(|word| format!("<{word}>")).collect();
        check_eq!(container.exec(&print).succeed()?.stdout, expected);
        Ok(())
    })
}

fn executes_in_a_created_container(t: &mut Context) -> Result<Verdict> {
    let container = t.create(&t.bundle()?.script("echo started"))?;
    check_eq!(container.script("hostname; pwd; echo $PPID")?.lines().len(), 3);
    container.exec(&["sh", "-c", "exit 9"]).run()?.expect(9)?;
    check_eq!(container.status()?, "created");
    check_eq!(container.stdout()?, "");
    container.start()?;
    check_eq!(container.finish()?, "started\n");
    Ok(Passed)
}

fn executes_in_no_stopped_container(t: &mut Context) -> Result<Verdict> {
    for bundle in [t.bundle()?, t.bundle()?.without_namespace("pid")] {
        let container = t.start(&bundle)?;
        container.wait_until_stopped()?;
        container.exec(&["true"]).run()?.not_executed(&[container.id(), "stopped"])?;
        container.delete()?;
    }
    Ok(Passed)
}

fn executes_in_no_paused_container(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    container.command("pause", &[]).succeed()?;
    container.exec(&["true"]).run()?.not_executed(&["paused", "resume"])?;
    container.command("resume", &[]).succeed()?;
    container.exec(&["true"]).succeed()?;
    container.delete_forcibly()?;
    Ok(Passed)
}

fn waits_for_a_paused_container_if_asked(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    container.command("pause", &[]).succeed()?;
    let script = ["sh", "-c", "echo went on; exit 6"];
    let waiting = container.exec_with(&["--ignore-paused"], &script).spawn()?;
    sleep(Duration::from_millis(300));
    check!(waiting.runs()?, "it did not wait: {}", waiting.stderr()?);
    check_eq!(waiting.stdout()?, "");
    check_eq!(container.status()?, "paused");
    container.command("resume", &[]).succeed()?;
    check_eq!(waiting.wait()?.expect(6)?.text(), "went on");
    // Without a reason to wait it makes no difference.
    container.exec_with(&["--ignore-paused"], &["sh", "-c", "exit 7"]).run()?.expect(7)?;
    // One that is never resumed ends with its container.
    container.command("pause", &[]).succeed()?;
    let waiting = container.exec_with(&["--ignore-paused"], &script).spawn()?;
    sleep(Duration::from_millis(100));
    container.delete_forcibly()?;
    let code = waiting.wait()?.code();
    check!([137, 255].contains(&code), "it ended with {code}");
    Ok(Passed)
}

fn needs_a_program(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    let output = container.exec(&[]).run()?;
    check!([1, 255].contains(&output.code()), "{output}");
    if t.is_coracle() {
        output.says(&["command", "--process"])?;
    }
    let output = t.command().arg("exec").run()?;
    check!([1, 255].contains(&output.code()), "{output}");
    container.delete_forcibly()?;
    Ok(Passed)
}

fn passes_on_signals(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    let script = "trap 'echo got TERM; exit 9' TERM; trap 'echo got USR1' USR1
        echo ready; while :; do sleep 0.02; done";
    let running = container.exec(&["sh", "-c", script]).spawn()?;
    let sees = |text: &str| eventually(text, || Ok(running.stdout()?.contains(text).then_some(())));
    sees("ready")?;
    running.signal(Signal::USR1)?;
    sees("got USR1")?;
    running.signal(Signal::TERM)?;
    let output = running.wait()?.expect(9)?;
    check_eq!(output.lines(), ["ready", "got USR1", "got TERM"]);
    check_eq!(container.status()?, "running");
    container.delete_forcibly()?;
    Ok(Passed)
}

fn leaves_no_zombie(t: &mut Context) -> Result<Verdict> {
    // Its first process reaps nobody.
    let container = t.start(&t.bundle()?.args(&["sleep", "1000"]))?;
    for _ in 0..5 {
        container.exec(&["true"]).succeed()?;
        container.exec(&["nosuch"]).run()?.not_executed(&[])?;
    }
    let output = container.script("cd /proc; for p in [0-9]*; do echo $p; done")?;
    // The first process, and the shell.
    check_eq!(output.lines().len(), 2);
    container.delete_forcibly()?;
    Ok(Passed)
}

fn outlives_what_the_program_leaves_behind(t: &mut Context) -> Result<Verdict> {
    for bundle in [t.bundle()?, t.bundle()?.without_namespace("pid")] {
        let container = t.start(&bundle.idle())?;
        container.wait_for("ready")?;
        // It holds the streams, and lives longer.
        container.exec(&["sh", "-c", "sleep 1000 & exit 3"]).run()?.expect(3)?;
        let processes = t.host().cgroup_of(container.pid()?, "pids")?.join("cgroup.procs");
        check!(fs::read_to_string(&processes)?.lines().count() >= 2, "the sleeper has gone");
        container.delete_forcibly()?;
    }
    Ok(Passed)
}

/// What root may execute without the right to, and others may not.
fn executes_a_file_as_its_user(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "runc and crun look for it as root");
    let bundle = t.bundle()?.idle();
    let file = bundle.rootfs().join("bin/mine");
    fs::write(&file, "#!/bin/sh\nid -u\n")?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o700))?;
    let container = t.start(&bundle)?;
    check_eq!(container.exec(&["mine"]).succeed()?.text(), "0");
    let output = container.exec_with(&["--user", "1000"], &["mine"]).run()?;
    output.not_executed(&["mine", "ermission denied"])?;
    container.delete_forcibly()?;
    Ok(Passed)
}
