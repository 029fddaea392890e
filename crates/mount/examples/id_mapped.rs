//! A directory with other owners, without a container: `sudo cargo run --example id_mapped -- DIRECTORY`.
//!
//! The copy of the directory is attached nowhere and nobody else sees it. What belongs to root there belongs to
//! user 100000 in it.

use std::error::Error;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use coracle_mount::{Attributes, DetachedMount, MountFlags};
use coracle_sys::userns::Occupant;
use rustix::fs::{Mode, OFlags, openat};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("/etc"), PathBuf::from);
    // Any user namespace will do; `coracle_ns::idmap::user_namespace` makes one in a single step.
    let occupant = Occupant::new()?;
    let process = format!("/proc/{}", occupant.pid().as_raw_nonzero());
    for map in ["uid_map", "gid_map"] {
        std::fs::write(format!("{process}/{map}"), "0 100000 1")?;
    }
    let users = std::fs::File::open(format!("{process}/ns/user"))?;

    let mount = DetachedMount::copy_of_path(&path, false)?;
    mount.map_ids(&users, false)?;
    let set = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    Attributes { set, ..Attributes::default() }.apply_flags(&mount)?;

    let root = openat(&mount, ".", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let seen = std::fs::File::from(root).metadata()?.uid();
    println!("{} belongs to user {}", path.display(), std::fs::metadata(&path)?.uid());
    println!("its copy belongs to user {seen} and has the flags {:?}", mount.flags()?);
    Ok(())
}
