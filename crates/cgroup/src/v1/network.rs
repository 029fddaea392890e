//! `net_cls` and `net_prio` of v1; see net_cls.rst and net_prio.rst.

use crate::Result;
use crate::dir::Dir;
use crate::resources::Network;
use crate::set::Skips;

pub(crate) fn set_class(dir: &Dir, network: &Network, _: &mut Skips) -> Result<()> {
    let class = network.class_id.unwrap_or_default();
    dir.write("net_cls.classid", &class.to_string())
}

pub(crate) fn set_priorities(dir: &Dir, network: &Network, _: &mut Skips) -> Result<()> {
    for (interface, priority) in &network.priorities {
        dir.write("net_prio.ifpriomap", &format!("{interface} {priority}"))?;
    }
    Ok(())
}
