//! Linux control groups: v2, v1 and hybrid hosts.
