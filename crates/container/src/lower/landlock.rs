//! The annotations `org.coracle.landlock.*`: what docs/landlock.md says of them.

use std::path::PathBuf;

use coracle_lsm::landlock::{FsWishes, Rules, Wishes};
use coracle_spec::Spec;

use super::invalid;
use crate::{Error, Result};

/// What all of the annotations begin with. Whoever writes another one means something that would not happen.
const PREFIX: &str = "org.coracle.landlock.";

/// The rules for a kernel with this version of Landlock; `None` if no annotation asks for any.
pub(super) fn lower(
    spec: &Spec,
    version: impl FnOnce() -> Result<u32>,
    warnings: &mut Vec<String>,
) -> Result<Option<Rules>> {
    let mut wishes = Wishes::default();
    let mut strict = true;
    for (key, value) in &spec.annotations {
        let Some(name) = key.strip_prefix(PREFIX) else { continue };
        let refused = |message: &str| refused(key, message);
        match name {
            "fs.read" => fs(&mut wishes).read = paths(value).map_err(refused)?,
            "fs.write" => fs(&mut wishes).write = paths(value).map_err(refused)?,
            "fs.execute" => fs(&mut wishes).execute = paths(value).map_err(refused)?,
            "net.bind" => wishes.bind = Some(ports(value).map_err(refused)?),
            "net.connect" => wishes.connect = Some(ports(value).map_err(refused)?),
            "scope" => scope(&mut wishes, value).map_err(refused)?,
            "mode" => strict = mode(value).map_err(refused)?,
            _ => {
                let known = "fs.read, fs.write, fs.execute, net.bind, net.connect, scope and mode";
                return Err(refused(&format!("is not known: after {PREFIX} come {known}")));
            }
        }
    }
    if wishes == Wishes::default() {
        return Ok(None);
    }
    let admin = spec.process.capabilities.effective.iter().any(|name| name == "CAP_SYS_ADMIN");
    if !spec.process.no_new_privileges && !admin {
        let message = "the annotations of Landlock need it: set it to true";
        return Err(invalid("/process/noNewPrivileges", message));
    }
    let (rules, lacks) = wishes.for_version(version()?);
    if !lacks.is_empty() {
        let lacks = lacks.join(", ");
        if strict {
            let message = format!(
                "the Landlock of this kernel cannot restrict: {lacks}; a newer kernel can, or the \
                 annotation {PREFIX}mode = best-effort goes without"
            );
            return Err(invalid("/annotations", message));
        }
        warnings.push(format!("/annotations: Landlock does not restrict here: {lacks}"));
    }
    Ok(Some(rules).filter(|rules| !rules.is_empty()))
}

fn refused(key: &str, message: &str) -> Error {
    invalid(format!("/annotations/{key}"), message)
}

fn fs(wishes: &mut Wishes) -> &mut FsWishes {
    wishes.fs.get_or_insert_default()
}

fn paths(value: &str) -> Result<Vec<PathBuf>, &'static str> {
    let paths = value.split(':').filter(|path| !path.is_empty());
    let absolute = |path: &str| match path.starts_with('/') {
        true => Ok(PathBuf::from(path)),
        false => Err("must be absolute paths with colons between them, as \"/usr:/etc\""),
    };
    paths.map(absolute).collect()
}

fn ports(value: &str) -> Result<Vec<u16>, &'static str> {
    let ports = value.split(',').map(str::trim).filter(|port| !port.is_empty());
    let port = |port: &str| port.parse().map_err(|_| "must be TCP ports, as \"80,443\"");
    ports.map(port).collect()
}

fn scope(wishes: &mut Wishes, value: &str) -> Result<(), &'static str> {
    for word in value.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        match word {
            "abstract-unix-socket" => wishes.scope_abstract_sockets = true,
            "signal" => wishes.scope_signals = true,
            _ => return Err("must be of abstract-unix-socket and signal, with a comma between"),
        }
    }
    Ok(())
}

/// Is everything to be as it is asked for, or nothing?
fn mode(value: &str) -> Result<bool, &'static str> {
    match value {
        "strict" => Ok(true),
        "best-effort" => Ok(false),
        _ => Err("must be strict or best-effort"),
    }
}
