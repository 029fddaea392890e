//! `--detach` and what tells of the process; descriptors that are passed on and those that are not.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Context, DescriptorServer, Result, Test, Verdict, check, check_eq, check_has, eventually, need,
    scaled, tests,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, kill_process};

use super::{idle, in_both};

pub const TESTS_FOR_ALL: &[Test] =
    tests![does_not_wait_if_detached, writes_the_pid_file, has_no_other_descriptor,];

pub const TESTS: &[Test] = tests![
    lets_the_program_open_its_streams_again,
    says_what_fails_although_detached,
    hands_over_a_pidfd,
    preserves_what_it_is_asked_to,
    works_without_standard_streams,
    holds_no_stream_open,
    leaves_files_of_the_host_alone,
];

fn does_not_wait_if_detached(t: &mut Context) -> Result<Verdict> {
    in_both(t, |container| {
        let script = "echo executed; sleep 0.2; echo later; sleep 1000";
        let started = std::time::Instant::now();
        let output = container.exec_with(&["--detach"], &["sh", "-c", script]).succeed()?;
        check!(started.elapsed() < scaled(10));
        eventually("its output", || Ok(output.stdout_now()?.contains("later").then_some(())))?;
        check_eq!(output.stdout_now()?, "executed\nlater\n");
        container.exec_with(&["-d"], &["sh", "-c", "exit 7"]).succeed()?;
        Ok(())
    })
}

fn writes_the_pid_file(t: &mut Context) -> Result<Verdict> {
    in_both(t, |container| {
        let directory = t.path(&format!("pids-{}", container.id()));
        fs::create_dir(&directory)?;
        t.give_to_user(&directory)?;
        let file = directory.join("pid");
        let exec = container.exec_with(&["--detach", "--pid-file", "pid"], &["sleep", "777"]);
        exec.directory(&directory).succeed()?;
        let text = fs::read_to_string(&file)?;
        let pid: i32 = text.parse()?;
        let command = || fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        check_eq!(String::from_utf8_lossy(&command()), "sleep\u{0}777\u{0}");
        if t.is_coracle() {
            check_eq!(fs::metadata(&file)?.permissions().mode() & 0o777, 0o644);
        }
        kill_process(Pid::from_raw(pid).unwrap_or(Pid::INIT), Signal::KILL)?;
        eventually("its end", || Ok(command().is_empty().then_some(())))?;
        // Also if somebody waits for it.
        let exec = container.exec_with(&["--pid-file", "pid"], &["sh", "-c", "read line"]);
        exec.directory(&directory).run()?.expect(1)?;
        check!(fs::read_to_string(&file)?.parse::<i32>()? > 1, "no number");
        Ok(())
    })
}

fn has_no_other_descriptor(t: &mut Context) -> Result<Verdict> {
    in_both(t, |container| {
        let careless = "exec 3</ 5>/dev/null 7</etc 9</";
        let exec = container.exec(&["ls", "/proc/self/fd"]).after(careless);
        // The last is the list itself.
        check_eq!(exec.succeed()?.lines(), ["0", "1", "2", "3"]);
        let detached = container.exec_with(&["--detach"], &["ls", "/proc/self/fd"]);
        let output = detached.after(careless).succeed()?;
        eventually("the list", || Ok((output.stdout_now()?.lines().count() > 3).then_some(())))?;
        check_eq!(output.stdout_now()?, "0\n1\n2\n3\n");
        Ok(())
    })
}

fn lets_the_program_open_its_streams_again(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    let script = "echo out > /dev/stdout; echo err > /dev/stderr; cat /dev/stdin";
    for flags in [&[][..], &["--user", "1000"]] {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        let (read_errors, write_errors) = pipe_with(PipeFlags::CLOEXEC)?;
        let (from_us, to_program) = pipe_with(PipeFlags::CLOEXEC)?;
        rustix::io::write(&to_program, b"in\n")?;
        drop(to_program);
        let exec = container.exec_with(flags, &["sh", "-c", script]).stdin(from_us).stdout(write);
        exec.stderr(write_errors).run()?.expect(0)?;
        let [mut text, mut errors] = [String::new(), String::new()];
        File::from(read).read_to_string(&mut text)?;
        File::from(read_errors).read_to_string(&mut errors)?;
        check_eq!((text.as_str(), errors.as_str()), ("out\nin\n", "err\n"));
    }
    container.delete_forcibly()?;
    Ok(Passed)
}

fn says_what_fails_although_detached(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    let pid_file = t.path("pid");
    let flags = ["--detach", "--pid-file", &pid_file.to_string_lossy()];
    container.exec_with(&flags, &["nosuch"]).run()?.not_executed(&["nosuch"])?;
    check!(!t.is_coracle() || !pid_file.exists(), "there is a pid file of nobody");
    container.delete_forcibly()?;
    Ok(Passed)
}

fn hands_over_a_pidfd(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "not every runtime has --pidfd-socket");
    let container = idle(t)?;
    let server = DescriptorServer::listen(&t.path("pidfd"))?;
    let [socket, pid_file] =
        ["pidfd", "pid"].map(|name| t.path(name).to_string_lossy().into_owned());
    let flags = ["--detach", "--pidfd-socket", &socket, "--pid-file", &pid_file];
    container.exec_with(&flags, &["sleep", "1000"]).succeed()?;
    let (pidfd, text) = server.receive()?;
    check_eq!(text, "setns");
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))?;
    check_has!(info, &format!("Pid:\t{}\n", fs::read_to_string(&pid_file)?));
    container.delete_forcibly()?;
    let mut ended = [PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN)];
    let soon = Timespec { tv_sec: 5, tv_nsec: 0 };
    check_eq!(poll(&mut ended, Some(&soon))?, 1);
    Ok(Passed)
}

fn preserves_what_it_is_asked_to(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    for name in ["three", "four", "five"] {
        fs::write(t.path(name), format!("{name}\n"))?;
    }
    let open = |fd: u32, name: &str| format!("exec {fd}<'{}'", t.path(name).display());
    let open = [open(3, "three"), open(4, "four"), open(5, "five")].join("\n");
    let script = "cat <&3; cat <&4; ls /proc/$$/fd; cat <&5";
    let exec = container.exec_with(&["--preserve-fds", "2"], &["sh", "-c", script]);
    let output = exec.after(&open).run()?;
    check_eq!(output.lines(), ["three", "four", "0", "1", "2", "3", "4"]);
    check!(output.code() != 0, "descriptor 5 got into the container");
    let exec = container.exec_with(&["--preserve-fds", "3"], &["true"]);
    exec.after("exec 3<&- 4<&- 5<&-").run()?.not_executed(&["3"])?;
    container.delete_forcibly()?;
    Ok(Passed)
}

fn works_without_standard_streams(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    for closed in ["exec <&-", "exec >&-", "exec 2>&-", "exec <&- >&- 2>&-"] {
        let script = "ls /proc/self/fd > /dev/shm/x; read n < /dev/shm/x; exit 5";
        container.exec(&["sh", "-c", script]).after(closed).run()?.expect(5)?;
        container.exec_with(&["--detach"], &["true"]).after(closed).succeed()?;
    }
    container.delete_forcibly()?;
    Ok(Passed)
}

/// Who reads what a detached process prints sees the end when the process ends.
fn holds_no_stream_open(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    for flags in [&["--detach"][..], &[]] {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        let exec = container.exec_with(flags, &["sh", "-c", "echo some; echo more"]);
        exec.stdout(write).succeed()?;
        let mut text = String::new();
        File::from(read).read_to_string(&mut text)?;
        check_eq!(text, "some\nmore\n");
    }
    container.delete_forcibly()?;
    Ok(Passed)
}

/// What is given to the user must not be a device that others use.
fn leaves_files_of_the_host_alone(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    let owner = fs::metadata("/dev/null")?.uid();
    let null = File::options().write(true).open("/dev/null")?;
    container.exec_with(&["--user", "1000"], &["echo", "x"]).stdout(null).succeed()?;
    check_eq!(fs::metadata("/dev/null")?.uid(), owner);
    container.delete_forcibly()?;
    Ok(Passed)
}
