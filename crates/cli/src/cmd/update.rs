//! `coracle update`.

use std::path::Path;
use std::process::ExitCode;

use coracle::LoadedResources;
use serde_json::{Value, json};

use crate::error::{Failure, Result};
use crate::log::Log;
use crate::parse::Invocation;

/// The flags, where in the document of limits their values belong, and how these are written.
const FLAGS: [(&str, &str, Parse); 17] = [
    ("blkio-weight", "/blockIO/weight", number),
    ("cpu-period", "/cpu/period", number),
    ("cpu-quota", "/cpu/quota", number),
    ("cpu-burst", "/cpu/burst", number),
    ("cpu-share", "/cpu/shares", number),
    ("cpu-idle", "/cpu/idle", number),
    ("cpu-rt-period", "/cpu/realtimePeriod", number),
    ("cpu-rt-runtime", "/cpu/realtimeRuntime", number),
    ("cpuset-cpus", "/cpu/cpus", text),
    ("cpuset-mems", "/cpu/mems", text),
    ("kernel-memory", "/memory/kernel", size),
    ("kernel-memory-tcp", "/memory/kernelTCP", size),
    ("memory", "/memory/limit", size),
    ("memory-reservation", "/memory/reservation", size),
    ("memory-swap", "/memory/swap", size),
    ("pids-limit", "/pids/limit", number),
    ("unified", "/unified", unified),
];

/// Reads the value of a flag.
type Parse = fn(&str) -> Option<Value>;

/// Changes the limits of a container.
pub fn update(invocation: &Invocation, log: &Log) -> Result<ExitCode> {
    let flags = &invocation.flags;
    let (mut document, path) = match flags.last("resources") {
        None => (json!({}), Path::new("the flags")),
        Some(path) => (read(Path::new(path))?, Path::new(path)),
    };
    for (name, pointer, parse) in FLAGS {
        for given in flags.texts(name)? {
            let wrong = || Failure::new(format!("--{name} {given:?}: see coracle update --help"));
            put(&mut document, pointer, parse(given).ok_or_else(wrong)?);
        }
    }
    let resources = LoadedResources::parse(&serde_json::to_vec(&document)?, path)?;
    let container = invocation.store()?.container(&invocation.id()?)?;
    let mut schemata = Vec::new();
    for name in ["l3-cache-schema", "mem-bw-schema"] {
        schemata.extend(flags.text(name)?.map(str::to_owned));
    }
    container.update(&resources, &schemata)?.iter().for_each(|warning| log.warning(warning));
    Ok(ExitCode::SUCCESS)
}

/// The limits at `path`.
fn read(path: &Path) -> Result<Value> {
    let bytes = super::read(path)?;
    // The document is checked as it was given; this only makes room for flags.
    LoadedResources::parse(&bytes, path)?;
    Ok(serde_json::from_slice(&bytes)?)
}

/// Puts a value at a JSON pointer; objects are merged.
fn put(document: &mut Value, pointer: &str, value: Value) {
    let mut place = document;
    for key in pointer.split('/').skip(1) {
        if !place.is_object() {
            *place = json!({});
        }
        place = &mut place[key];
    }
    match (place, value) {
        (Value::Object(members), Value::Object(more)) => members.extend(more),
        (place, value) => *place = value,
    }
}

fn number(text: &str) -> Option<Value> {
    text.parse::<i64>().map(Value::from).ok()
}

fn text(text: &str) -> Option<Value> {
    Some(text.into())
}

/// `FILE=VALUE` of a v2 cgroup.
fn unified(text: &str) -> Option<Value> {
    let (file, value) = text.split_once('=')?;
    Some(json!({ file: value }))
}

/// Bytes, or a number with k, m, g, t or p after it, and that with b or ib; -1 is no limit.
fn size(text: &str) -> Option<Value> {
    let lower = text.trim().to_ascii_lowercase();
    let end = lower.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(lower.len());
    let (digits, unit) = lower.split_at(end);
    let shift = match unit.trim().trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        "p" => 50,
        _ => return None,
    };
    digits.parse::<i64>().ok()?.checked_mul(1 << shift).filter(|size| *size >= -1).map(Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("0", 0),
            ("-1", -1),
            ("4096", 4096),
            ("10M", 10 << 20),
            ("10m", 10 << 20),
            ("1 GiB", 1 << 30),
            ("2kb", 2048),
            ("3b", 3),
        ] {
            assert_eq!(size(text), Some(Value::from(expected)), "{text}");
        }
        for text in ["", "M", "1x", "-2", "1.5G", "9999999999P", "--1"] {
            assert_eq!(size(text), None, "{text}");
        }
    }

    #[test]
    fn values_are_put_where_they_belong() {
        let mut document = json!({"memory": {"limit": 1}});
        put(&mut document, "/memory/swap", json!(2));
        put(&mut document, "/unified", json!({"a": "1"}));
        put(&mut document, "/unified", json!({"b": "2"}));
        let expected = json!({"memory": {"limit": 1, "swap": 2}, "unified": {"a": "1", "b": "2"}});
        assert_eq!(document, expected);
    }
}
