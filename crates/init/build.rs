//! Tells those who embed the program where its source is.

fn main() -> Result<(), std::env::VarError> {
    // By the environment: checkouts that share a target directory share this program, too.
    println!("cargo::metadata=manifest_dir={}", std::env::var("CARGO_MANIFEST_DIR")?);
    println!("cargo::rerun-if-env-changed=CARGO_MANIFEST_DIR");
    println!("cargo::rerun-if-changed=build.rs");
    Ok(())
}
