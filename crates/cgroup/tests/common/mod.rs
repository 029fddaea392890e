//! What the tests on the real kernel share.

#![allow(dead_code, reason = "not every test uses all of it")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy knows tests, but not what they share"
)]

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use coracle_cgroup::{Cgroup, CgroupPath, CgroupRoot, Permissions};

pub const LONG: Duration = Duration::from_secs(10);

/// The hierarchies of this host, if this process may make cgroups in all of them.
pub fn host() -> Option<CgroupRoot> {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: needs root");
        return None;
    }
    match CgroupRoot::discover() {
        Ok(root) => Some(root),
        Err(error) => {
            eprintln!("SKIPPED: {error}");
            None
        }
    }
}

/// A path nobody else uses, at the root of each hierarchy.
pub fn unique(name: &str) -> CgroupPath {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("/coracle-test-{}-{number}-{name}", std::process::id());
    CgroupPath::new(name).unwrap()
}

/// A cgroup that leaves nothing behind, whatever happens to the test.
pub struct Scratch {
    pub cgroup: Cgroup,
    children: Vec<Child>,
}

impl Scratch {
    pub fn new(root: &CgroupRoot, name: &str) -> Self {
        Self::of(Cgroup::create(root, &unique(name), Permissions::Required).unwrap())
    }

    pub fn of(cgroup: Cgroup) -> Self {
        Self { cgroup, children: Vec::new() }
    }

    /// Starts a shell script in the cgroup; it runs only once it is in. It should end in `exec`
    /// where the number of processes matters.
    pub fn spawn(&mut self, script: &str) -> u32 {
        let mut child = Command::new("sh")
            .args(["-c", &format!("read _; {script}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pid = child.id();
        let mut stdin = child.stdin.take().unwrap();
        self.children.push(child);
        self.cgroup.add(pid).unwrap();
        writeln!(stdin).unwrap();
        pid
    }

    /// Runs a shell script in the cgroup to its end; whether it succeeded.
    pub fn run(&mut self, script: &str) -> bool {
        self.spawn(script);
        self.children.pop().unwrap().wait().unwrap().success()
    }

    pub fn reap(&mut self) {
        for mut child in self.children.drain(..) {
            child.wait().unwrap();
        }
    }

    /// Its directories, one for each hierarchy.
    pub fn directories(&self) -> Vec<PathBuf> {
        let mut directories: Vec<_> = self.cgroup.paths().into_values().collect();
        directories.sort();
        directories.dedup();
        directories
    }

    /// Reads a file of whichever version this host has.
    pub fn read(&self, controller: &str, v1: &str, v2: &str) -> String {
        let paths = self.cgroup.paths();
        let v1_directory = paths.get(controller).filter(|_| !controller.is_empty());
        let file = v1_directory.map(|directory| directory.join(v1));
        let file = file.unwrap_or_else(|| paths[""].join(v2));
        std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{file:?}: {e}")).trim().to_owned()
    }

    /// Kills, removes and looks that nothing is left.
    pub fn finish(mut self) {
        self.cgroup.kill(LONG).unwrap();
        self.reap();
        self.cgroup.remove(LONG).unwrap();
        assert!(!self.cgroup.exists());
        assert!(self.directories().iter().all(|directory| !directory.exists()));
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(self.cgroup.kill(LONG));
        for child in &mut self.children {
            drop(child.kill());
            drop(child.wait());
        }
        drop(self.cgroup.remove(LONG));
    }
}
