//! `/linux/intelRdt`.

use coracle_spec::types::IntelRdt;

use crate::rdt::Rdt;

/// What it asks for; of two lines for one resource the kernel takes the last.
pub(crate) fn lower(oci: &IntelRdt) -> Rdt {
    let bandwidth = oci.mem_bw_schema.as_deref().filter(|line| !line.is_empty());
    let caches = oci.l3_cache_schema.as_deref().unwrap_or_default().lines();
    // What is said of bandwidth among the caches does not count if it is said where it belongs.
    let caches = caches.filter(|line| !(line.starts_with("MB:") && bandwidth.is_some()));
    let lines = caches.chain(bandwidth).chain(oci.schemata.iter().map(String::as_str));
    Rdt {
        class: oci.clos_id.clone().filter(|class| !class.is_empty()),
        schemata: lines.filter(|line| !line.is_empty()).map(str::to_owned).collect(),
        monitoring: oci.enable_monitoring || oci.enable_cmt || oci.enable_mbm,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_together() {
        let oci: IntelRdt = serde_json::from_value(serde_json::json!({
            "l3CacheSchema": "L3:0=f\nMB:0=50",
            "memBwSchema": "MB:0=20",
            "schemata": ["L2:0=1"],
            "enableCMT": true,
        }))
        .unwrap();
        let rdt = lower(&oci);
        assert_eq!(rdt.schemata, ["L3:0=f", "MB:0=20", "L2:0=1"]);
        assert!(rdt.monitoring && rdt.class.is_none());
    }
}
