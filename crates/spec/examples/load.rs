//! Loads a configuration and prints how long that took: `load FILE`.

use std::error::Error;
use std::time::Instant;

use coracle_spec::Bundle;

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args_os().nth(1).ok_or("name a configuration")?;
    let file = std::path::absolute(file)?;

    let start = Instant::now();
    let loaded = Bundle::open(".")?.with_config(file).load()?;
    let elapsed = start.elapsed();

    for warning in &loaded.warnings {
        eprintln!("warning: {warning}");
    }
    println!("{} µs", elapsed.as_micros());
    Ok(())
}
