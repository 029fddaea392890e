//! Mounts, root file systems and pivot_root, on descriptors instead of paths.
