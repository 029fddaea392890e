//! Arguments, environment and working directory.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Context, Result, Test, Verdict, check, check_eq, tests};
use serde_json::json;

pub const TESTS: &[Test] = tests![
    passes_arguments_as_they_are,
    passes_the_environment_as_it_is,
    keeps_the_last_of_two,
    knows_where_the_user_is_at_home,
    is_not_held_up_by_an_odd_passwd,
    finds_the_command_in_the_containers_path,
    takes_a_command_with_a_slash_as_it_is,
    executes_scripts,
    changes_to_the_working_directory,
    makes_the_working_directory,
    enters_a_working_directory_that_only_the_user_may_enter,
    enters_a_working_directory_that_only_root_may_enter,
    passes_nothing_of_the_callers_environment,
];

fn passes_arguments_as_they_are(t: &mut Context) -> Result<Verdict> {
    let odd = ["", " ", "a b", "tab\there", "line\nfeed", "quo\"te'$x`y`", "ümläut", "--flag"];
    let script = "for a; do echo \"[$a]\"; done; echo $#";
    let args = [&["sh", "-c", script, "name"][..], &odd].concat();
    let output = t.run(&t.bundle()?.args(&args))?.expect(0)?;
    let expected: String = odd.iter().map(|arg| format!("[{arg}]\n")).collect();
    check_eq!(output.stdout, format!("{expected}{}\n", odd.len()));
    Ok(Passed)
}

fn passes_the_environment_as_it_is(t: &mut Context) -> Result<Verdict> {
    let env = ["PATH=/bin", "A=", "B= spaced ", "C=a=b=c", "D=line\nfeed", "lower=x", "HOME=/h"];
    let bundle = t.bundle()?.set("/process/env", json!(env));
    // env(1) prints them in their order; a shell would sort them.
    let output = t.run(&bundle.args(&["env"]))?.expect(0)?;
    check_eq!(output.stdout, env.join("\n") + "\n");
    Ok(Passed)
}

fn keeps_the_last_of_two(t: &mut Context) -> Result<Verdict> {
    let env = ["PATH=/nowhere", "A=1", "B=1", "A=2", "PATH=/bin", "HOME=/x", "HOME=/y", "A=3"];
    let bundle = t.bundle()?.set("/process/env", json!(env));
    let output = t.run(&bundle.args(&["env"]))?.expect(0)?;
    let mut lines = output.lines();
    lines.sort_unstable();
    check_eq!(lines, ["A=3", "B=1", "HOME=/y", "PATH=/bin"]);
    Ok(Passed)
}

fn knows_where_the_user_is_at_home(t: &mut Context) -> Result<Verdict> {
    let cases: [(u32, &[&str], &str); 5] = [
        (0, &[], "/root"),
        (1000, &[], "/home/user"),
        (4242, &[], "/"),
        (0, &["HOME="], "/root"),
        (0, &["HOME=/elsewhere"], "/elsewhere"),
    ];
    for (uid, more, home) in cases {
        let env = [&["PATH=/bin"], more].concat();
        let bundle = t.bundle()?.set("/process/env", json!(env)).set("/process/user/uid", uid);
        let output = t.run(&bundle.script("echo $HOME; env | grep -c ^HOME="))?.expect(0)?;
        check_eq!(output.lines(), [home, "1"]);
    }
    Ok(Passed)
}

fn is_not_held_up_by_an_odd_passwd(t: &mut Context) -> Result<Verdict> {
    for link in ["/dev/zero", "/etc/fifo", "/etc", "/no/such", "/etc/big", "passwd"] {
        let bundle = t.bundle()?.script("echo $HOME");
        let etc = bundle.rootfs().join("etc");
        rustix::fs::mkfifoat(rustix::fs::CWD, etc.join("fifo"), 0o644.into())?;
        fs::File::create(etc.join("big"))?.set_len(1 << 30)?;
        fs::remove_file(etc.join("passwd"))?;
        symlink(link, etc.join("passwd"))?;
        check_eq!(t.run_with(&bundle, &[])?.deadline(5).succeed()?.text(), "/");
    }
    Ok(Passed)
}

fn finds_the_command_in_the_containers_path(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.args(&["mine"]);
    for (directory, text) in [("first", "one"), ("second", "two")] {
        let directory = bundle.rootfs().join(directory);
        fs::create_dir(&directory)?;
        let mode = if text == "one" { 0o644 } else { 0o755 };
        fs::write(directory.join("mine"), format!("#!/bin/sh\necho {text} $0\n"))?;
        fs::set_permissions(directory.join("mine"), fs::Permissions::from_mode(mode))?;
    }
    // What is not executable is passed over, and so is a directory.
    fs::create_dir_all(bundle.rootfs().join("third/mine"))?;
    let bundle = bundle.set("/process/env", json!(["PATH=/third:/first:/second"]));
    check_eq!(t.run(&bundle)?.expect(0)?.text(), "two /second/mine");
    let bundle = bundle.set("/process/env", json!(["PATH="])).set("/process/cwd", "/second");
    check_eq!(t.run(&bundle)?.expect(0)?.text(), "two ./mine");
    let usual = t.bundle()?.set("/process/env", json!([])).args(&["echo", "found"]);
    check_eq!(t.run(&usual)?.expect(0)?.text(), "found");
    Ok(Passed)
}

fn takes_a_command_with_a_slash_as_it_is(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.set("/process/cwd", "/bin").set("/process/env", json!(["PATH=/x"]));
    check_eq!(t.run(&bundle.clone().args(&["./echo", "relative"]))?.expect(0)?.text(), "relative");
    check_eq!(t.run(&bundle.args(&["/bin/echo", "absolute"]))?.expect(0)?.text(), "absolute");
    Ok(Passed)
}

fn executes_scripts(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.args(&["/script", "argument"]);
    let script = bundle.rootfs().join("script");
    fs::write(&script, "#!/bin/sh\necho \"$0 $1\"\n")?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    check_eq!(t.run(&bundle)?.expect(0)?.text(), "/script argument");
    Ok(Passed)
}

fn changes_to_the_working_directory(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.script("pwd; readlink /proc/self/cwd");
    symlink("home/user", bundle.rootfs().join("link"))?;
    for (cwd, real) in
        [("/", "/"), ("/tmp/", "/tmp"), ("/link", "/home/user"), ("/etc/../tmp", "/tmp")]
    {
        let output = t.run(&bundle.clone().set("/process/cwd", cwd))?.expect(0)?;
        check_eq!(output.lines()[1], real);
    }
    Ok(Passed)
}

fn makes_the_working_directory(t: &mut Context) -> Result<Verdict> {
    for readonly in [true, false] {
        let bundle = t.bundle()?.set("/root/readonly", readonly).set("/process/cwd", "/a/new/one");
        check_eq!(t.run(&bundle.clone().args(&["pwd"]))?.expect(0)?.text(), "/a/new/one");
        check!(bundle.rootfs().join("a/new/one").is_dir());
    }
    Ok(Passed)
}

fn enters_a_working_directory_that_only_the_user_may_enter(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.set("/process/user/uid", 1000).set("/process/cwd", "/home/user");
    let home = bundle.rootfs().join("home/user");
    std::os::unix::fs::chown(&home, Some(1000), Some(1000))?;
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700))?;
    // No capability overrides the mode either.
    let bundle = bundle.capabilities(&[]);
    check_eq!(t.run(&bundle.args(&["pwd"]))?.expect(0)?.text(), "/home/user");
    Ok(Passed)
}

/// As runc: who sets up the container may enter it, and that counts.
fn enters_a_working_directory_that_only_root_may_enter(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.set("/process/user/uid", 1000).set("/process/cwd", "/root");
    fs::set_permissions(bundle.rootfs().join("root"), fs::Permissions::from_mode(0o700))?;
    check_eq!(t.run(&bundle.args(&["pwd"]))?.expect(0)?.text(), "/root");
    Ok(Passed)
}

fn passes_nothing_of_the_callers_environment(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.args(&["env"]);
    let command = t.run_with(&bundle, &[])?.env("SECRET", "x").env("LISTEN_FDS", "0");
    let output = command.succeed()?;
    check!(!output.stdout.contains("SECRET"), "{output}");
    check_eq!(output.lines().len(), 3);
    Ok(Passed)
}
