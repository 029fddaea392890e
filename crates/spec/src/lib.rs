//! OCI runtime bundles: loaded, checked, explained.
