//! `--tty`, with the caller's terminal and with `--console-socket`.

use std::fs::{self, File};
use std::io::{Read, Write};

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Context, DescriptorServer, Result, TerminalSession, Test, Verdict, check, check_eq, check_has,
    eventually, need, tests,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::json;

use super::{idle, in_both, process_file};

pub const TESTS_FOR_ALL: &[Test] = tests![gives_a_terminal];

pub const TESTS: &[Test] = tests![
    gives_none_unless_asked,
    follows_the_size_of_the_window,
    passes_every_key_on,
    gives_the_callers_terminal_back,
    belongs_to_the_user,
    hands_over_the_terminal,
    takes_the_size_from_the_description,
    works_without_a_terminal_of_the_callers,
    wants_a_console_socket_only_where_there_is_use_for_it,
    says_when_nobody_listens,
];

const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

fn gives_a_terminal(t: &mut Context) -> Result<Verdict> {
    in_both(t, |container| {
        let script = "tty; test -t 0 && test -t 1 && test -t 2 && echo everywhere
            test $(tty) -ef /proc/self/fd/0 && echo same; stty size
            echo x > /dev/tty; read line; echo \"got $line\"; exit 6";
        let exec = container.exec_with(&["--tty"], &["sh", "-c", script]);
        let mut session = TerminalSession::start(exec, 31, 97)?;
        let seen = session.wait_for("x\r\n")?;
        check_has!(seen, "/dev/pts/", "everywhere\r\n", "same\r\n", "31 97\r\n");
        session.send("hello\n")?;
        session.wait_for("got hello\r\n")?;
        let (output, _) = session.finish()?;
        output.expect(6)?;
        Ok(())
    })
}

fn gives_none_unless_asked(t: &mut Context) -> Result<Verdict> {
    let socket = t.path("console");
    let server = DescriptorServer::listen(&socket)?;
    let bundle = t.bundle()?.set("/process/terminal", true).args(&["sleep", "1000"]);
    let container = t.create_with(&bundle, &["--console-socket", &socket.to_string_lossy()])?;
    let _terminal = server.receive()?;
    container.start()?;
    let output = container.exec(&["tty"]).run()?.expect(1)?;
    check_eq!(output.text(), "not a tty");
    container.delete_forcibly()?;
    Ok(Passed)
}

fn follows_the_size_of_the_window(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    let script = "trap 'stty size' WINCH; stty size; while :; do sleep 0.02; done";
    let exec = container.exec_with(&["-t"], &["sh", "-c", script]);
    let mut session = TerminalSession::start(exec, 20, 70)?;
    session.wait_for("20 70")?;
    session.resize(50, 150)?;
    session.wait_for("50 150")?;
    session.resize(10, 30)?;
    session.wait_for("10 30")?;
    container.kill("KILL")?;
    session.finish()?.0.expect(137)?;
    container.finish()?;
    Ok(Passed)
}

/// ^C is the program's to handle, and ends nothing else.
fn passes_every_key_on(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    let script = "trap 'echo interrupted; exit 3' INT; echo ready; while :; do sleep 0.02; done";
    let exec = container.exec_with(&["--tty"], &["sh", "-c", script]);
    let mut session = TerminalSession::start(exec, 24, 80)?;
    session.wait_for("ready")?;
    check!(session.is_raw()?, "the caller's terminal is not raw");
    session.send("\u{3}")?;
    session.wait_for("interrupted")?;
    session.finish()?.0.expect(3)?;
    check_eq!(container.status()?, "running");
    // What has no handler is ended by it; ^D is an end of input.
    let exec = container.exec_with(&["--tty"], &["sh", "-c", "echo ready; sleep 1000"]);
    let mut session = TerminalSession::start(exec, 24, 80)?;
    session.wait_for("ready")?;
    session.send("\u{3}")?;
    session.finish()?.0.expect(130)?;
    let exec = container.exec_with(&["--tty"], &["cat"]);
    let mut session = TerminalSession::start(exec, 24, 80)?;
    session.send("line\n")?;
    session.wait_for("line\r\nline\r\n")?;
    session.send("\u{4}")?;
    session.finish()?.0.expect(0)?;
    container.delete_forcibly()?;
    Ok(Passed)
}

fn gives_the_callers_terminal_back(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    let cooked = |session: &TerminalSession| {
        eventually("a terminal as it was", || Ok((!session.is_raw()?).then_some(())))
    };
    for (script, code) in [("echo ready; read x", 1), ("echo ready; read x; kill -9 $$", 137)] {
        let exec = container.exec_with(&["--tty"], &["sh", "-c", script]);
        let mut session = TerminalSession::start(exec, 24, 80)?;
        session.wait_for("ready")?;
        check!(session.is_raw()?, "the caller's terminal is not raw");
        session.send("\u{4}")?;
        cooked(&session)?;
        session.finish()?.0.expect(code)?;
    }
    // A failure is said on a terminal that works.
    let exec = container.exec_with(&["--tty"], &["nosuch"]);
    let session = TerminalSession::start(exec, 24, 80)?;
    cooked(&session)?;
    let (output, seen) = session.finish()?;
    check!(output.code() != 0 && seen.contains("nosuch") && seen.ends_with("\r\n"), "{seen:?}");
    container.delete_forcibly()?;
    Ok(Passed)
}

fn belongs_to_the_user(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    let script = "stat -c '%u %g %a' $(tty); echo x > $(tty); echo y > /dev/stderr; read line";
    let exec = container.exec_with(&["--tty", "--user", "1000:1000"], &["sh", "-c", script]);
    let mut session = TerminalSession::start(exec, 24, 80)?;
    let seen = session.wait_for("y\r\n")?;
    check_has!(seen, "1000 5 620\r\n", "x\r\n");
    session.send("\n")?;
    session.finish()?.0.expect(0)?;
    container.delete_forcibly()?;
    Ok(Passed)
}

/// Reads from the terminal until the text has come.
fn read_until(terminal: &mut File, seen: &mut String, text: &str) -> Result<()> {
    eventually(text, || {
        let mut bytes = [0; 1024];
        if poll(&mut [PollFd::new(&*terminal, PollFlags::IN)], Some(&NOW))? > 0 {
            // At the end there is an error.
            let count = terminal.read(&mut bytes).unwrap_or(0);
            seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
        Ok(seen.contains(text).then_some(()))
    })
}

fn hands_over_the_terminal(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    let server = DescriptorServer::listen(&t.path("console"))?;
    let [socket, pid_file] =
        ["console", "pid"].map(|name| t.path(name).to_string_lossy().into_owned());
    let script = "tty; read line; echo \"got $line\"; exec sleep 1000";
    let flags = ["--detach", "--tty", "--console-socket", &socket, "--pid-file", &pid_file];
    container.exec_with(&flags, &["sh", "-c", script]).succeed()?;
    let (terminal, name) = server.receive()?;
    check_has!(name, "/dev/pts/");
    let mut terminal = File::from(terminal);
    let mut seen = String::new();
    read_until(&mut terminal, &mut seen, "/dev/pts/")?;
    terminal.write_all(b"hello\n")?;
    read_until(&mut terminal, &mut seen, "got hello")?;
    // It leads a session on it.
    let pid = fs::read_to_string(pid_file)?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    check_eq!((fields[3], fields[5]), (pid.as_str(), pid.as_str()));
    container.delete_forcibly()?;
    Ok(Passed)
}

fn takes_the_size_from_the_description(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    let socket = t.path("console");
    let server = DescriptorServer::listen(&socket)?;
    let process = json!({
        "terminal": true, "consoleSize": {"height": 44, "width": 111},
        "args": ["/bin/sh", "-c", "stty size; sleep 1000"], "cwd": "/", "env": ["PATH=/bin"],
    });
    let file = process_file(t, &process)?;
    let flags = ["--process", &file, "--detach", "--console-socket", &socket.to_string_lossy()];
    container.exec_with(&flags, &[]).succeed()?;
    let (terminal, _) = server.receive()?;
    read_until(&mut File::from(terminal), &mut String::new(), "44 111")?;
    container.delete_forcibly()?;
    Ok(Passed)
}

/// As in a script: `exec -t` with output that is kept.
fn works_without_a_terminal_of_the_callers(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "runc wants one");
    let container = idle(t)?;
    let output = container.exec_with(&["--tty"], &["sh", "-c", "tty; exit 3"]).run()?.expect(3)?;
    check_has!(output.stdout, "/dev/pts/");
    container.delete_forcibly()?;
    Ok(Passed)
}

fn wants_a_console_socket_only_where_there_is_use_for_it(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    let socket = t.path("console");
    let _server = DescriptorServer::listen(&socket)?;
    let socket = socket.to_string_lossy();
    let refuses = |flags: &[&str], words: &[&str]| {
        let output = container.exec_with(flags, &["echo", "executed"]).run()?;
        check!(output.stdout.is_empty(), "{flags:?}: {output}");
        output.not_executed(words)
    };
    refuses(&["--detach", "--tty"], &["--console-socket"])?;
    if t.is_coracle() {
        refuses(&["--tty", "--console-socket", &socket], &["--console-socket", "--detach"])?;
    }
    refuses(&["--detach", "--console-socket", &socket], &["--console-socket"])?;
    refuses(&["--console-socket", &socket], &["--console-socket"])?;
    container.delete_forcibly()?;
    Ok(Passed)
}

fn says_when_nobody_listens(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    let path = t.path("nobody");
    let flags = ["--detach", "--tty", "--console-socket", &path.to_string_lossy()];
    container.exec_with(&flags, &["true"]).run()?.not_executed(&["nobody"])?;
    let processes = t.host().cgroup_of(container.pid()?, "pids")?.join("cgroup.procs");
    eventually("the end of all others", || {
        Ok((fs::read_to_string(&processes)?.lines().count() <= 2).then_some(()))
    })?;
    container.delete_forcibly()?;
    Ok(Passed)
}
