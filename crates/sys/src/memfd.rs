//! Memory files that nobody can change any more: memfd_create(2) and the seals of fcntl(2).

use std::fs::File;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, memfd_create};

use crate::{Errno, Result, SyscallError};

const SEALS: SealFlags =
    SealFlags::WRITE.union(SealFlags::GROW).union(SealFlags::SHRINK).union(SealFlags::SEAL);

/// How often [`seal`] asks; the kernel waits up to 0.15 s each time.
const TRIES: usize = 40;

/// An empty memory file that can be sealed, close-on-exec, with a name for `/proc/PID/maps`.
pub fn sealable(name: &str, flags: MemfdFlags) -> Result<File> {
    let flags = flags | MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    memfd_create(name, flags)
        .map(File::from)
        .map_err(|errno| SyscallError::new("memfd_create", format!("{name}, {flags:?}"), errno))
}

/// Forbids every change of the memory file, and of what is forbidden.
///
/// The kernel refuses it (`EBUSY`) while anything else holds one of the pages. On a busy machine its own
/// lists of pages do so for a while, so that this asks again, for a few seconds.
pub fn seal(memory: &File) -> Result<()> {
    let add = || fcntl_add_seals(memory, SEALS);
    let busy = |result: &rustix::io::Result<()>| *result == Err(Errno::BUSY);
    let result = (1..TRIES).map(|_| add()).find(|result| !busy(result)).unwrap_or_else(add);
    result.map_err(|errno| SyscallError::new("fcntl", format!("F_ADD_SEALS, {SEALS:?}"), errno))
}

/// Was it [sealed](seal)?
pub fn is_sealed(memory: &File) -> Result<bool> {
    fcntl_get_seals(memory)
        .map(|seals| seals.contains(SEALS))
        .map_err(|errno| SyscallError::new("fcntl", "F_GET_SEALS", errno))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::fs::FileExt;
    use std::thread;
    use std::time::Duration;

    use rustix::pipe::{SpliceFlags, pipe, splice};

    use super::*;

    #[test]
    fn what_is_sealed_cannot_be_changed() {
        let mut memory = sealable("test", MemfdFlags::empty()).unwrap();
        memory.write_all(b"text").unwrap();
        assert!(!is_sealed(&memory).unwrap());
        seal(&memory).unwrap();
        assert!(is_sealed(&memory).unwrap());
        assert!(memory.write_all_at(b"T", 0).is_err() && memory.set_len(0).is_err());
    }

    #[test]
    fn sealing_waits_for_who_holds_a_page() {
        let mut memory = sealable("test", MemfdFlags::empty()).unwrap();
        memory.write_all(b"text").unwrap();
        let (reader, writer) = pipe().unwrap();
        splice(&memory, Some(&mut 0), &writer, None, 4, SpliceFlags::empty()).unwrap();
        assert_eq!(fcntl_add_seals(&memory, SEALS), Err(Errno::BUSY));
        let holder = thread::spawn(move || {
            thread::sleep(Duration::from_millis(400));
            File::from(reader).read_exact(&mut [0; 4]).unwrap();
        });
        seal(&memory).unwrap();
        holder.join().unwrap();
    }
}
