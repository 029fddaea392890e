//! What `spec` asks for.

use std::fs;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Context, Result, Test, Verdict, check, check_eq, tests};

use super::{at, check_flags, mounts_in};

pub const TESTS: &[Test] = tests![
    mounts_what_the_default_configuration_has,
    mounts_nothing_else,
    makes_the_root_read_only,
    leaves_a_writable_root_writable,
    shows_nothing_of_the_host,
    has_working_special_file_systems,
];

fn mounts_what_the_default_configuration_has(t: &mut Context) -> Result<Verdict> {
    let mounts = mounts_in(t, t.bundle()?)?;
    let expected: [(&str, &str, &[&str], &[&str]); 7] = [
        ("/proc", "proc", &[], &[]),
        ("/dev", "tmpfs", &["nosuid"], &["mode=755", "size=65536k"]),
        ("/dev/pts", "devpts", &["nosuid", "noexec"], &["gid=5", "mode=620", "ptmxmode=666"]),
        ("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev"], &["size=65536k"]),
        ("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"], &[]),
        ("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"], &[]),
        ("/", "", &["ro"], &[]),
    ];
    for (target, fstype, flags, parameters) in expected {
        let mount = at(&mounts, target)?;
        check!(fstype.is_empty() || mount.fstype == fstype, "{mount:?}");
        check_flags(mount, flags)?;
        for parameter in parameters {
            check!(mount.driver_has(parameter), "no {parameter}: {mount:?}");
        }
    }
    // strictatime is the absence of the others.
    check!(!at(&mounts, "/dev")?.has("relatime") && !at(&mounts, "/dev")?.has("noatime"));
    check!(at(&mounts, "/proc")?.has("relatime"));
    Ok(Passed)
}

fn mounts_nothing_else(t: &mut Context) -> Result<Verdict> {
    let mounts = mounts_in(t, t.bundle()?)?;
    let usual = ["/", "/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys"];
    for mount in &mounts {
        let target = mount.target.as_str();
        let hidden = ["/proc/", "/sys/firmware", "/sys/devices/virtual/tpm", "/sys/fs/cgroup"];
        let known = usual.contains(&target) || hidden.iter().any(|it| target.starts_with(it));
        check!(known, "unexpected: {mount:?}");
        check!(mount.propagation.iter().all(|it| !it.starts_with("shared")), "{mount:?}");
    }
    Ok(Passed)
}

fn makes_the_root_read_only(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.script("touch /file; mkdir /directory; rm /etc/passwd");
    let output = t.run(&bundle)?;
    check_eq!(output.stderr.matches("Read-only file system").count(), 3);
    check!(bundle.rootfs().join("etc/passwd").exists());
    Ok(Passed)
}

fn leaves_a_writable_root_writable(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.writable().script("echo text > /file && mkdir -p /a/b && rm -r /mnt");
    t.run(&bundle)?.expect(0)?;
    let root = bundle.rootfs();
    check_eq!(fs::read_to_string(root.join("file"))?, "text\n");
    check!(root.join("a/b").is_dir() && !root.join("mnt").exists());
    Ok(Passed)
}

fn shows_nothing_of_the_host(t: &mut Context) -> Result<Verdict> {
    let script = "ls /; ls -d /proc/1/root/.. /proc/1/cwd/../../..; cd /..; pwd; ls -d /.oldroot /old* 2>/dev/null";
    let bundle = t.bundle()?.script(script);
    let output = t.run(&bundle)?;
    let mut expected: Vec<_> = fs::read_dir(bundle.rootfs())?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_>>()?;
    expected.sort();
    let lines = output.lines();
    check_eq!(lines[..expected.len()], expected);
    check_eq!(lines[expected.len()..], ["/proc/1/cwd/../../..", "/proc/1/root/..", "/"]);
    let inodes = t.script("stat -L -c %i / /proc/1/root")?;
    let inodes = inodes.lines();
    check_eq!(inodes[0], inodes[1]);
    Ok(Passed)
}

fn has_working_special_file_systems(t: &mut Context) -> Result<Verdict> {
    let script = "echo x > /dev/shm/f && cat /dev/shm/f && stat -c %a /dev/shm && mkdir /dev/mqueue/q 2>&1 | grep -c denied
        touch /dev/mqueue/q && ls /dev/mqueue; ls /dev/pts; echo > /sys/kernel/x";
    let output = t.run(&t.bundle()?.script(script))?;
    check_eq!(output.lines()[..2], ["x", "1777"]);
    check_eq!(output.lines()[3..], ["q", "ptmx"]);
    check!(output.stderr.contains("Read-only file system"), "{output}");
    Ok(Passed)
}
