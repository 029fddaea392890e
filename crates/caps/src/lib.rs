//! Linux capability sets.
