//! `hugetlb` of v1; see hugetlb.rst.

use crate::Result;
use crate::dir::Dir;
use crate::resources::HugePages;
use crate::set::{Skips, set_huge_pages};

pub(crate) fn set(dir: &Dir, limits: &[HugePages], _: &mut Skips) -> Result<()> {
    set_huge_pages(dir, limits, "limit_in_bytes")
}
