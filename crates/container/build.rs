//! Builds the init program that this crate carries, static and small, whatever the crate itself is built for.

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The sources of the init program and of what it is made of, beside this crate in its repository.
const PARTS: [&str; 8] = ["caps", "init", "lsm", "mount", "ns", "process", "seccomp", "sys"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var("OUT_DIR")?).join("coracle-init");
    if env::var_os("CARGO_FEATURE_EMBEDDED_INIT").is_none() || env::var_os("DOCS_RS").is_some() {
        return Ok(std::fs::write(out, b"")?);
    }
    let manifest = PathBuf::from(env::var("DEP_CORACLE_INIT_MANIFEST_DIR")?);
    watch(&manifest);
    let target = Target::choose()?;
    let built = build(&manifest, &target)?;
    std::fs::copy(&built, &out)
        .map_err(|error| format!("cannot copy {}: {error}", built.display()))?;
    Ok(())
}

/// In the repository the program changes with its parts; a published one never does.
fn watch(manifest: &Path) {
    for part in PARTS {
        let sources = manifest.join("..").join(part).join("src");
        if sources.is_dir() {
            println!("cargo::rerun-if-changed={}", sources.display());
        }
    }
}

/// What the program is built for.
struct Target {
    triple: String,
    flags: &'static str,
}

impl Target {
    /// musl makes the smallest static programs; where Rust has it not, the C library of the host.
    fn choose() -> Result<Self, Box<dyn Error>> {
        let arch = env::var("CARGO_CFG_TARGET_ARCH")?;
        let musl = format!("{arch}-unknown-linux-musl");
        if is_installed(&musl)? {
            return Ok(Self { triple: musl, flags: "" });
        }
        println!(
            "cargo::warning=the init program is built with the host's C library, three times as \
             big: `rustup target add {musl}` makes it small"
        );
        Ok(Self { triple: env::var("TARGET")?, flags: "-Ctarget-feature=+crt-static" })
    }
}

fn is_installed(triple: &str) -> Result<bool, Box<dyn Error>> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output =
        Command::new(rustc).args(["--print", "target-libdir", "--target", triple]).output()?;
    let libraries = PathBuf::from(String::from_utf8(output.stdout)?.trim());
    Ok(output.status.success() && libraries.is_dir())
}

fn build(manifest: &Path, target: &Target) -> Result<PathBuf, Box<dyn Error>> {
    let directory = target_directory()?;
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args([
            "build",
            "--release",
            "--quiet",
            "--bin",
            "coracle-init",
            "--target",
            &target.triple,
        ])
        .arg("--manifest-path")
        .arg(manifest.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&directory)
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "s")
        .env("CARGO_PROFILE_RELEASE_LTO", "fat")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1")
        .env("CARGO_PROFILE_RELEASE_PANIC", "abort")
        .env("CARGO_PROFILE_RELEASE_STRIP", "symbols")
        .env("RUSTFLAGS", target.flags);
    // What the outer cargo says of this crate is not meant for the program.
    for name in
        ["CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "RUSTC", "RUSTDOC"]
    {
        cargo.env_remove(name);
    }
    if !cargo.status()?.success() {
        return Err("building the init program failed".into());
    }
    Ok(directory.join(&target.triple).join("release/coracle-init"))
}

/// One for all builds of the outer cargo, so that the program is built once: beside what that one marked
/// as its own.
fn target_directory() -> Result<PathBuf, Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let marked = out.ancestors().find(|path| path.join("CACHEDIR.TAG").is_file());
    Ok(marked.unwrap_or(&out).join("coracle-init"))
}
