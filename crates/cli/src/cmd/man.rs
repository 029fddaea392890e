//! `coracle man`.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use super::print;
use crate::error::{Failure, Result};
use crate::log::Log;
use crate::man;
use crate::parse::{Invocation, find_command};

/// Prints a manual page, or writes it, or all of them, into a directory.
pub fn man(invocation: &Invocation, _: &Log) -> Result<ExitCode> {
    let page = match invocation.positional.first() {
        Some(name) => Some(man::page(find_command(name)?)),
        None => None,
    };
    match (invocation.flags.last("output"), page) {
        (None, page) => print(&page.unwrap_or_else(man::overview).1)?,
        (Some(directory), Some(page)) => write(directory.as_ref(), [page])?,
        (Some(directory), None) => write(directory.as_ref(), man::all())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn write(directory: &Path, pages: impl IntoIterator<Item = (String, String)>) -> Result<()> {
    let failed =
        |path: &Path, error| Failure::new(format!("cannot write {}: {error}", path.display()));
    fs::create_dir_all(directory).map_err(|error| failed(directory, error))?;
    for (name, text) in pages {
        let path = directory.join(name);
        fs::write(&path, text).map_err(|error| failed(&path, error))?;
    }
    Ok(())
}
