//! The runtime's own program, which the container gets to see by `/proc/self/exe`.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Context, Result, Test, Verdict, check, check_eq, need, rounds, tests};

pub const TESTS: &[Test] = tests![
    program_that_waits_for_the_start,
    program_that_executes_itself,
    program_that_interprets_a_script,
    traces_of_the_host_in_the_process,
];

/// CVE-2019-5736. Neither while it runs nor later can its file be written to.
fn program_that_waits_for_the_start(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "others protect themselves in other ways");
    let container = t.create(&t.bundle()?)?;
    let exe = format!("/proc/{}/exe", container.pid()?);
    let target = fs::read_link(&exe)?;
    check!(target.to_string_lossy().starts_with("/memfd:"), "{}", target.display());
    for options in [OpenOptions::new().write(true), OpenOptions::new().read(true).write(true)] {
        let refused = options.open(&exe).err().map(|error| error.kind());
        check_eq!(refused, Some(ErrorKind::ExecutableFileBusy));
    }
    // Executing or not, nobody can change it.
    let file = fs::File::open(&exe)?;
    let seals = rustix::fs::fcntl_get_seals(&file)?;
    check!(seals.contains(rustix::fs::SealFlags::WRITE | rustix::fs::SealFlags::SEAL));
    container.delete()?;
    Ok(Passed)
}

/// CVE-2019-5736. What executes `/proc/self/exe` in the container gets the init program or what it is by then.
fn program_that_executes_itself(t: &mut Context) -> Result<Verdict> {
    let path = t.runtime().path().to_owned();
    let before = fs::read(&path)?;
    let bundle = t.bundle()?.args(&["/proc/self/exe", "list"]).writable();
    t.run(&bundle)?;
    let bundle = t.bundle()?.args(&["/link"]).writable();
    symlink("/proc/self/exe", bundle.rootfs().join("link"))?;
    t.run(&bundle)?;
    let bundle = t.bundle()?.args(&["/script"]).writable();
    let script = bundle.rootfs().join("script");
    fs::write(&script, "#!/proc/self/exe\n")?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    t.run(&bundle)?;
    check!(fs::read(&path)? == before, "{} has changed", path.display());
    Ok(Passed)
}

fn traces_of_the_host_in_the_process(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "nobody in the container can look at it in time");
    let container = t.create(&t.bundle()?)?;
    let pid = container.pid()?;
    let environment = fs::read_to_string(format!("/proc/{pid}/environ"))?;
    check!(!environment.contains("HOME=") && !environment.contains("CORACLE"), "{environment:?}");
    let arguments = fs::read_to_string(format!("/proc/{pid}/cmdline"))?;
    check!(!arguments.contains(container.id()), "{arguments:?}");
    let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo"))?;
    check!(!mounts.contains("/oldroot") && mounts.lines().count() < 60, "{mounts}");
    container.delete()?;
    Ok(Passed)
}

/// Holds every program that is not in the container open until nobody executes it, and writes to it then.
const WRITER: &str = r#"
    while :; do
        for p in /proc/[0-9]*; do
            [ -e $p/exe ] && ! [ $p/exe -ef /bin/busybox ] && {
                i=0; while [ -e $p ] && [ $i -lt 3000 ]; do i=$((i + 1)); done
                { echo x >> /proc/self/fd/8; } 2> /dev/null && echo wrote > /broken
            } 8< $p/exe 2> /dev/null
        done
    done
"#;

/// CVE-2019-5736. The interpreter of such a script is the program that executes it: the runtime's own.
fn program_that_interprets_a_script(t: &mut Context) -> Result<Verdict> {
    let runtime = fs::read(t.runtime().path())?;
    let bundle = t.bundle()?.writable().idle();
    let write = |name: &str, text: &str| -> Result<PathBuf> {
        let path = bundle.rootfs().join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(path)
    };
    write("itself", "#!/proc/self/exe\n")?;
    write("other", "#!/proc/self/exe exec\n")?;
    let container = t.start(&bundle)?;
    for script in ["/itself", "/other"] {
        container.exec_with(&["--detach"], &["sh", "-c", WRITER]).succeed()?;
        for _ in 0..rounds(50) {
            let output = container.exec(&[script]).deadline(5).run()?;
            check!(output.code() != 0, "{output}");
        }
    }
    check!(!bundle.rootfs().join("broken").exists(), "its file could be written to");
    check!(fs::read(t.runtime().path())? == runtime, "the runtime has been written to");
    container.delete_forcibly()?;
    Ok(Passed)
}
