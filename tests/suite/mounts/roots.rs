//! `/root`: what may be a root file system, and what is made of it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Bundle, Context, Result, Test, Verdict, check, check_eq, host_mounts, parse_mountinfo, tests,
};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change,
    mount_remount, unmount,
};

use super::{at, check_flags, mapped, mounts_in};

pub const TESTS: &[Test] = tests![
    enters_every_kind_of_root,
    enters_them_from_a_user_namespace,
    refuses_what_is_no_root,
    says_why_an_unbindable_root_is_none,
    keeps_what_is_read_only,
    makes_mounts_in_a_root_that_is_read_only,
    keeps_the_flags_of_the_root,
    leaves_a_shared_root_to_the_host,
    takes_mounts_below_the_root_along,
    lets_two_containers_share_a_root,
];

/// Makes a root of another kind of a bundle's.
type Prepare = fn(&Context, Bundle) -> Result<Bundle>;

const KINDS: &[(&str, Prepare)] = &[
    ("a directory", |_, bundle| Ok(bundle)),
    ("an absolute path", |_, bundle| {
        let path = text(&bundle.rootfs());
        Ok(bundle.set("/root/path", path))
    }),
    (
        "a path with needless parts",
        |_, bundle| Ok(bundle.set("/root/path", "./rootfs/../rootfs//")),
    ),
    ("the bundle itself", |_, bundle| {
        let bundle = bundle.set("/root/path", ".");
        fs::write(bundle.rootfs().join("config.json"), bundle.spec().to_string())?;
        Bundle::open(&bundle.rootfs())
    }),
    ("a relative link", |_, bundle| {
        symlink("rootfs", bundle.directory().join("link"))?;
        Ok(bundle.set("/root/path", "link"))
    }),
    ("an absolute link", |_, bundle| {
        symlink(bundle.rootfs(), bundle.directory().join("link"))?;
        Ok(bundle.set("/root/path", "link"))
    }),
    ("a directory behind a link", |_, bundle| {
        symlink(bundle.directory(), bundle.directory().join("link"))?;
        Ok(bundle.set("/root/path", "link/rootfs"))
    }),
    ("a name with spaces and more", |_, bundle| {
        let name = "a root\n\\040 \"é\"";
        fs::rename(bundle.rootfs(), bundle.directory().join(name))?;
        Ok(bundle.set("/root/path", name))
    }),
    ("a mount point", |_, bundle| bind(bundle, &[])),
    ("a private mount point", |_, bundle| bind(bundle, &[MountPropagationFlags::PRIVATE])),
    ("a shared mount point", |_, bundle| {
        bind(bundle, &[MountPropagationFlags::PRIVATE, MountPropagationFlags::SHARED])
    }),
    ("a slave", |_, bundle| {
        bind(bundle, &[MountPropagationFlags::SHARED, MountPropagationFlags::DOWNSTREAM])
    }),
    ("mount upon mount", |_, bundle| bind(bind(bundle, &[])?, &[])),
    ("a tmpfs", |t, bundle| {
        let root = bundle.rootfs();
        let from = t.path(&format!("from-{}", t.id()));
        fs::rename(&root, &from)?;
        fs::create_dir(&root)?;
        mount("root", &root, "tmpfs", MountFlags::empty(), None)?;
        let mut copy = process::Command::new("cp");
        check!(copy.arg("-a").arg(from.join(".")).arg(&root).status()?.success());
        Ok(bundle)
    }),
    ("an overlay", |t, bundle| {
        let [lower, upper, work] =
            ["lower", "upper", "work"].map(|name| t.path(&format!("{name}-{}", t.id())));
        fs::rename(bundle.rootfs(), &lower)?;
        for directory in [&upper, &work, &bundle.rootfs()] {
            fs::create_dir(directory)?;
        }
        let [lower, upper, work] = [lower, upper, work].map(|path| text(&path));
        let data =
            std::ffi::CString::new(format!("lowerdir={lower},upperdir={upper},workdir={work}"))?;
        mount("overlay", bundle.rootfs(), "overlay", MountFlags::empty(), Some(&*data))?;
        Ok(bundle)
    }),
];

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Makes a mount point of the root.
fn bind(bundle: Bundle, propagation: &[MountPropagationFlags]) -> Result<Bundle> {
    mount_bind(bundle.rootfs(), bundle.rootfs())?;
    for flags in propagation {
        mount_change(bundle.rootfs(), *flags)?;
    }
    Ok(bundle)
}

/// What is mounted at or below a place is unmounted in the end.
struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        for mount in host_mounts().unwrap_or_default().iter().rev() {
            if Path::new(&mount.target).starts_with(&self.0) {
                unmount(&mount.target, UnmountFlags::DETACH).unwrap_or_default();
            }
        }
    }
}

fn enters_every_kind_of_root(t: &mut Context) -> Result<Verdict> {
    enter_all(t, |bundle| bundle)
}

fn enters_them_from_a_user_namespace(t: &mut Context) -> Result<Verdict> {
    enter_all(t, mapped)
}

fn enter_all(t: &Context, more: fn(Bundle) -> Bundle) -> Result<Verdict> {
    for (name, prepare) in KINDS {
        for flags in [&[][..], &["--no-pivot"]] {
            let bundle = t.bundle()?.writable();
            let _place = Place(bundle.directory().to_owned());
            fs::write(bundle.rootfs().join("marker"), name)?;
            let script = "cat marker; echo; echo inside > written; cat /proc/self/mountinfo";
            let bundle = more(prepare(t, bundle)?).script(script);
            let before = host_mounts()?;
            let output = t.run_with(&bundle, flags)?.succeed()?;
            check_eq!(host_mounts()?, before);
            let (marker, mounts) = output.stdout.split_once('\n').unwrap_or_default();
            check_eq!(marker, *name);
            let mounts = parse_mountinfo(mounts)?;
            let roots = mounts.iter().filter(|mount| mount.target == "/").count();
            check!(roots == 1, "{name} {flags:?}: {roots} roots: {mounts:#?}");
            let path = bundle.spec()["root"]["path"].as_str().unwrap_or_default();
            let written = bundle.directory().join(path).join("written");
            check_eq!(fs::read_to_string(written)?, "inside\n");
        }
    }
    Ok(Passed)
}

fn refuses_what_is_no_root(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?;
    let directory = bundle.directory();
    fs::write(directory.join("file"), "")?;
    symlink("nowhere", directory.join("dangling"))?;
    symlink("loop", directory.join("loop"))?;
    for (path, words) in [
        ("missing", &["/root/path", "missing", "ENOENT"][..]),
        ("dangling", &["/root/path", "dangling", "ENOENT"]),
        ("loop", &["/root/path", "loop", "ELOOP"]),
        ("file", &["/root/path", "file", "ENOTDIR"]),
        ("file/below", &["/root/path", "file/below", "ENOTDIR"]),
    ] {
        t.run(&bundle.clone().set("/root/path", path))?.refused(words)?;
    }
    t.run(&bundle.remove("/root"))?.refused(&["root"])?;
    Ok(Passed)
}

/// Newer kernels let it be bound.
fn says_why_an_unbindable_root_is_none(t: &mut Context) -> Result<Verdict> {
    let bundle = bind(t.bundle()?, &[MountPropagationFlags::UNBINDABLE])?;
    let _place = Place(bundle.directory().to_owned());
    let output = t.run(&bundle)?;
    if output.code() != 0 {
        output.refused(&["/root/path", "unbindable", "EINVAL"])?;
    }
    Ok(Passed)
}

/// A root that the host has mounted read-only, on top of a writable file system.
fn readonly_root(bundle: Bundle) -> Result<Bundle> {
    let bundle = bind(bundle, &[])?;
    mount_remount(bundle.rootfs(), MountFlags::BIND | MountFlags::RDONLY, "")?;
    Ok(bundle)
}

fn keeps_what_is_read_only(t: &mut Context) -> Result<Verdict> {
    for more in [|bundle| bundle, mapped] {
        let bundle = t.bundle()?.writable();
        let _place = Place(bundle.directory().to_owned());
        let bundle = more(readonly_root(bundle)?).capabilities(&["CAP_SYS_ADMIN"]);
        check_flags(at(&mounts_in(t, bundle.clone())?, "/")?, &["ro"])?;
        let output = t.run(&bundle.script("echo written > /written"))?;
        check!(output.stderr.contains("Read-only file system"), "{output}");
    }
    Ok(Passed)
}

/// What is missing for a mount cannot be made.
fn makes_mounts_in_a_root_that_is_read_only(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.writable();
    let _place = Place(bundle.directory().to_owned());
    let bundle = readonly_root(bundle)?.mount("/mnt", "tmpfs", "x", &[]);
    let script = "echo > /mnt/file && cat /proc/self/mountinfo";
    let output = t.run(&bundle.clone().script(script))?.expect(0)?;
    check_eq!(at(&parse_mountinfo(&output.stdout)?, "/mnt")?.fstype, "tmpfs");
    let missing = bundle.mount("/missing", "tmpfs", "x", &[]);
    t.run(&missing)?.refused(&["/missing", "EROFS"])?;
    Ok(Passed)
}

/// A bind mount has no others than those of what it shows; they are the host's to give.
fn keeps_the_flags_of_the_root(t: &mut Context) -> Result<Verdict> {
    for more in [|bundle| bundle, mapped] {
        let bundle = bind(t.bundle()?.writable(), &[])?;
        let _place = Place(bundle.directory().to_owned());
        let flags = MountFlags::BIND | MountFlags::NOSUID | MountFlags::NODEV;
        mount_remount(bundle.rootfs(), flags, "")?;
        check_flags(at(&mounts_in(t, more(bundle.clone()))?, "/")?, &["nosuid", "nodev"])?;
        let readonly = more(bundle).set("/root/readonly", true);
        check_flags(at(&mounts_in(t, readonly)?, "/")?, &["ro", "nosuid", "nodev"])?;
    }
    Ok(Passed)
}

/// With each propagation: mounts of the set-up are not the host's.
fn leaves_a_shared_root_to_the_host(t: &mut Context) -> Result<Verdict> {
    for word in ["private", "rprivate", "slave", "rslave", "shared", "rshared", "unbindable", ""] {
        for flags in [&[][..], &["--no-pivot"]] {
            let mut bundle = t.bundle()?.writable();
            let _place = Place(bundle.directory().to_owned());
            mount_bind(bundle.rootfs(), bundle.rootfs())?;
            mount_change(bundle.rootfs(), MountPropagationFlags::SHARED)?;
            if !word.is_empty() {
                bundle = bundle.set("/linux/rootfsPropagation", word);
            }
            let before = host_mounts()?;
            let container = t.create_with(&bundle.mount("/mnt", "tmpfs", "x", &[]), flags)?;
            check_eq!(host_mounts()?, before);
            container.delete_forcibly()?;
        }
    }
    Ok(Passed)
}

/// A root is bound with what is mounted below it, as runc does.
fn takes_mounts_below_the_root_along(t: &mut Context) -> Result<Verdict> {
    for more in [|bundle| bundle, mapped] {
        let bundle = t.bundle()?.writable();
        let _place = Place(bundle.directory().to_owned());
        let below = bundle.rootfs().join("mnt");
        mount("below", &below, "tmpfs", MountFlags::NOEXEC, None)?;
        fs::set_permissions(&below, fs::Permissions::from_mode(0o755))?;
        let mounts = mounts_in(t, more(bundle))?;
        let mount = at(&mounts, "/mnt")?;
        check_eq!(mount.source, "below");
        check_flags(mount, &["noexec"])?;
    }
    Ok(Passed)
}

fn lets_two_containers_share_a_root(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.writable().idle();
    let (one, other) = (t.start(&bundle)?, t.start(&bundle)?);
    one.script("echo one > /shared")?.expect(0)?;
    check_eq!(other.script("cat /shared")?.expect(0)?.text(), "one");
    one.delete_forcibly()?;
    other.script("test -e /proc/self/root/shared")?.expect(0)?;
    other.delete_forcibly()?;
    Ok(Passed)
}
