//! Descriptors that are passed on, in and out.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsFd;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Context, DescriptorServer, Result, Test, Verdict, check, check_eq, check_has, eventually, need,
    tests,
};
use rustix::event::{PollFd, PollFlags, poll};

pub const TESTS: &[Test] = tests![
    preserves_what_it_is_asked_to,
    hands_over_the_terminal,
    finds_a_console_socket_with_a_long_path,
    wants_a_console_socket_only_where_there_is_use_for_it,
    hands_over_a_pidfd,
    says_when_nobody_listens,
];

fn preserves_what_it_is_asked_to(t: &mut Context) -> Result<Verdict> {
    for name in ["three", "four", "five"] {
        fs::write(t.path(name), format!("{name}\n"))?;
    }
    let bundle = t.bundle()?.script("cat <&3; cat <&4; ls /proc/1/fd; cat <&5");
    let open = |fd: u32, name: &str| format!("exec {fd}<'{}'", t.path(name).display());
    let open = [open(3, "three"), open(4, "four"), open(5, "five")].join("\n");
    let command = t.run_with(&bundle, &["--preserve-fds", "2"])?.after(&open);
    let output = command.run()?;
    check_eq!(output.lines(), ["three", "four", "0", "1", "2", "3", "4"]);
    check!(output.code() != 0, "descriptor 5 got into the container");
    let command = t.run_with(&bundle, &["--preserve-fds", "3"])?;
    command.after("exec 3<&- 4<&- 5<&-").run()?.refused(&["3"])?;
    Ok(Passed)
}

fn hands_over_the_terminal(t: &mut Context) -> Result<Verdict> {
    let socket = t.path("console");
    let server = DescriptorServer::listen(&socket)?;
    let script = "tty; stty size; ls -l /dev/console | cut -c1; read line; echo \"got $line\"";
    let bundle = t.bundle()?.set("/process/terminal", true).script(script);
    let bundle =
        bundle.set("/process/consoleSize/height", 33).set("/process/consoleSize/width", 99);
    let flags = ["--console-socket", &socket.to_string_lossy()];
    let container = t.create_with(&bundle, &flags)?;
    let (terminal, name) = server.receive()?;
    check_has!(name, "/dev/pts/");
    let mut terminal = File::from(terminal);
    container.start()?;
    let mut seen = String::new();
    let mut wait_for = |terminal: &mut File, text: &str| {
        eventually(text, || {
            let mut bytes = [0; 1024];
            if poll(&mut [PollFd::new(&*terminal, PollFlags::IN)], Some(&NOW))? > 0 {
                // At the end there is an error.
                let count = terminal.read(&mut bytes).unwrap_or(0);
                seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
            Ok(seen.contains(text).then_some(()))
        })
    };
    wait_for(&mut terminal, "/dev/pts/0")?;
    wait_for(&mut terminal, "33 99")?;
    terminal.write_all(b"hello\n")?;
    wait_for(&mut terminal, "got hello")?;
    container.finish()?;
    Ok(Passed)
}

const NOW: rustix::event::Timespec = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };

/// An address has 108 bytes, a path 4096.
fn finds_a_console_socket_with_a_long_path(t: &mut Context) -> Result<Verdict> {
    let directory = t.path(&"long".repeat(40));
    fs::create_dir(&directory)?;
    let short = t.path("short");
    std::os::unix::fs::symlink(&directory, &short)?;
    let server = DescriptorServer::listen(&short.join("s"))?;
    let bundle = t.bundle()?.set("/process/terminal", true);
    let socket = directory.join("s");
    let container = t.create_with(&bundle, &["--console-socket", &socket.to_string_lossy()])?;
    server.receive()?;
    container.delete()?;
    Ok(Passed)
}

fn wants_a_console_socket_only_where_there_is_use_for_it(t: &mut Context) -> Result<Verdict> {
    let socket = t.path("console");
    let _server = DescriptorServer::listen(&socket)?;
    let flag = ["--console-socket", &socket.to_string_lossy()];
    let without = t.bundle()?;
    let with = t.bundle()?.set("/process/terminal", true);
    let create = |flags: &[&str]| {
        let command = t.command().arg("create").arg("--bundle").arg(with.directory());
        command.args(flags).arg(t.id())
    };
    with.write()?;
    create(&[]).run()?.refused(&["console"])?;
    t.run_with(&with, &["--detach"])?.run()?.refused(&["console"])?;
    t.run_with(&with, &flag)?.run()?.refused(&["console"])?;
    t.run_with(&without, &flag)?.run()?.refused(&["console"])?;
    Ok(Passed)
}

fn hands_over_a_pidfd(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "not every runtime has --pidfd-socket");
    let socket = t.path("pidfd");
    let server = DescriptorServer::listen(&socket)?;
    let flags = ["--pidfd-socket", &socket.to_string_lossy()];
    let container = t.create_with(&t.bundle()?.idle(), &flags)?;
    let (pidfd, text) = server.receive()?;
    check_eq!(text, "standard");
    let number = std::os::fd::AsRawFd::as_raw_fd(&pidfd);
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}"))?;
    check_has!(info, &format!("Pid:\t{}\n", container.pid()?));
    container.delete_forcibly()?;
    let mut ended = [PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN)];
    check_eq!(poll(&mut ended, Some(&NOW))?, 1);
    Ok(Passed)
}

fn says_when_nobody_listens(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.set("/process/terminal", true);
    bundle.write()?;
    let command = t.command().arg("create").arg("--bundle").arg(bundle.directory());
    let command = command.arg("--console-socket").arg(t.path("nobody")).arg(t.id());
    command.run()?.refused(&["nobody"])?;
    Ok(Passed)
}
