//! `recvtty`: the other end of `--console-socket`.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Background, Bundle, Cmd, Container, Context, Result, TerminalSession, Test, Verdict, check,
    check_eq, check_has, eventually, tests,
};
use rustix::process::Signal;

pub const TESTS: &[Test] = tests![
    shows_the_terminal_of_a_container,
    passes_on_keys_and_the_size_of_the_window,
    restores_the_terminal_on_signals,
    leaves_what_is_typed_to_others,
    prints_to_a_file,
    waits_until_somebody_comes,
    reads_many_terminals_for_nobody,
    listens_at_long_paths,
    replaces_only_dead_sockets,
    says_what_is_wrong,
];

fn recvtty(t: &Context, socket: &Path) -> Cmd {
    t.command().arg("recvtty").arg(socket)
}

fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket())
}

fn wait_until_it_listens(socket: &Path) -> Result<()> {
    eventually("the socket", || Ok(is_socket(socket).then_some(())))
}

/// A container with a terminal that goes to the socket.
fn create(t: &Context, bundle: Bundle, socket: &Path) -> Result<Container> {
    let socket = socket.to_string_lossy();
    t.create_with(&bundle.set("/process/terminal", true), &["--console-socket", &socket])
}

/// A person at a terminal who runs recvtty, and a container that runs the script on it.
fn connect(t: &Context, script: &str, flags: &[&str]) -> Result<(TerminalSession, Container)> {
    let socket = t.path("tty");
    let session = TerminalSession::start(recvtty(t, &socket).args(flags), 31, 97)?;
    wait_until_it_listens(&socket)?;
    let container = create(t, t.bundle()?.script(script), &socket)?;
    check!(!socket.exists(), "nobody listens any more, but the socket is there");
    container.start()?;
    Ok((session, container))
}

fn shows_the_terminal_of_a_container(t: &mut Context) -> Result<Verdict> {
    let (mut session, container) = connect(t, "tty; echo out; echo err >&2; exit 3", &[])?;
    check_has!(session.wait_for("err\r\n")?, "/dev/pts/0\r\nout\r\n");
    session.finish()?.0.expect(0)?;
    container.wait_until_stopped()?;
    container.delete()?;
    Ok(Passed)
}

fn passes_on_keys_and_the_size_of_the_window(t: &mut Context) -> Result<Verdict> {
    // A signal that comes just before a shell reads is not seen until it has read something.
    let script = "trap 'echo interrupted; key=1' INT; trap 'echo size $(stty size); size=1' WINCH
        stty size; echo ready; until [ $key ]; do sleep 0.1; done; read line; echo \"got $line\"
        until [ $size ]; do sleep 0.1; done; read line; echo \"then $line\"; cat; echo end";
    let (mut session, container) = connect(t, script, &[])?;
    check_has!(session.wait_for("ready")?, "31 97\r\n");
    check!(session.is_raw()?);
    // A key, not a signal, for the terminal outside.
    session.send("\u{3}")?;
    session.wait_for("interrupted")?;
    session.send("hello\n")?;
    session.wait_for("got hello")?;
    session.resize(40, 120)?;
    session.wait_for("size 40 120")?;
    session.send("more\n")?;
    session.wait_for("then more")?;
    session.send("\u{4}")?;
    session.wait_for("end")?;
    session.finish()?.0.expect(0)?;
    container.wait_until_stopped()?;
    container.delete()?;
    Ok(Passed)
}

fn restores_the_terminal_on_signals(t: &mut Context) -> Result<Verdict> {
    for (signal, code) in [("TERM", 143), ("HUP", 129), ("INT", 130), ("USR1", 138)] {
        let (socket, pid) = (t.path("tty"), t.path("pid"));
        let command = recvtty(t, &socket).arg("--pid-file").arg(&pid);
        let shell = "\"$@\"; echo back $?; read line; echo \"shell got $line\"";
        let command = command.through(["bash", "-c", shell, "bash"]);
        let mut session = TerminalSession::start(command, 24, 80)?;
        eventually("the pid file", || Ok(pid.exists().then_some(())))?;
        let container = create(t, t.bundle()?.script("echo ready; sleep 1000"), &socket)?;
        container.start()?;
        session.wait_for("ready")?;
        check!(session.is_raw()?);
        let number = fs::read_to_string(&pid)?;
        Cmd::new("kill").args(["-s", signal, &number]).succeed()?;
        session.wait_for(&format!("back {code}"))?;
        check!(!session.is_raw()?, "the terminal is left raw");
        session.send("typed\n")?;
        session.wait_for("shell got typed")?;
        session.finish()?.0.expect(0)?;
        check!(!pid.exists() && !socket.exists());
        container.delete_forcibly()?;
    }
    Ok(Passed)
}

/// With `--no-stdin`, and in the background of a shell.
fn leaves_what_is_typed_to_others(t: &mut Context) -> Result<Verdict> {
    let socket = t.path("tty");
    let script = "set -m; \"$@\" & while read line; do echo \"shell got $line\"; done; wait; exit";
    let with_flag = recvtty(t, &socket).arg("--no-stdin");
    for command in [with_flag, recvtty(t, &socket)] {
        let command = command.through(["bash", "-c", script, "bash"]);
        let mut session = TerminalSession::start(command, 31, 97)?;
        wait_until_it_listens(&socket)?;
        let script = "echo ready; stty size; read line; echo \"container got $line\"";
        let container = create(t, t.bundle()?.script(script), &socket)?;
        container.start()?;
        session.wait_for("31 97")?;
        check!(!session.is_raw()?);
        session.send("typed\n")?;
        session.wait_for("shell got typed")?;
        container.delete_forcibly()?;
        session.send("\u{4}")?;
        let (output, rest) = session.finish()?;
        check!(!rest.contains("container got"), "{rest}");
        output.expect(0)?;
    }
    Ok(Passed)
}

/// As from a script: input from a file, output to another, and no carriage returns in it.
fn prints_to_a_file(t: &mut Context) -> Result<Verdict> {
    let socket = t.path("tty");
    let running = recvtty(t, &socket).input("from a file\n")?.spawn()?;
    wait_until_it_listens(&socket)?;
    let script =
        "stty -echo; echo ready; read line; echo \"got $line\"; seq 100000 | tail -n 20000";
    let container = create(t, t.bundle()?.script(script), &socket)?;
    container.start()?;
    let output = running.wait()?.expect(0)?;
    check_has!(output.stdout, "ready\n", "got from a file\n80001\n");
    check!(output.stdout.ends_with("\n99999\n100000\n") && !output.stdout.contains('\r'));
    container.wait_until_stopped()?;
    container.delete()?;
    Ok(Passed)
}

fn waits_until_somebody_comes(t: &mut Context) -> Result<Verdict> {
    let socket = t.path("tty");
    let waiting = recvtty(t, &socket).spawn()?;
    wait_until_it_listens(&socket)?;
    waiting.signal(Signal::TERM)?;
    waiting.wait()?.expect(143)?;
    check!(!socket.exists());
    // Who comes and sends nothing: a container that cannot be made.
    let waiting = recvtty(t, &socket).spawn()?;
    wait_until_it_listens(&socket)?;
    drop(std::os::unix::net::UnixStream::connect(&socket)?);
    waiting.wait()?.refused(&["terminal", "without sending"])?;
    check!(!socket.exists());
    // And who comes and stays silent.
    let waiting = recvtty(t, &socket).spawn()?;
    wait_until_it_listens(&socket)?;
    let silent = std::os::unix::net::UnixStream::connect(&socket)?;
    eventually("the connection", || Ok((!socket.exists()).then_some(())))?;
    check!(waiting.runs()?);
    waiting.signal(Signal::INT)?;
    waiting.wait()?.expect(130)?;
    drop(silent);
    Ok(Passed)
}

fn reads_many_terminals_for_nobody(t: &mut Context) -> Result<Verdict> {
    let (socket, pid) = (t.path("tty"), t.path("pid"));
    let command = recvtty(t, &socket).args(["--mode", "null"]).arg("--pid-file").arg(&pid);
    let sink = command.spawn()?;
    eventually("the pid file", || Ok(pid.exists().then_some(())))?;
    check_eq!(fs::read_to_string(&pid)?, sink.pid().to_string());
    // More than a terminal holds: somebody reads it.
    let bundle = t.bundle()?.script("seq 100000; test -t 0 && test -t 1 && exit 7");
    let containers = [create(t, bundle.clone(), &socket)?, create(t, bundle, &socket)?];
    containers.iter().try_for_each(|container| container.start().map(drop))?;
    for container in containers {
        container.wait_until_stopped()?;
        container.delete()?;
    }
    // Who sends something else is no reason to stop.
    drop(std::os::unix::net::UnixStream::connect(&socket)?);
    eventually("a warning", || Ok(sink.stderr()?.contains("without sending").then_some(())))?;
    check_eq!(open_terminals(&sink)?, 0);
    sink.signal(Signal::TERM)?;
    check_eq!(sink.wait()?.expect(143)?.stdout, "");
    check!(!socket.exists() && !pid.exists());
    Ok(Passed)
}

fn open_terminals(process: &Background) -> Result<usize> {
    let entries = fs::read_dir(format!("/proc/{}/fd", process.pid()))?;
    let targets = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    Ok(targets.filter(|target| target.to_string_lossy().contains("ptmx")).count())
}

fn listens_at_long_paths(t: &mut Context) -> Result<Verdict> {
    let directory = t.path(&"x".repeat(200)).join("y".repeat(200));
    fs::create_dir_all(&directory)?;
    let socket = directory.join("tty");
    // Also as a relative path, whose directory is the current one.
    for (command, at) in
        [(recvtty(t, &socket), t.path("")), (recvtty(t, Path::new("tty")), directory)]
    {
        let running = command.directory(at).spawn()?;
        wait_until_it_listens(&socket)?;
        let container = create(t, t.bundle()?.args(&["echo", "far away"]), &socket)?;
        container.start()?;
        check_eq!(running.wait()?.expect(0)?.stdout, "far away\n");
        check!(!socket.exists());
        container.wait_until_stopped()?;
        container.delete()?;
    }
    Ok(Passed)
}

fn replaces_only_dead_sockets(t: &mut Context) -> Result<Verdict> {
    let socket = t.path("tty");
    let running = recvtty(t, &socket).spawn()?;
    wait_until_it_listens(&socket)?;
    running.kill()?;
    check!(is_socket(&socket));
    let pid = t.path("pid");
    let running = recvtty(t, &socket).arg("--pid-file").arg(&pid).spawn()?;
    eventually("the pid file", || Ok(pid.exists().then_some(())))?;
    recvtty(t, &socket).run()?.refused(&["listens there already"])?;
    // The question has not disturbed who does.
    let container = create(t, t.bundle()?.args(&["echo", "fine"]), &socket)?;
    container.start()?;
    check_eq!(running.wait()?.expect(0)?.stdout, "fine\n");
    container.wait_until_stopped()?;
    container.delete()?;
    // Somebody takes the path over: it is not ours to remove.
    let running = recvtty(t, &socket).spawn()?;
    wait_until_it_listens(&socket)?;
    fs::remove_file(&socket)?;
    fs::write(&socket, "precious")?;
    running.signal(Signal::TERM)?;
    running.wait()?.expect(143)?;
    recvtty(t, &socket).run()?.refused(&["no socket"])?;
    check_eq!(fs::read_to_string(&socket)?, "precious");
    Ok(Passed)
}

fn says_what_is_wrong(t: &mut Context) -> Result<Verdict> {
    recvtty(t, &t.path("nowhere/tty")).run()?.refused(&["nowhere/tty", "No such file"])?;
    recvtty(t, &t.path("tty")).args(["--mode", "double"]).run()?.refused(&["single or null"])?;
    let output = recvtty(t, &t.path("tty")).arg("--pid-file").arg(t.path("nowhere/pid")).run()?;
    output.refused(&["nowhere/pid"])?;
    check!(!t.path("tty").exists());
    t.command().arg("recvtty").run()?.refused(&["usage"])?;
    recvtty(t, Path::new("")).run()?.refused(&["listen"])?;
    Ok(Passed)
}
