//! Starts containers from inside a multi-threaded tokio program: `tokio BUNDLE [HOW-MANY]`. Needs root.
//!
//! Creating a container blocks for a few milliseconds, so it happens on tokio's threads for that; waiting
//! for its end is asynchronous: a pidfd becomes readable. The init program is sealed once for all.

use std::error::Error;
use std::os::fd::AsFd;
use std::path::PathBuf;

use async_io::Async;
use coracle::{Bundle, ContainerBuilder, ExitStatus, InitExe, Running, Store};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result<()> {
    let mut args = std::env::args_os().skip(1);
    let bundle = PathBuf::from(args.next().ok_or("usage: tokio BUNDLE [HOW-MANY]")?);
    let count: u32 = args.next().and_then(|text| text.to_str()?.parse().ok()).unwrap_or(10);

    let init = InitExe::Sealed(InitExe::Embedded.seal()?);
    let tasks: Vec<_> = (0..count)
        .map(|number| tokio::spawn(container(number, bundle.clone(), init.clone())))
        .collect();
    for task in tasks {
        let (id, status) = task.await??;
        println!("{id} ended with {status}");
    }
    Ok(())
}

async fn container(number: u32, bundle: PathBuf, init: InitExe) -> Result<(String, ExitStatus)> {
    let id = format!("tokio-{}-{number}", std::process::id());
    let running = tokio::task::spawn_blocking({
        let id = id.clone();
        move || -> Result<Running> {
            let builder = ContainerBuilder::new(&id, Bundle::open(bundle)?)?.init_exe(init);
            Ok(builder.run(&Store::new("/run/coracle-tokio"))?)
        }
    })
    .await??;

    let pidfd = running.pidfd().as_fd().try_clone_to_owned()?;
    Async::new_nonblocking(pidfd)?.readable().await?;

    let status = running.wait()?;
    tokio::task::spawn_blocking(|| running.into_container().delete()).await??;
    Ok((id, status))
}
