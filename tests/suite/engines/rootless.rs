//! podman and buildah of a user without privileges, who has subordinate ids.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};

use anyhow::Error;
use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Context, Result, Test, Verdict, check, check_eq, need, tests};

use super::client::Client;
use super::scenarios::{self, Scenario};
use super::{buildah, forget, home, image, podman, wait_for_end_of};

pub const TESTS: &[Test] = tests![
    podman_runs,
    podman_gives_terminals,
    podman_executes,
    podman_stops_and_starts,
    podman_mounts,
    podman_shares_namespaces,
    podman_confines,
    podman_maps_users,
    podman_builds,
    buildah_runs,
    buildah_builds,
];

const USER: u32 = 1000;

/// The engine as a user calls it, whom only the files of a mount namespace know.
fn as_user(t: &Context, engine: Client) -> Result<Client> {
    let files = [
        ("passwd", "root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n"),
        ("group", "root:x:0:\nuser:x:1000:\n"),
        ("subuid", "user:100000:65536\n"),
        ("subgid", "user:100000:65536\n"),
    ];
    fs::create_dir(t.path("etc"))?;
    for (name, text) in files {
        fs::write(t.path("etc").join(name), text)?;
    }
    let runtime = home(t).join("run-user");
    for directory in [&home(t), &runtime] {
        fs::create_dir(directory)?;
        fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
        chown(directory, Some(USER), Some(USER))?;
    }
    let script = "cd \"$1\"; shift
        for it in passwd group subuid subgid; do mount --bind etc/$it /etc/$it; done
        exec setpriv --reuid=1000 --regid=1000 --clear-groups \"$@\"";
    let words = ["unshare", "--mount", "sh", "-ec", script, "sh"].map(OsString::from);
    let words = [&words, &[t.path("").into()][..], &engine.words].concat();
    let mut env = engine.env;
    env.extend([("XDG_RUNTIME_DIR", runtime.into()), ("USER", "user".into())]);
    Ok(Client { words, env, directory: engine.directory, run: engine.run })
}

fn drive(t: &Context, scenarios: &[Scenario]) -> Result<Verdict> {
    need!(t.host().has_program("podman"), "no podman");
    need!(t.host().has_program("newuidmap"), "no newuidmap");
    let podman = as_user(t, podman::client(t, Vec::new())?)?;
    podman.command(&["load", "--quiet", "--input"]).arg(image(t)?).succeed()?;
    for scenario in scenarios {
        scenario(t, &podman)?;
    }
    end(t, &podman)
}

/// Ends the process that keeps the user namespace, too.
fn end(t: &Context, podman: &Client) -> Result<Verdict> {
    podman.text(&["system", "migrate"])?;
    wait_for_end_of(&["podman", "conmon", "catatonit"])?;
    forget(t, &t.id())?;
    Ok(Passed)
}

fn podman_runs(t: &mut Context) -> Result<Verdict> {
    drive(t, &[scenarios::runs, scenarios::says_what_it_cannot_run])
}

fn podman_gives_terminals(t: &mut Context) -> Result<Verdict> {
    drive(t, &[scenarios::gives_terminals])
}

fn podman_executes(t: &mut Context) -> Result<Verdict> {
    drive(t, &[scenarios::executes])
}

fn podman_stops_and_starts(t: &mut Context) -> Result<Verdict> {
    drive(t, &[scenarios::stops_and_starts])
}

fn podman_mounts(t: &mut Context) -> Result<Verdict> {
    drive(t, &[scenarios::mounts, scenarios::mounts_tmpfs, podman::copies_to_tmpfs])
}

fn podman_shares_namespaces(t: &mut Context) -> Result<Verdict> {
    drive(t, &[scenarios::shares_namespaces])
}

fn podman_confines(t: &mut Context) -> Result<Verdict> {
    drive(t, &[scenarios::confines])
}

fn podman_maps_users(t: &mut Context) -> Result<Verdict> {
    drive(t, &[maps_ids])
}

fn maps_ids(_: &Context, podman: &Client) -> Result<()> {
    let map = |flags: &[&str]| {
        let output = podman.script(flags, "id -u; cat /proc/self/uid_map")?;
        Ok::<_, Error>(output.stdout.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    check_eq!(map(&[])?, "0 0 1000 1 1 100000 65536");
    // Relative to the user namespace of podman.
    check_eq!(map(&["--uidmap", "0:1:100", "--gidmap", "0:1:100"])?, "0 0 1 100");
    check!(map(&["--userns", "keep-id"])?.starts_with("1000 "));
    Ok(())
}

fn podman_builds(t: &mut Context) -> Result<Verdict> {
    drive(t, &[podman::builds_images])
}

fn buildah_builds(t: &mut Context) -> Result<Verdict> {
    need!(t.host().has_program("buildah"), "no buildah");
    need!(t.host().has_program("newuidmap"), "no newuidmap");
    let buildah = as_user(t, buildah::client(t))?;
    buildah::builds_with(t, &buildah, &[])?;
    forget(t, &t.id())?;
    Ok(Passed)
}

fn buildah_runs(t: &mut Context) -> Result<Verdict> {
    need!(t.host().has_program("buildah"), "no buildah");
    need!(t.host().has_program("newuidmap"), "no newuidmap");
    let buildah = as_user(t, buildah::client(t))?;
    buildah::runs_with(t, &buildah, &[])?;
    forget(t, &t.id())?;
    Ok(Passed)
}
