//! `/process/execCPUAffinity`.

use coracle_init::plan::CpuAffinity;
use coracle_spec::types::ExecCpuAffinity;
use coracle_sys::bit_list;

use super::invalid;
use crate::Result;

pub(super) fn lower(oci: &ExecCpuAffinity) -> Result<CpuAffinity> {
    let mask = |list: &Option<String>, name| {
        let pointer = || format!("/process/execCPUAffinity/{name}");
        let refused = |text: &String| invalid(pointer(), format!("{text:?} is no list of CPUs"));
        list.as_ref().map(|text| bit_list::parse(text).ok_or_else(|| refused(text))).transpose()
    };
    Ok(CpuAffinity { before: mask(&oci.initial, "initial")?, after: mask(&oci.r#final, "final")? })
}
