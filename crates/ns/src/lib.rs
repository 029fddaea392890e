//! Linux namespaces and id maps.
