//! `/process/execCPUAffinity`.

use coracle_init::plan::CpuAffinity;
use coracle_spec::types::ExecCpuAffinity;

use super::invalid;
use crate::Result;

/// More processors than any kernel has (`NR_CPUS`).
const LIMIT: usize = 8192;

pub(super) fn lower(oci: &ExecCpuAffinity) -> Result<CpuAffinity> {
    let mask = |list: &Option<String>, name| {
        let pointer = || format!("/process/execCPUAffinity/{name}");
        let refused = |text: &String| invalid(pointer(), format!("{text:?} is no list of CPUs"));
        list.as_ref().map(|text| mask(text).ok_or_else(|| refused(text))).transpose()
    };
    Ok(CpuAffinity { before: mask(&oci.initial, "initial")?, after: mask(&oci.r#final, "final")? })
}

/// The bits of a list as `0-3,7`.
fn mask(list: &str) -> Option<Vec<u64>> {
    let mut mask = Vec::new();
    for part in list.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.parse::<usize>().ok()?, last.parse::<usize>().ok()?);
        if first > last || last >= LIMIT {
            return None;
        }
        mask.resize(mask.len().max(last / 64 + 1), 0);
        for cpu in first..=last {
            mask[cpu / 64] |= 1 << (cpu % 64);
        }
    }
    (!mask.is_empty()).then_some(mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_become_bits() {
        assert_eq!(mask("0-3,7"), Some(vec![0b1000_1111]));
        assert_eq!(mask("64"), Some(vec![0, 1]));
        for wrong in ["", "3-1", "x", "1-", "99999"] {
            assert_eq!(mask(wrong), None, "{wrong}");
        }
    }
}
