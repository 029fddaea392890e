//! Configurations as engines write them, run for real.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Bundle, Cmd, Context, MountEntry, Result, Test, Verdict, check, check_eq, parse_mountinfo,
    tests,
};
use serde_json::{Value, json};

use super::at;

pub const TESTS: &[Test] =
    tests![of_podman, of_podman_of_users, of_docker, of_containerd, of_the_kubelet, of_buildah];

/// The configurations of these names, which the tests of their plans have as well.
macro_rules! run_all {
    ($t:expr, $($name:literal),+) => {{
        $(let text = include_str!(concat!(
            "../../../crates/container/src/lower/configurations/", $name, ".json"
        ));
        run($t, text).map_err(|error| error.context($name))?;)+
        Ok(Passed)
    }};
}

fn of_podman(t: &mut Context) -> Result<Verdict> {
    run_all!(
        t,
        "podman-defaults",
        "podman-volumes",
        "podman-readonly",
        "podman-privileged",
        "podman-device",
        "podman-userns",
        "podman-host"
    )
}

/// What podman asks for on behalf of a user; who calls the runtime makes no difference to it.
fn of_podman_of_users(t: &mut Context) -> Result<Verdict> {
    run_all!(t, "rootless-volumes", "rootless-keep-id")
}

fn of_docker(t: &mut Context) -> Result<Verdict> {
    run_all!(t, "docker-volumes", "docker-readonly", "docker-privileged", "docker-host")
}

fn of_containerd(t: &mut Context) -> Result<Verdict> {
    run_all!(t, "ctr-defaults", "ctr-privileged", "ctr-mounts")
}

fn of_the_kubelet(t: &mut Context) -> Result<Verdict> {
    run_all!(t, "kubernetes-sandbox", "kubernetes-pod", "kubernetes-agent")
}

fn of_buildah(t: &mut Context) -> Result<Verdict> {
    run_all!(t, "buildah-run")
}

/// Where the sources are that the test makes.
const MADE: &str = "/sources/";
const CONTENT: &str = "content of the source\n";
/// Cgroups v1 only.
const SYSTEMD: &str = "/sys/fs/cgroup/systemd";

fn run(t: &Context, text: &str) -> Result<()> {
    let mut spec: Value = serde_json::from_str(text)?;
    let mut asked = spec["mounts"].as_array().cloned().unwrap_or_default();
    // A host with v2 alone has no such hierarchy to be bound.
    asked.retain(|mount| text_of(mount, "source") != SYSTEMD || Path::new(SYSTEMD).exists());
    let mut mounts = asked.clone();
    let files = make_sources(t, &mut mounts)?;
    spec["mounts"] = mounts.into();
    let readonly = spec["root"]["readonly"] == true;
    let fields = ["process", "root", "mounts", "linux"];
    let bundle = fields.iter().fold(t.bundle()?.remove("/hostname"), |bundle, field| {
        bundle.set(&format!("/{field}"), spec[field].take())
    });
    give_to_users(&bundle)?;
    let command = ["/bin/cat", "/proc/self/mountinfo"].into_iter();
    let command: Vec<_> = command.chain(files.iter().map(String::as_str)).collect();
    let output = t.run(&bundle.args(&command))?.expect(0)?;
    check_eq!(output.stdout.matches(CONTENT).count(), files.len());
    let mounts = parse_mountinfo(&output.stdout.replace(CONTENT, ""))?;
    // Others leave the tmpfs that collects v1's hierarchies writable.
    let comparable = |mount: &&Value| t.is_coracle() || text_of(mount, "type") != "cgroup";
    for mount in asked.iter().filter(comparable) {
        check_mount(mount, at(&mounts, text_of(mount, "destination"))?)?;
    }
    check_eq!(at(&mounts, "/")?.has("ro"), readonly);
    Ok(())
}

/// Makes the sources; the files of directories, as the container finds them.
fn make_sources(t: &Context, mounts: &mut [Value]) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for mount in mounts {
        let Some(name) = text_of(mount, "source").strip_prefix(MADE) else { continue };
        let path = t.path(&t.id());
        if name.starts_with("directories/") {
            files.push(format!("{}/file", text_of(mount, "destination")));
            fill(&path)?;
        } else {
            fs::write(&path, CONTENT)?;
        }
        mount["source"] = json!(path);
    }
    Ok(files)
}

/// A directory as the kubelet fills it: to have new files all at once, it exchanges one link.
fn fill(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory.join("..1"))?;
    fs::write(directory.join("..1/file"), CONTENT)?;
    symlink("..1", directory.join("..data"))?;
    Ok(symlink("..data/file", directory.join("file"))?)
}

/// As engines do with images for user namespaces; what all tests share stays as it is.
fn give_to_users(bundle: &Bundle) -> Result<()> {
    let first = |map: &str| bundle.spec()["linux"][map][0]["hostID"].as_u64();
    let (Some(uid), Some(gid)) = (first("uidMappings"), first("gidMappings")) else {
        return Ok(());
    };
    let find = Cmd::new("find").arg(bundle.rootfs()).args(["!", "-name", "busybox", "-exec"]);
    let owner = format!("{uid}:{gid}");
    find.args(["chown", "--no-dereference", &owner, "{}", "+"]).succeed().map(drop)
}

fn text_of<'mount>(mount: &'mount Value, field: &str) -> &'mount str {
    mount[field].as_str().unwrap_or_default()
}

fn check_mount(asked: &Value, found: &MountEntry) -> Result<()> {
    let options = asked["options"].as_array().into_iter().flatten();
    let options: Vec<_> = options.filter_map(Value::as_str).collect();
    let is_bind = options.contains(&"bind") || options.contains(&"rbind");
    // What is the host's keeps the flags that it has there, whatever these are.
    let keeps = is_bind && !text_of(asked, "source").starts_with(MADE);
    for flag in ["ro", "nosuid", "nodev", "noexec"] {
        let wanted = options.contains(&flag);
        check!(found.has(flag) == wanted || (keeps && !wanted), "{flag} of {asked}: {found:?}");
    }
    let fstype = text_of(asked, "type");
    check!(is_bind || fstype == "cgroup" || found.fstype == fstype, "{asked}: {found:?}");
    Ok(())
}
