//! Id-mapped mounts: `idmap`, `ridmap`, `/mounts/*/uidMappings` and `/mounts/*/gidMappings`.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Bundle, Context, Result, Test, Verdict, check, check_eq, need, tests};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use serde_json::{Value, json};

use super::at;

pub const TESTS: &[Test] = tests![
    maps_the_owners_of_files,
    maps_through_the_container_s_user_namespace,
    maps_through_a_user_namespace_that_is_joined,
    takes_maps_besides_a_user_namespace,
    takes_crun_s_ranges,
    maps_one_mount_or_all_below,
    goes_with_other_options,
    says_what_is_wrong_with_the_configuration,
    says_what_the_kernel_cannot_map,
    says_which_kernel_it_needs,
];

fn map(inside: u32, outside: u32, count: u32) -> Value {
    json!({"containerID": inside, "hostID": outside, "size": count})
}

/// A bind mount of `source` on `/mnt/NAME` with mappings of its own.
fn mapped(
    bundle: Bundle,
    name: &str,
    source: &str,
    options: &[&str],
    maps: &Value,
) -> Result<Bundle> {
    let bundle = bind(bundle, name, source, options)?;
    let last = bundle.spec()["mounts"].as_array().map_or(0, |mounts| mounts.len() - 1);
    let bundle = bundle.set(&format!("/mounts/{last}/uidMappings"), maps.clone());
    Ok(bundle.set(&format!("/mounts/{last}/gidMappings"), maps.clone()))
}

/// A bind mount of `source` on `/mnt/NAME`, which a container in a user namespace could not make.
fn bind(bundle: Bundle, name: &str, source: &str, options: &[&str]) -> Result<Bundle> {
    fs::create_dir_all(bundle.rootfs().join("mnt").join(name))?;
    Ok(bundle.mount(&format!("/mnt/{name}"), "bind", source, options))
}

/// A directory with files of the users 0, 5 and 1000.
fn source(t: &Context) -> Result<PathBuf> {
    let path = t.path("source");
    fs::create_dir(&path)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777))?;
    for id in [0, 5, 1000] {
        fs::write(path.join(id.to_string()), "")?;
        chown(path.join(id.to_string()), Some(id), Some(id))?;
    }
    Ok(path)
}

/// A container in a user namespace of its own, in which 0 is 100000.
fn in_user_namespace(bundle: Bundle) -> Bundle {
    let bundle = bundle.namespace("user", None);
    let maps = json!([map(0, 100_000, 65_536)]);
    bundle.set("/linux/uidMappings", maps.clone()).set("/linux/gidMappings", maps)
}

/// Why nothing can be mapped here, if so.
fn lacks(t: &Context) -> Result<Option<String>> {
    let path = t.path("probe");
    fs::create_dir(&path)?;
    let maps = json!([map(0, 1, 1)]);
    let bundle = mapped(t.bundle()?, "probe", &path.to_string_lossy(), &["bind"], &maps)?;
    let output = t.run(&bundle)?;
    Ok((output.code() != 0).then(|| output.stderr.trim().to_owned()))
}

macro_rules! need_idmap {
    ($t:expr) => {
        let lacks = lacks($t)?;
        need!(lacks.is_none(), "{}", lacks.unwrap_or_default());
    };
}

fn maps_the_owners_of_files(t: &mut Context) -> Result<Verdict> {
    need_idmap!(t);
    let source = source(t)?;
    let maps = json!([map(0, 7000, 10), map(1000, 0, 1)]);
    let path = source.to_string_lossy();
    let bundle = mapped(t.bundle()?, "x", &path, &["bind"], &maps)?;
    let script = "cd /mnt/x; stat -c %u:%g 0 5 1000; touch new && stat -c %u:%g new";
    let output = t.run(&bundle.script(script))?.expect(0)?;
    check_eq!(output.lines(), ["7000:7000", "7005:7005", "0:0", "0:0"]);
    let made = fs::metadata(source.join("new"))?;
    check_eq!((made.uid(), made.gid()), (1000, 1000));
    Ok(Passed)
}

fn maps_through_the_container_s_user_namespace(t: &mut Context) -> Result<Verdict> {
    need_idmap!(t);
    let source = source(t)?;
    let path = source.to_string_lossy();
    for options in [&["bind", "idmap"][..], &["rbind", "ridmap", "rprivate"]] {
        let bundle = bind(in_user_namespace(t.bundle()?), "x", &path, options)?;
        let bundle = bind(bundle, "plain", &path, &["bind"])?;
        let script = "stat -c %u:%g /mnt/x/0 /mnt/x/1000 /mnt/plain/0; echo mine > /mnt/x/0";
        let output = t.run(&bundle.script(script))?.expect(0)?;
        check_eq!(output.lines(), ["0:0", "1000:1000", "65534:65534"]);
    }
    check_eq!(fs::read_to_string(source.join("0"))?, "mine\n");
    Ok(Passed)
}

/// As the containers of a pod do.
fn maps_through_a_user_namespace_that_is_joined(t: &mut Context) -> Result<Verdict> {
    need_idmap!(t);
    let source = source(t)?;
    let path = source.to_string_lossy();
    let pod = t.start(&in_user_namespace(t.bundle()?).idle())?;
    let namespace = format!("/proc/{}/ns/user", pod.pid()?);
    let maps = json!([map(0, 100_000, 65_536)]);
    let bundle = t.bundle()?.namespace("user", Some(&namespace));
    let bundle = bundle.set("/linux/uidMappings", maps.clone());
    let bundle = bundle.set("/linux/gidMappings", maps.clone());
    let bundle = bind(bundle, "word", &path, &["bind", "idmap"])?;
    let bundle = mapped(bundle, "maps", &path, &["rbind"], &maps)?;
    let script = "stat -c %u:%g /mnt/word/5 /mnt/maps/1000; touch /mnt/maps/new";
    let output = t.run(&bundle.script(script))?.expect(0)?;
    check_eq!(output.lines(), ["5:5", "1000:1000"]);
    check_eq!(fs::metadata(source.join("new"))?.uid(), 0);
    pod.delete_forcibly()?;
    Ok(Passed)
}

fn takes_maps_besides_a_user_namespace(t: &mut Context) -> Result<Verdict> {
    need_idmap!(t);
    let path = source(t)?.to_string_lossy().into_owned();
    let maps = json!([map(1000, 100_001, 1)]);
    let bundle = mapped(in_user_namespace(t.bundle()?), "x", &path, &["bind", "idmap"], &maps)?;
    let output = t.run(&bundle.script("stat -c %u:%g /mnt/x/1000 /mnt/x/0"))?.expect(0)?;
    check_eq!(output.lines(), ["1:1", "65534:65534"]);
    Ok(Passed)
}

fn takes_crun_s_ranges(t: &mut Context) -> Result<Verdict> {
    need_idmap!(t);
    let path = source(t)?.to_string_lossy().into_owned();
    let absolute = "idmap=uids=0-100001-6#1000-100009-1;gids=0-100002-1";
    let relative = "idmap=uids=@0-3-6#@1000-9-1;gids=@0-2-1";
    let bundle = in_user_namespace(t.bundle()?);
    let bundle = bind(bundle, "a", &path, &["bind", absolute])?;
    let bundle = bind(bundle, "r", &path, &["bind", relative])?;
    let script = "stat -c %u:%g /mnt/a/0 /mnt/a/5 /mnt/a/1000 /mnt/r/0 /mnt/r/1000";
    let output = t.run(&bundle.script(script))?.expect(0)?;
    check_eq!(output.lines(), ["1:2", "6:65534", "9:65534", "3:2", "9:65534"]);
    Ok(Passed)
}

fn maps_one_mount_or_all_below(t: &mut Context) -> Result<Verdict> {
    need_idmap!(t);
    need!(t.host().kernel_is(6, 3), "a tmpfs is mapped since Linux 6.3");
    let source = source(t)?;
    fs::create_dir(source.join("below"))?;
    mount("below", source.join("below"), "tmpfs", MountFlags::empty(), None)?;
    fs::write(source.join("below/file"), "")?;
    let path = source.to_string_lossy();
    let maps = json!([map(0, 7000, 1)]);
    let bundle = mapped(t.bundle()?, "one", &path, &["rbind", "idmap"], &maps)?;
    let bundle = mapped(bundle, "all", &path, &["rbind", "ridmap"], &maps)?;
    let script = "stat -c %u /mnt/one/0 /mnt/one/below/file /mnt/all/0 /mnt/all/below/file";
    let output = t.run(&bundle.script(script))?.expect(0)?;
    check_eq!(output.lines(), ["7000", "0", "7000", "7000"]);
    unmount(source.join("below"), UnmountFlags::DETACH)?;
    Ok(Passed)
}

fn goes_with_other_options(t: &mut Context) -> Result<Verdict> {
    need_idmap!(t);
    let path = source(t)?.to_string_lossy().into_owned();
    let options = ["rbind", "idmap", "ro", "nosuid", "noexec", "rprivate"];
    for bundle in [t.bundle()?, in_user_namespace(t.bundle()?)] {
        let bundle = mapped(bundle, "x", &path, &options, &json!([map(0, 100_000, 10)]))?;
        let bundle = bundle.script("touch /mnt/x/new; cat /proc/self/mountinfo");
        let output = t.run(&bundle)?.expect(0)?;
        let mounts = coracle_testkit::parse_mountinfo(&output.stdout)?;
        super::check_flags(at(&mounts, "/mnt/x")?, &["ro", "nosuid", "noexec"])?;
        check!(output.stderr.contains("Read-only"), "{output}");
    }
    Ok(Passed)
}

fn says_what_is_wrong_with_the_configuration(t: &mut Context) -> Result<Verdict> {
    let rows: [(&str, &str, &[&str]); 8] = [
        ("bind", "idmap", &["/mounts/7/options", "user namespace"]),
        ("bind", "idmap=uids=0-1-1", &["/mounts/7/options", "lacks uids or gids"]),
        ("bind", "idmap=uids=0-1;gids=0-1-1", &["/mounts/7/options", "\"0-1\" is no range"]),
        ("bind", "idmap=users=0-1-1", &["/mounts/7/options", "neither uids=RANGES"]),
        ("bind", "idmap=uids=@0-1-1;gids=0-1-1", &["/mounts/7/options", "does not lie in"]),
        ("tmpfs", "idmap", &["/mounts/7", "only a bind mount"]),
        ("tmpfs", "ridmap=uids=0-1-1;gids=0-1-1", &["/mounts/7", "only a bind mount"]),
        ("bind", "idmap,remount", &["/mounts/7/options", "for a new bind mount"]),
    ];
    need!(t.is_coracle(), "others have other words for it");
    for (fstype, words, expected) in rows {
        let options: Vec<_> = words.split(',').collect();
        let bundle = t.bundle()?.mount("/mnt", fstype, "/etc", &options);
        t.run(&bundle)?.refused(expected)?;
    }
    let both = ["bind", "idmap=uids=0-1-1;gids=0-1-1"];
    let bundle = mapped(t.bundle()?, "x", "/etc", &both, &json!([map(0, 1, 1)]))?;
    t.run(&bundle)?.refused(&["/mounts/7/options", "so have uidMappings"])?;
    Ok(Passed)
}

fn says_what_the_kernel_cannot_map(t: &mut Context) -> Result<Verdict> {
    need_idmap!(t);
    need!(t.is_coracle(), "others have other words for it");
    let maps = json!([map(0, 1, 1)]);
    let bundle = mapped(t.bundle()?, "x", "/proc/self/fd", &["bind"], &maps)?;
    t.run(&bundle)?.refused(&["/mounts/7", "a mount of proc", "this kernel does not", "EINVAL"])?;
    // A map onto the caller's own user namespace makes no difference, but is one: all ids are mapped.
    let bundle = mapped(t.bundle()?, "x", "/etc", &["bind"], &json!([map(0, 0, 4_294_967_295)]))?;
    t.run(&bundle.script("stat -c %u /mnt/x/passwd"))?.expect(0)?;
    Ok(Passed)
}

fn says_which_kernel_it_needs(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "others have other words for it");
    let bundle = mapped(t.bundle()?, "x", "/etc", &["bind"], &json!([map(0, 1, 1)]))?;
    let run = t.run_with(&bundle, &[])?.without_call("mount_setattr");
    run.run()?.refused(&["/mounts/7", "mount_setattr", "Linux 5.12", "ENOSYS"])?;
    Ok(Passed)
}
