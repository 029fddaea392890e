//! The files of a single run, which the guest finds in its /run/guest.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use anyhow::Context;

use super::cpio::Archive;
use super::options::Options;

/// The scripts, without those that build the image.
const SCRIPTS: [(&str, &[u8]); 5] = [
    ("init", include_bytes!("../../guest/init")),
    ("guest/init-none", include_bytes!("../../guest/init-none")),
    ("guest/run", include_bytes!("../../guest/run")),
    ("guest/as-user", include_bytes!("../../guest/as-user")),
    ("guest/guest.service", include_bytes!("../../guest/guest.service")),
];

/// The second part of the initramfs.
pub fn archive(options: &Options, command: &[OsString], marker: &str) -> anyhow::Result<Vec<u8>> {
    let mut archive = Archive::default();
    archive.directory("guest");
    for (name, content) in SCRIPTS {
        archive.file(name, 0o755, content);
    }
    archive.file("guest/shares", 0o644, &share_list(options));
    archive.file("guest/command", 0o755, &command_script(options, command)?);
    archive.file("guest/marker", 0o644, marker.as_bytes());
    Ok(archive.finish())
}

/// A line for each share: tag, mount option, directory.
fn share_list(options: &Options) -> Vec<u8> {
    let mut lines = Vec::new();
    for (number, share) in options.shares.iter().enumerate() {
        let access = if share.read_only { "ro" } else { "rw" };
        lines.extend(format!("share{number} {access} ").into_bytes());
        lines.extend(share.path.as_os_str().as_bytes());
        lines.push(b'\n');
    }
    lines
}

fn command_script(options: &Options, command: &[OsString]) -> anyhow::Result<Vec<u8>> {
    let user = options.user.then(|| OsString::from("/run/guest/as-user"));
    let env = [OsString::from("env")];
    let words = user.iter().chain(&env).chain(&options.env).chain(command);
    let mut script = b"#!/bin/sh\ncd ".to_vec();
    script.extend(quote(working_directory(options)?.as_os_str()));
    script.extend(b" && exec");
    for word in words {
        script.push(b' ');
        script.extend(quote(word));
    }
    script.push(b'\n');
    Ok(script)
}

/// The directory that we are in, where it is shared.
fn working_directory(options: &Options) -> anyhow::Result<PathBuf> {
    let here = env::current_dir().context("cannot tell the working directory")?;
    let shared = options.shares.iter().any(|share| here.starts_with(&share.path));
    Ok(if shared { here } else { crate::workspace::root().to_owned() })
}

/// A word for the shell.
fn quote(word: &OsStr) -> Vec<u8> {
    let mut quoted = vec![b'\''];
    for byte in word.as_bytes() {
        match byte {
            b'\'' => quoted.extend(br"'\''"),
            _ => quoted.push(*byte),
        }
    }
    quoted.push(b'\'');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace;

    #[test]
    fn quotes_the_command() {
        let options = Options { user: true, env: vec!["A=b c".into()], ..Options::default() };
        let script = command_script(&options, &["echo".into(), "it's".into()]).unwrap();
        let line = r"exec '/run/guest/as-user' 'env' 'A=b c' 'echo' 'it'\''s'";
        assert!(String::from_utf8(script).unwrap().ends_with(&format!(" && {line}\n")));
    }

    #[test]
    fn lists_the_shares() {
        let expected = format!("share0 rw {}\n", workspace::root().display());
        assert_eq!(share_list(&Options::default()), expected.as_bytes());
    }
}
