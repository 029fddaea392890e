//! What a container can see of the program that made it.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::symlink;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Context, Result, Test, Verdict, check, check_eq, need, tests};

pub const TESTS: &[Test] = tests![
    waits_in_a_sealed_memory_file,
    executes_itself_without_harm,
    refuses_a_working_directory_outside,
    shows_little_of_itself,
];

fn waits_in_a_sealed_memory_file(t: &mut Context) -> Result<Verdict> {
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

/// What executes `/proc/self/exe` in the container gets the init program or what it is by then.
fn executes_itself_without_harm(t: &mut Context) -> Result<Verdict> {
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
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    t.run(&bundle)?;
    check!(fs::read(&path)? == before, "{} has changed", path.display());
    Ok(Passed)
}

/// A descriptor of the host that leaked in would lead out.
fn refuses_a_working_directory_outside(t: &mut Context) -> Result<Verdict> {
    let prepared = "exec 3</ 4</ 5</ 6</ 7</ 8</ 9</";
    for number in 0..=30 {
        let cwd = format!("/proc/self/fd/{number}");
        let bundle = t.bundle()?.set("/process/cwd", cwd).script("ls; pwd");
        let output = t.run_with(&bundle, &[])?.after(prepared).run()?;
        check!(output.code() == 1 && output.stdout.is_empty(), "{output}");
    }
    let bundle = t.bundle()?.set("/process/cwd", "/link/../../..");
    symlink("/proc/self/fd/7", bundle.rootfs().join("link"))?;
    t.run_with(&bundle.script("ls"), &[])?.after(prepared).run()?.refused(&["/process/cwd"])?;
    Ok(Passed)
}

fn shows_little_of_itself(t: &mut Context) -> Result<Verdict> {
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
