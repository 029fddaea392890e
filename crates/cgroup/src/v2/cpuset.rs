//! `cpuset` of both versions: the files are the same.

use coracle_sys::Errno;

use crate::dir::Dir;
use crate::resources::Cpu;
use crate::set::Skips;
use crate::{Error, Result};

pub(crate) fn set(dir: &Dir, cpu: &Cpu, _: &mut Skips) -> Result<()> {
    for (file, value) in [("cpuset.cpus", &cpu.cpus), ("cpuset.mems", &cpu.mems)] {
        if !value.is_empty() {
            dir.write(file, value).map_err(|error| explain(error, file, value))?;
        }
    }
    Ok(())
}

/// v1 answers `EACCES` to a set that exceeds the parent's, which is no lack of permission.
fn explain(error: Error, setting: &'static str, value: &str) -> Error {
    match &error {
        Error::Refused { source, .. }
            if source.call() == "write" && source.errno() == Errno::ACCESS =>
        {
            let reason = "names more than the parent's cpuset has";
            Error::InvalidValue { setting, value: value.into(), reason }
        }
        _ => error,
    }
}
