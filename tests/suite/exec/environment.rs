//! `--env` and `--cwd`.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Bundle, Context, Result, Test, Verdict, check, check_eq, need, tests};
use serde_json::json;

use super::{idle, in_both};

pub const TESTS_FOR_ALL: &[Test] =
    tests![adds_variables_to_those_of_the_container, starts_in_the_directory];

pub const TESTS: &[Test] = tests![
    takes_any_value_for_a_variable,
    refuses_what_is_no_variable,
    finds_the_program_by_its_own_path,
    lives_at_the_home_of_its_user,
    is_not_misled_by_a_hostile_list_of_users,
    does_not_wait_for_a_list_of_users_that_has_no_end,
    starts_where_the_container_does,
    starts_where_only_its_user_may,
    refuses_a_directory_that_is_none,
];

fn adds_variables_to_those_of_the_container(t: &mut Context) -> Result<Verdict> {
    in_both(t, |container| {
        let flags = ["--env", "A=1", "--env=B=2", "--env=TERM=mine", "--env", "A=3", "--env", "C="];
        let output = container.exec_with(&flags, &["env"]).succeed()?;
        let mut lines: Vec<_> = output.lines();
        lines.sort_unstable();
        let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        check_eq!(lines, ["A=3", "B=2", "C=", "HOME=/root", path, "TERM=mine"]);
        Ok(())
    })
}

fn starts_in_the_directory(t: &mut Context) -> Result<Verdict> {
    in_both(t, |container| {
        check_eq!(container.exec(&["pwd"]).succeed()?.text(), "/");
        for directory in ["/tmp", "/home/user/", "/home/../etc/.", "//"] {
            let output =
                container.exec_with(&["--cwd", directory], &["realpath", "."]).succeed()?;
            let expected = Path::new("/").join(match directory {
                "/home/../etc/." => "etc",
                other => other.trim_matches('/'),
            });
            check_eq!(Path::new(output.text()), expected);
        }
        Ok(())
    })
}

fn takes_any_value_for_a_variable(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    let long = "x".repeat(100_000);
    for value in ["two\nlines\n", "a=b=c", " ", "ä€\u{1}", "$HOME `id` \"'", long.as_str()] {
        let variable = format!("V={value}");
        let output = container
            .exec_with(&["--env", &variable], &["sh", "-c", "printf %s \"$V\""])
            .succeed()?;
        check!(output.stdout == value, "{value:?} became {:?}", output.stdout);
    }
    container.delete_forcibly()?;
    Ok(Passed)
}

fn refuses_what_is_no_variable(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "crun passes on what is no variable");
    let container = idle(t)?;
    for wrong in ["NAME", "=value", ""] {
        let output = container.exec_with(&["--env", wrong], &["true"]).run()?;
        check!([1, 255].contains(&output.code()), "{wrong:?}: {output}");
        output.says(&["env", "NAME=value"])?;
    }
    container.delete_forcibly()?;
    Ok(Passed)
}

fn finds_the_program_by_its_own_path(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.idle();
    let directory = bundle.rootfs().join("opt");
    fs::create_dir(&directory)?;
    symlink("/bin/busybox", directory.join("echo"))?;
    symlink("/bin/busybox", directory.join("only-here"))?;
    let container = t.start(&bundle)?;
    container.exec(&["only-here"]).run()?.not_executed(&["only-here"])?;
    let flags = ["--env", "PATH=/nowhere:/opt:/bin"];
    // Busybox does not know itself by this name.
    container.exec_with(&flags, &["only-here"]).run()?.expect(127)?.says(&["applet not found"])?;
    check_eq!(container.exec_with(&flags, &["echo", "x"]).succeed()?.text(), "x");
    container.delete_forcibly()?;
    Ok(Passed)
}

fn home(container: &coracle_testkit::Container, flags: &[&str]) -> Result<String> {
    let output = container.exec_with(flags, &["/bin/sh", "-c", "printf %s \"$HOME\""]);
    Ok(output.deadline(5).succeed()?.stdout)
}

fn lives_at_the_home_of_its_user(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    check_eq!(home(&container, &[])?, "/root");
    check_eq!(home(&container, &["--user", "1000"])?, "/home/user");
    check_eq!(home(&container, &["--user", "1000:0"])?, "/home/user");
    check_eq!(home(&container, &["--user", "4242"])?, "/");
    check_eq!(home(&container, &["--user", "1000", "--env", "HOME=/mine"])?, "/mine");
    if t.is_coracle() {
        check_eq!(home(&container, &["--user", "1000", "--env", "HOME="])?, "/home/user");
    }
    container.delete_forcibly()?;
    let container = t.start(&t.bundle()?.push("/process/env", "HOME=/given").idle())?;
    check_eq!(home(&container, &["--user", "1000"])?, "/given");
    container.delete_forcibly()?;
    Ok(Passed)
}

/// A container whose list of users is somebody's work of art.
fn with_users(t: &Context, make: impl FnOnce(&Path) -> Result<()>) -> Result<Bundle> {
    let bundle = t.bundle()?.idle();
    let file = bundle.rootfs().join("etc/passwd");
    fs::remove_file(&file)?;
    make(&file)?;
    Ok(bundle)
}

fn is_not_misled_by_a_hostile_list_of_users(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "others take what they find");
    let secret = t.path("secret");
    fs::write(&secret, "root:x:0:0:root:/stolen:/bin/sh\n")?;
    let lists = [
        "root:x:0\n",
        ":::::::::\nroot:x:-0:0:root:/minus:/bin/sh\n",
        "root:x:4294967296:0:root:/wrapped:/bin/sh\n",
        "root:x:+0:0:root:/plus:/bin/sh\n",
        "\0\0\0",
    ];
    for list in lists {
        let container = t.start(&with_users(t, |file| Ok(fs::write(file, list)?))?)?;
        check_eq!((list, home(&container, &[])?), (list, "/".to_owned()));
        container.delete_forcibly()?;
    }
    let target = secret.clone();
    let container = t.start(&with_users(t, |file| Ok(symlink(target, file)?))?)?;
    check_eq!(home(&container, &[])?, "/");
    container.delete_forcibly()?;
    Ok(Passed)
}

fn does_not_wait_for_a_list_of_users_that_has_no_end(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "others wait");
    let sparse = |file: &Path| Ok(fs::File::create(file)?.set_len(1 << 30)?);
    let directory = |file: &Path| Ok(fs::create_dir(file)?);
    let pipe = |file: &Path| coracle_testkit::Cmd::new("mkfifo").arg(file).succeed().map(drop);
    let zero = |file: &Path| Ok(symlink("/dev/zero", file)?);
    let itself = |file: &Path| Ok(symlink("passwd", file)?);
    let all: [fn(&Path) -> Result<()>; 5] = [sparse, directory, pipe, zero, itself];
    for make in all {
        // The container itself has its home, so that only the other processes have to look.
        let bundle = with_users(t, make)?.set("/process/env", json!(["PATH=/bin", "HOME=/x"]));
        let container = t.start(&bundle)?;
        check_eq!(home(&container, &["--env", "HOME="])?, "/");
        container.delete_forcibly()?;
    }
    Ok(Passed)
}

fn starts_where_the_container_does(t: &mut Context) -> Result<Verdict> {
    let container = t.start(&t.bundle()?.set("/process/cwd", "/home/user").idle())?;
    check_eq!(container.exec(&["pwd"]).succeed()?.text(), "/home/user");
    check_eq!(container.exec_with(&["--cwd", "/"], &["pwd"]).succeed()?.text(), "/");
    container.delete_forcibly()?;
    Ok(Passed)
}

fn starts_where_only_its_user_may(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.idle();
    let home = bundle.rootfs().join("home/user");
    chown(&home, Some(1000), Some(1000))?;
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700))?;
    let container = t.start(&bundle)?;
    let flags = ["--user", "1000:1000", "--cwd", "/home/user"];
    check_eq!(container.exec_with(&flags, &["pwd"]).succeed()?.text(), "/home/user");
    container.delete_forcibly()?;
    Ok(Passed)
}

fn refuses_a_directory_that_is_none(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.writable().idle();
    symlink("loop", bundle.rootfs().join("loop"))?;
    let container = t.start(&bundle)?;
    for wrong in ["/no/such", "/etc/passwd", "/loop"] {
        container.exec_with(&["--cwd", wrong], &["pwd"]).run()?.not_executed(&[wrong])?;
        check!(!bundle.rootfs().join("no").exists(), "it was made");
    }
    if t.is_coracle() {
        for wrong in ["tmp", ".", ""] {
            let output = container.exec_with(&["--cwd", wrong], &["pwd"]).run()?;
            output.not_executed(&["cwd", "absolute"])?;
        }
    }
    container.delete_forcibly()?;
    Ok(Passed)
}
