//! Linux capability sets; see capabilities(7).
//!
//! [`CapSet`] is a set of capabilities by number, so that it also holds those that a newer kernel knows.
//! [`CapabilityPlan`] is what a process shall have in its five sets; it is applied in two steps, around the
//! change of the user: [`CapabilityPlan::limit_bounding`] before, [`CapabilityPlan::apply`] after.
//!
//! ```
//! use coracle_caps::CapSet;
//!
//! let set: CapSet = ["CAP_KILL", "CAP_SETUID"].into_iter().map(CapSet::named).map(Option::unwrap).collect();
//! assert_eq!(set.to_string(), "CAP_KILL CAP_SETUID");
//! ```

#![forbid(unsafe_code)]

mod plan;
mod set;

pub use plan::{CapabilityPlan, Error, available};
pub use set::CapSet;
