//! Standard streams and other descriptors.

use std::fs::{self, File};
use std::io::{Read, Write};

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Context, Result, Test, Verdict, check, check_eq, check_has, eventually, tests,
};

pub const TESTS: &[Test] = tests![
    reads_from_the_callers_input,
    sends_much_through_pipes,
    ends_with_its_reader,
    has_no_other_descriptor,
    has_no_directory_of_the_host_when_created,
    works_without_standard_streams,
    lets_a_user_open_its_streams_again,
    leaves_terminals_of_the_host_alone,
];

fn reads_from_the_callers_input(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.args(&["tr", "a-z", "A-Z"]);
    let command = t.run_with(&bundle, &[])?.input("some text\nmore")?;
    check_eq!(command.succeed()?.stdout, "SOME TEXT\nMORE");
    check_eq!(t.run(&bundle)?.expect(0)?.stdout, "");
    Ok(Passed)
}

fn sends_much_through_pipes(t: &mut Context) -> Result<Verdict> {
    let (from_us, to_container) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    let (from_container, to_us) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    let command = t.run_with(&t.bundle()?.args(&["cat"]), &[])?;
    let running = command.stdin(from_us).stdout(to_us).spawn()?;
    let sent: Vec<u8> = (0..1_000_003_u32).map(|number| (number % 251) as u8).collect();
    let copy = sent.clone();
    let writer = std::thread::spawn(move || File::from(to_container).write_all(&copy));
    let mut received = Vec::new();
    File::from(from_container).read_to_end(&mut received)?;
    check!(received == sent, "{} of {} bytes came through", received.len(), sent.len());
    check!(writer.join().is_ok_and(|written| written.is_ok()), "not all was read");
    running.wait()?.expect(0)?;
    Ok(Passed)
}

fn ends_with_its_reader(t: &mut Context) -> Result<Verdict> {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    let bundle = t.bundle()?.without_namespace("pid").args(&["yes"]);
    let running = t.run_with(&bundle, &[])?.stdout(write).spawn()?;
    let mut some = [0; 4];
    rustix::io::read(&read, &mut some)?;
    check_eq!(&some, b"y\ny\n");
    drop(read);
    running.wait()?.expect(141)?;
    Ok(Passed)
}

fn has_no_other_descriptor(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.script("ls /proc/1/fd; ls /proc/self/fd | wc -l");
    let careless = "exec 3</ 5>/dev/null 7</etc 9</etc/passwd";
    let output = t.run_with(&bundle, &[])?.after(careless).succeed()?;
    check_eq!(output.text().split_whitespace().collect::<Vec<_>>(), ["0", "1", "2", "4"]);
    let container = t.create_by(t.command().after(careless), &bundle, &[])?;
    container.start()?;
    let text = container.finish()?;
    check_eq!(text.split_whitespace().collect::<Vec<_>>(), ["0", "1", "2", "4"]);
    Ok(Passed)
}

/// Until the start, who shares its pid namespace can look at them: from a directory of the host, `..` leads
/// to all of the host's files.
fn has_no_directory_of_the_host_when_created(t: &mut Context) -> Result<Verdict> {
    let command = t.command().after("exec 3</ 7</etc 9</etc/passwd");
    let container = t.create_by(command, &t.bundle()?, &[])?;
    let directory = format!("/proc/{}/fd", container.pid()?);
    let mut directories = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let is_directory = fs::metadata(&path).is_ok_and(|found| found.is_dir());
        if is_directory {
            directories.push(format!("{} is {}", path.display(), fs::read_link(&path)?.display()));
        }
    }
    check_eq!(directories, [""; 0]);
    container.delete()?;
    Ok(Passed)
}

fn works_without_standard_streams(t: &mut Context) -> Result<Verdict> {
    for closed in ["exec <&-", "exec >&-", "exec 2>&-", "exec <&- >&- 2>&-"] {
        let bundle = t.bundle()?.script("ls /proc/1/fd > /dev/shm/x; read n < /dev/shm/x; exit 5");
        t.run_with(&bundle, &[])?.after(closed).run()?.expect(5)?;
        let (command, id) = t.run_as(&bundle, &["--detach"])?;
        command.after(closed).succeed()?;
        eventually("the end of the container", || {
            let state = t.command().args(["state", &id]).succeed()?;
            Ok(state.stdout.contains("stopped").then_some(()))
        })?;
        t.command().args(["delete", &id]).succeed()?;
    }
    Ok(Passed)
}

fn lets_a_user_open_its_streams_again(t: &mut Context) -> Result<Verdict> {
    let script = "echo out > /dev/stdout; echo err > /dev/stderr; cat /dev/stdin";
    let bundle = t.bundle()?.set("/process/user/uid", 1000).script(script);
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    let command = t.run_with(&bundle, &[])?.input("in\n")?.stdout(write);
    let output = command.run()?.expect(0)?;
    let mut text = String::new();
    File::from(read).read_to_string(&mut text)?;
    check_eq!((text.as_str(), output.stderr.as_str()), ("out\nin\n", "err\n"));
    Ok(Passed)
}

/// What is given to the container's user must not be a device that others use.
fn leaves_terminals_of_the_host_alone(t: &mut Context) -> Result<Verdict> {
    let before = fs::metadata("/dev/null")?;
    let bundle = t.bundle()?.set("/process/user/uid", 1000).args(&["echo", "x"]);
    t.run_with(&bundle, &[])?.stdout(File::options().write(true).open("/dev/null")?).succeed()?;
    use std::os::unix::fs::MetadataExt;
    check_eq!(fs::metadata("/dev/null")?.uid(), before.uid());
    check_has!(t.script("ls -n /dev/null")?.stdout, " 0 ");
    Ok(Passed)
}
