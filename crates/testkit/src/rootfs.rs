//! A root file system of busybox: made once, then linked for each test.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use crate::{Cmd, Result};

const DIRECTORIES: [&str; 12] =
    ["bin", "dev", "etc", "home", "home/user", "mnt", "proc", "root", "sys", "tmp", "usr", "var"];

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n";
const GROUP: &str = "root:x:0:\ntty:x:5:\nuser:x:1000:\n";

/// What every root file system of a run is made of.
#[derive(Debug)]
pub(crate) struct Template {
    busybox: PathBuf,
    applets: Vec<String>,
}

impl Template {
    /// Copies busybox, which must be static, into `directory`.
    pub(crate) fn make(directory: &Path) -> Result<Self> {
        let original = Path::new("/bin/busybox");
        ensure!(original.exists(), "the tests need {}: install busybox-static", original.display());
        let busybox = directory.join("busybox");
        fs::copy(original, &busybox)?;
        fs::set_permissions(&busybox, fs::Permissions::from_mode(0o755))?;
        let list = Cmd::new(&busybox).arg("--list").succeed()?;
        let applets = list.lines().iter().map(|name| (*name).to_owned()).collect();
        Ok(Self { busybox, applets })
    }

    /// Makes a root file system at `root`.
    pub(crate) fn link_to(&self, root: &Path) -> Result<()> {
        for name in DIRECTORIES {
            fs::create_dir_all(root.join(name))?;
        }
        fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777))?;
        let busybox = root.join("bin/busybox");
        fs::hard_link(&self.busybox, &busybox)
            .or_else(|_| fs::copy(&self.busybox, &busybox).map(drop))
            .context("busybox for a root file system")?;
        for applet in self.applets.iter().filter(|name| *name != "busybox") {
            symlink("busybox", root.join("bin").join(applet))?;
        }
        fs::write(root.join("etc/passwd"), PASSWD)?;
        fs::write(root.join("etc/group"), GROUP)?;
        Ok(())
    }
}
