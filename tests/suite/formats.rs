//! What other programs read.

use std::fs;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Context, Output, Result, Suite, TerminalSession, Test, Verdict, check, check_eq, check_has,
    need, tests,
};
use serde_json::{Value, json};

pub fn add_to(suite: Suite) -> Suite {
    suite.group_for_all("formats", TESTS).group("formats::terminal", TERMINAL_TESTS)
}

const TESTS: &[Test] = tests![
    prints_the_state_of_the_specification,
    keeps_annotations_in_the_state,
    records_what_monitoring_reads,
    lists_containers_as_a_table,
    lists_containers_as_json,
    lists_ids,
    lists_nothing,
    tells_its_version,
    tells_how_it_is_used,
    prints_an_error_in_one_line,
    logs_json_to_standard_error,
    logs_json_to_a_file,
    logs_text_to_a_file,
    logs_more_if_asked,
    takes_flags_after_the_id,
    accepts_what_engines_pass,
];

const TERMINAL_TESTS: &[Test] = tests![
    gives_the_container_a_terminal,
    is_as_it_will_be_from_the_beginning,
    passes_on_what_is_typed,
    stops_and_interrupts_jobs_of_a_shell,
    knows_the_size_of_the_window,
    restores_the_terminal,
    runs_without_a_terminal_of_its_own,
];

/// RFC 3339 in UTC with fractions of a second.
fn is_time(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let Some(rest) = shape.strip_prefix("0000-00-00T00:00:00") else { return false };
    let fraction = rest.trim_end_matches('Z').trim_start_matches('.');
    rest.ends_with('Z') && fraction.chars().all(|c| c == '0')
}

fn prints_the_state_of_the_specification(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.idle();
    let container = t.create(&bundle)?;
    let state = container.state()?;
    let fields = state.as_object().map(|fields| fields.keys().cloned().collect::<Vec<_>>());
    let mut fields = fields.unwrap_or_default();
    fields.retain(|field| field != "annotations");
    fields.sort();
    check_eq!(
        fields,
        ["bundle", "created", "id", "ociVersion", "owner", "pid", "rootfs", "status"]
    );
    check_eq!(state["ociVersion"], bundle.spec()["ociVersion"]);
    check_eq!(state["id"], container.id());
    check_eq!(state["bundle"], json!(bundle.directory()));
    check_eq!(state["rootfs"], json!(bundle.rootfs()));
    check_eq!(state["status"], "created");
    check!(state["created"].as_str().is_some_and(is_time), "{state}");
    if t.host().is_root() {
        check_eq!(state["owner"], "root");
    }
    container.delete()?;
    Ok(Passed)
}

fn keeps_annotations_in_the_state(t: &mut Context) -> Result<Verdict> {
    let annotations = json!({"org.example.one": "1", "two": "line\nfeed \u{e4}", "empty": ""});
    let container = t.create(&t.bundle()?.set("/annotations", annotations.clone()))?;
    check_eq!(container.state()?["annotations"], annotations);
    container.delete()?;
    Ok(Passed)
}

/// cAdvisor and others look into the state directory.
fn records_what_monitoring_reads(t: &mut Context) -> Result<Verdict> {
    let container = t.create(&t.bundle()?)?;
    let pid = container.pid()?;
    let file = t.store().join(container.id()).join("state.json");
    let record: Value = serde_json::from_slice(&fs::read(file)?)?;
    check_eq!((&record["id"], &record["init_process_pid"]), (&json!(container.id()), &json!(pid)));
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after_name = stat.rsplit_once(") ").map(|(_, rest)| rest).unwrap_or_default();
    let start: u64 = after_name.split(' ').nth(19).unwrap_or_default().parse()?;
    check_eq!(record["init_process_start"], start);
    check_eq!(record["namespace_paths"]["NEWNS"], format!("/proc/{pid}/ns/mnt"));
    check!(record["cgroup_paths"].is_object() && record["created"].is_string());
    container.delete()?;
    Ok(Passed)
}

fn lists_containers_as_a_table(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.idle();
    let (first, second) = (t.create(&bundle)?, t.start(&bundle)?);
    let output = t.command().arg("list").succeed()?;
    let lines = output.lines();
    let heading: Vec<_> = lines[0].split_whitespace().collect();
    check_eq!(heading, ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]);
    check_eq!(lines.len(), 3);
    for (line, container) in lines[1..].iter().zip([&first, &second]) {
        let columns: Vec<_> = line.split_whitespace().collect();
        let state = container.state()?;
        check_eq!(columns[..2], [container.id().to_owned(), state["pid"].to_string()]);
        check_eq!(columns[2], state["status"]);
        check!(is_time(columns[4]), "{line}");
    }
    // The columns are below their headings.
    let place = lines[0].find("STATUS").unwrap_or_default();
    check!(lines[1][place..].starts_with("created") && lines[2][place..].starts_with("running"));
    second.delete_forcibly()?;
    first.delete()?;
    Ok(Passed)
}

fn lists_containers_as_json(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?;
    let containers = [t.create(&bundle)?, t.create(&bundle)?];
    for flag in ["--format", "-f"] {
        let output = t.command().args(["list", flag, "json"]).succeed()?;
        check_eq!(output.lines().len(), 1);
        let list = output.json()?;
        let states = containers.iter().map(|it| it.state()).collect::<Result<Vec<_>>>()?;
        check_eq!(list, json!(states));
    }
    containers.iter().try_for_each(|it| it.delete().map(drop))?;
    Ok(Passed)
}

fn lists_ids(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?;
    let containers = [t.create(&bundle)?, t.create(&bundle)?, t.create(&bundle)?];
    for flag in ["--quiet", "-q"] {
        let output = t.command().args(["list", flag]).succeed()?;
        check_eq!(output.lines(), containers.iter().map(|it| it.id()).collect::<Vec<_>>());
    }
    containers.iter().try_for_each(|it| it.delete().map(drop))?;
    Ok(Passed)
}

fn lists_nothing(t: &mut Context) -> Result<Verdict> {
    let list = |flags: &[&str]| t.command().arg("list").args(flags);
    // A store that was named must be there.
    list(&[]).run()?.refused(&["store"])?;
    if t.is_coracle() {
        check!(!t.store().exists(), "a list must not make the store");
    }
    fs::create_dir_all(t.store())?;
    check_eq!(list(&[]).succeed()?.lines().len(), 1);
    check_eq!(list(&["--format", "json"]).succeed()?.text(), "null");
    check_eq!(list(&["--quiet"]).succeed()?.stdout, "");
    // The one that was not need not.
    let command = t.as_user(t.runtime().command().arg("list"));
    check_eq!(command.env("XDG_RUNTIME_DIR", t.path("")).succeed()?.lines().len(), 1);
    Ok(Passed)
}

fn tells_its_version(t: &mut Context) -> Result<Verdict> {
    for flag in ["--version", "-v"] {
        let output = t.runtime().command().arg(flag).succeed()?;
        let lines = output.lines();
        check!(lines[0].contains(" version ") && lines[0].chars().any(|c| c.is_ascii_digit()));
        check!(lines.iter().any(|line| line.starts_with("spec: 1.")), "{output}");
        if t.is_coracle() {
            let (first, last) = (lines[0], lines[lines.len() - 1]);
            check!(first.starts_with("coracle version ") && last == "spec: 1.3.0", "{output}");
            let commit = &lines[1..lines.len() - 1];
            check!(commit.iter().all(|line| line.starts_with("commit: ")), "{output}");
        }
    }
    Ok(Passed)
}

fn tells_how_it_is_used(t: &mut Context) -> Result<Verdict> {
    for args in [&["--help"][..], &["-h"], &["help"], &[]] {
        let output = t.runtime().command().args(args).succeed()?;
        for command in ["create", "start", "state", "kill", "delete", "run", "list", "spec"] {
            check_has!(output.stdout, command);
        }
    }
    for command in ["create", "start", "state", "kill", "delete", "run", "list", "spec"] {
        let output = t.runtime().command().args([command, "--help"]).succeed()?;
        check_has!(output.stdout, command, "--help");
    }
    Ok(Passed)
}

fn prints_an_error_in_one_line(t: &mut Context) -> Result<Verdict> {
    let output = t.command().args(["state", "nobody"]).run()?.expect(1)?;
    check_eq!((output.stderr.lines().count(), output.stdout.as_str()), (1, ""));
    need!(t.is_coracle(), "the text is coracle's");
    check_eq!(output.stderr.trim(), "coracle: container \"nobody\" does not exist");
    Ok(Passed)
}

/// What containerd decodes: one object per line, of which it takes the last error.
fn check_log(text: &str, message: &str) -> Result<()> {
    let lines = text.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    let mut errors = lines.iter().filter(|line| line["level"] == "error");
    let Some(last) = errors.next_back() else { anyhow::bail!("no error in {text:?}") };
    check_has!(last["msg"].as_str().unwrap_or_default(), message);
    check!(last["time"].as_str().is_some_and(|time| time.contains('T')), "{last}");
    Ok(())
}

fn logs_json_to_standard_error(t: &mut Context) -> Result<Verdict> {
    let command = t.command().args(["--log-format", "json", "state", "nobody"]);
    check_log(&command.run()?.expect(1)?.stderr, "does not exist")?;
    Ok(Passed)
}

fn failing(t: &Context, flags: &[&str]) -> Result<Output> {
    let bundle = t.bundle()?.args(&["/no/such\nprogram"]);
    bundle.write()?;
    let command = t.command().args(flags).directory(t.path(""));
    command.arg("run").arg("--bundle").arg(bundle.directory()).arg(t.id()).run()?.expect(1)
}

fn logs_json_to_a_file(t: &mut Context) -> Result<Verdict> {
    // Relative to the caller's directory, and appended to.
    for _ in 0..2 {
        let output = failing(t, &["--log", "log", "--log-format", "json"])?;
        output.says(&["no such file or directory"])?;
    }
    let log = fs::read_to_string(t.path("log"))?;
    check_log(&log, "no such file or directory")?;
    check_eq!(log.lines().count(), 2);
    Ok(Passed)
}

fn logs_text_to_a_file(t: &mut Context) -> Result<Verdict> {
    failing(t, &["--log", "log"])?;
    let log = fs::read_to_string(t.path("log"))?;
    check_eq!(log.lines().count(), 1);
    check_has!(log, "time=\"", "level=error", "msg=\"", "no such file or directory");
    Ok(Passed)
}

fn logs_more_if_asked(t: &mut Context) -> Result<Verdict> {
    let log = t.path("log");
    let command = t.command().arg("--log").arg(&log).args(["--debug", "state", "nobody"]);
    command.run()?.expect(1)?;
    check_has!(fs::read_to_string(&log)?, "level=debug");
    Ok(Passed)
}

fn takes_flags_after_the_id(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.args(&["echo", "fine"]);
    bundle.write()?;
    let command = t.command().args(["run", &t.id(), "--bundle"]).arg(bundle.directory());
    check_eq!(command.succeed()?.text(), "fine");
    let directory = bundle.directory().to_string_lossy().into_owned();
    let command = t.command().args(["run", &format!("-b={directory}"), &t.id()]);
    check_eq!(command.succeed()?.text(), "fine");
    let command = t.command().args(["run", &format!("--bundle={directory}"), "--", &t.id()]);
    check_eq!(command.succeed()?.text(), "fine");
    Ok(Passed)
}

/// The command lines of containerd and CRI-O.
fn accepts_what_engines_pass(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.idle();
    bundle.write()?;
    let (id, log) = (t.id(), t.path("log.json"));
    let engine = || {
        let command = t.command().arg("--log").arg(&log).args(["--log-format", "json"]);
        command.args(["--rootless", "auto"])
    };
    let create = engine().arg("create").arg("--bundle").arg(bundle.directory());
    create.arg("--pid-file").arg(t.path("pid")).args(["--no-new-keyring", &id]).succeed()?;
    engine().args(["start", &id]).succeed()?;
    check_has!(engine().args(["state", &id]).succeed()?.stdout, "running");
    engine().args(["kill", "--all", &id, "9"]).succeed()?;
    coracle_testkit::eventually("the end", || {
        let state = engine().args(["state", &id]).succeed()?.json()?;
        Ok((state["status"] == "stopped").then_some(()))
    })?;
    engine().args(["delete", &id]).succeed()?;
    engine().args(["delete", "--force", &id]).succeed()?;
    Ok(Passed)
}

fn session(t: &Context, script: &str, rows: u16, columns: u16) -> Result<TerminalSession> {
    let bundle = t.bundle()?.set("/process/terminal", true).script(script);
    TerminalSession::start(t.run_with(&bundle, &[])?, rows, columns)
}

fn gives_the_container_a_terminal(t: &mut Context) -> Result<Verdict> {
    let script =
        "tty; ls -l /dev/console | cut -c1; test -t 0 && test -t 1 && test -t 2 && echo tty
        echo err >&2; exit 7";
    let mut session = session(t, script, 24, 80)?;
    let seen = session.wait_for("err")?;
    check_has!(seen, "/dev/pts/0\r\n", "\r\nc\r\n", "\r\ntty\r\n");
    let (output, _) = session.finish()?;
    output.expect(7)?;
    Ok(Passed)
}

/// What the command does first must not be too early.
fn is_as_it_will_be_from_the_beginning(t: &mut Context) -> Result<Verdict> {
    for _ in 0..10 {
        let mut session = session(t, "stty size", 31, 97)?;
        session.wait_for("31 97")?;
        session.finish()?.0.expect(0)?;
        let bundle = t.bundle()?.set("/process/terminal", true).args(&["echo", "line"]);
        check_eq!(t.run(&bundle)?.expect(0)?.stdout, "line\n");
    }
    Ok(Passed)
}

fn passes_on_what_is_typed(t: &mut Context) -> Result<Verdict> {
    let script = "trap 'echo interrupted; key=1' INT; echo ready; read line; echo \"got [$line]\"
        until [ $key ]; do sleep 0.02; done
        read other; echo \"then [$other]\"; cat; echo end";
    let mut session = session(t, script, 24, 80)?;
    session.wait_for("ready")?;
    session.send("hello\n")?;
    session.wait_for("got [hello]")?;
    // A key, not a signal, for the terminal outside.
    session.send("\u{3}")?;
    session.wait_for("interrupted")?;
    session.send("more\n")?;
    session.wait_for("then [more]")?;
    session.send("\u{4}")?;
    session.wait_for("end")?;
    session.finish()?.0.expect(0)?;
    Ok(Passed)
}

/// What a person does at a shell: the keys act on its jobs, not on the runtime.
fn stops_and_interrupts_jobs_of_a_shell(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.set("/process/terminal", true).args(&["sh", "-i"]);
    let mut session = TerminalSession::start(t.run_with(&bundle, &[])?, 24, 80)?;
    session.send("echo $((1 + 1)) ready\n")?;
    session.wait_for("2 ready")?;
    // It says when it is the one to get the keys.
    let job = "sh -c 'echo star\"\"ted; sleep 1000'\n";
    session.send(job)?;
    session.wait_for("started\r\n")?;
    session.send("\u{1a}")?;
    session.wait_for("Stopped")?;
    session.send("kill -9 %1; wait; echo $((2 + 2)) stopped\n")?;
    session.wait_for("4 stopped")?;
    session.send(job)?;
    session.wait_for("started\r\n")?;
    session.send("\u{3}")?;
    session.send("echo $? $((3 + 3)) interrupted\n")?;
    session.wait_for("130 6 interrupted")?;
    session.resize(33, 99)?;
    session.send("stty size; exit 5\n")?;
    session.wait_for("33 99")?;
    session.finish()?.0.expect(5)?;
    Ok(Passed)
}

fn knows_the_size_of_the_window(t: &mut Context) -> Result<Verdict> {
    let script = "echo size $(stty size); while read line; do echo size $(stty size); done";
    let mut session = session(t, script, 31, 97)?;
    session.wait_for("size 31 97")?;
    session.resize(40, 120)?;
    let deadline = std::time::Instant::now() + coracle_testkit::scaled(10);
    let mut seen = String::new();
    while !seen.contains("size 40 120") {
        check!(std::time::Instant::now() < deadline, "{seen}");
        session.send("\n")?;
        seen.push_str(&session.wait_for("size ")?);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    session.send("\u{4}")?;
    session.finish()?.0.expect(0)?;
    Ok(Passed)
}

fn restores_the_terminal(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.set("/process/terminal", true).script("echo ready; read line");
    let (command, id) = t.run_as(&bundle, &[])?;
    let command = command.through([
        "sh",
        "-c",
        "\"$@\"; echo back; read line; echo \"shell got $line\"",
        "sh",
    ]);
    let mut session = TerminalSession::start(command, 24, 80)?;
    session.wait_for("ready")?;
    check!(session.is_raw()?, "the terminal is not raw while the container has it");
    t.command().args(["kill", &id, "KILL"]).succeed()?;
    session.wait_for("back")?;
    check!(!session.is_raw()?, "the terminal is left raw");
    session.send("typed\n")?;
    session.wait_for("shell got typed")?;
    session.finish()?.0.expect(0)?;
    Ok(Passed)
}

/// As from a script: input from nowhere, output to a file, and no carriage returns in it.
fn runs_without_a_terminal_of_its_own(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.set("/process/terminal", true);
    let output = t.run(&bundle.script("tty; echo line; exit 3"))?.expect(3)?;
    check_eq!(output.stdout, "/dev/pts/0\nline\n");
    Ok(Passed)
}
