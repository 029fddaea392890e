//! The weight of a container's process when memory runs out.

use coracle_init::plan::OomScoreAdj;

/// What to say where the process `pid` could not get the weight that was asked for, and may do without it.
pub(crate) fn warning(asked: Option<OomScoreAdj>, pid: i32) -> Option<String> {
    let asked = asked.filter(|asked| asked.lenient)?.value;
    let found = std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).ok()?;
    let found: i32 = found.trim().parse().ok()?;
    (found != asked).then(|| {
        format!(
            "/process/oomScoreAdj: it stays {found}: lowering it to {asked} needs CAP_SYS_RESOURCE"
        )
    })
}
