//! Programs for the kernel's eBPF machine; see bpf(2).
