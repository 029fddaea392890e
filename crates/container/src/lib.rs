//! Linux containers as a library: the OCI life cycle, safe to call from any program.
