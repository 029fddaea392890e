//! Tells when memory runs out in a cgroup, and when its processes wait for a processor, memory or devices
//! for more than a tenth of the time; ends when the last one has ended.
//!
//! `watch PATH`, as in `cargo run -p coracle-cgroup --example watch -- /builds/42`. Needs root, or a
//! delegated cgroup.

use std::error::Error;
use std::os::fd::AsFd;
use std::time::Duration;

use coracle_cgroup::Error::Gone;
use coracle_cgroup::{
    Cgroup, CgroupPath, CgroupRoot, OomWatch, PressureKind, PressureTrigger, PressureWatch,
};
use rustix::event::{PollFd, PollFlags, poll};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: watch PATH")?;
    let paths = CgroupRoot::discover()?.paths(&CgroupPath::new(path)?)?;
    let cgroup = Cgroup::open(&paths)?;
    let mut oom = cgroup.watch_oom()?.ok_or("the memory controller is missing")?;
    let empty = cgroup.watch_empty()?.ok_or("there is no cgroup v2 here")?;
    let pressure = pressure(&cgroup)?;
    while !empty.is_empty()? {
        let mut fds = vec![PollFd::new(&oom, PollFlags::IN), PollFd::new(&empty, PollFlags::IN)];
        fds.extend(
            pressure
                .iter()
                .map(|(_, watch)| PollFd::from_borrowed_fd(watch.as_fd(), PollFlags::PRI)),
        );
        poll(&mut fds, None)?;
        for ((kind, _), fd) in pressure.iter().zip(&fds[2..]) {
            if fd.revents().contains(PollFlags::PRI) {
                println!("{kind:?} is short: {:?}", cgroup.stats()?);
            }
        }
        tell(&mut oom)?;
    }
    println!("the last process has ended");
    Ok(())
}

/// A trigger for each of them, of 200 ms in 2 s.
fn pressure(cgroup: &Cgroup) -> coracle_cgroup::Result<Vec<(PressureKind, PressureWatch)>> {
    let watch = |resource| {
        let (stall, window) = (Duration::from_millis(200), Duration::from_secs(2));
        let trigger = PressureTrigger { resource, full: false, stall, window };
        Ok((resource, cgroup.watch_pressure(&trigger)?))
    };
    [PressureKind::Cpu, PressureKind::Memory, PressureKind::Io].into_iter().map(watch).collect()
}

fn tell(oom: &mut OomWatch) -> coracle_cgroup::Result<()> {
    match oom.take() {
        // Then it is empty as well.
        Ok(0) | Err(Gone { .. }) => {}
        count => println!("memory ran out, {} time(s)", count?),
    }
    Ok(())
}
