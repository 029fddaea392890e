//! AppArmor profiles and SELinux labels.
