//! Runs the container of a bundle and prints how it ended: `embed BUNDLE`. Needs root.

use std::error::Error;
use std::process::ExitCode;

use coracle::{Bundle, ContainerBuilder, Store};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let bundle = std::env::args_os().nth(1).ok_or("usage: embed BUNDLE")?;
    let store = Store::new("/run/coracle-embed");
    let id = format!("embed-{}", std::process::id());

    let running = ContainerBuilder::new(&id, Bundle::open(bundle)?)?.run(&store)?;
    println!("process {} runs", running.pid());
    for warning in running.warnings() {
        println!("note: {warning}");
    }

    let status = running.wait()?;
    println!("it ended with {status}");
    running.into_container().delete()?;
    Ok(ExitCode::from(status.code()))
}
