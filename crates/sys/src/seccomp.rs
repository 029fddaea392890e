//! Loading of seccomp filters; see seccomp(2).
