//! What the tests share: bundles, leak audits, a harness on the main thread.
