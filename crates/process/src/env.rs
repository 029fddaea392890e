//! The environment of a process.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;

/// `/etc/passwd` is read up to this size, so that a hostile file cannot cost memory or time.
const PASSWD_LIMIT: u64 = 1 << 20;

/// Of several definitions of a variable only the last stays, in its place.
pub fn deduplicate(env: &mut Vec<String>) {
    let mut seen = std::collections::HashSet::new();
    let mut kept: Vec<_> =
        env.drain(..).rev().filter(|entry| seen.insert(name(entry).to_owned())).collect();
    kept.reverse();
    *env = kept;
}

/// The value of the variable `wanted`, if it is defined.
pub fn value<'env>(env: &'env [String], wanted: &str) -> Option<&'env str> {
    env.iter()
        .find_map(|entry| entry.split_once('=').filter(|(key, _)| *key == wanted))
        .map(|(_, value)| value)
}

/// The home directory of `uid` in the open `passwd` file; nothing if it is not there.
pub fn home_of(uid: u32, passwd: OwnedFd) -> Option<String> {
    let uid = uid.to_string();
    let lines = BufReader::new(File::from(passwd).take(PASSWD_LIMIT)).split(b'\n');
    for line in lines.map_while(Result::ok) {
        let Ok(line) = String::from_utf8(line) else { continue };
        let fields: Vec<_> = line.split(':').collect();
        if fields.len() >= 6 && fields[2] == uid {
            return Some(fields[5].to_owned());
        }
    }
    None
}

fn name(entry: &str) -> &str {
    entry.split_once('=').map_or(entry, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_definition_wins() {
        let mut env = ["A=1", "B=2", "A=3", "C"].map(String::from).to_vec();
        deduplicate(&mut env);
        assert_eq!(env, ["B=2", "A=3", "C"]);
        assert_eq!(value(&env, "A"), Some("3"));
        assert_eq!(value(&env, "C"), None);
    }
}
