//! `hugetlb` of v2.

use crate::Result;
use crate::dir::Dir;
use crate::resources::HugePages;
use crate::set::{Skips, set_huge_pages};

pub(crate) fn set(dir: &Dir, limits: &[HugePages], _: &mut Skips) -> Result<()> {
    set_huge_pages(dir, limits, "max")
}
