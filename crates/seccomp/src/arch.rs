//! The architectures whose calling conventions a filter tells apart.

use std::fmt;
use std::str::FromStr;

use crate::Error;
use crate::table;

/// An architecture of the OCI runtime specification, named as in `SCMP_ARCH_X86_64`.
///
/// All of them can be named; those that [`Arch::is_supported`] can be compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are those of the architectures")]
#[non_exhaustive]
pub enum Arch {
    X86,
    X86_64,
    X32,
    Arm,
    Aarch64,
    Mips,
    Mips64,
    Mips64N32,
    Mipsel,
    Mipsel64,
    Mipsel64N32,
    Ppc,
    Ppc64,
    Ppc64Le,
    S390,
    S390x,
    Parisc,
    Parisc64,
    Riscv64,
    Loongarch64,
    M68k,
    Sh,
    Sheb,
}

/// Set in the number of every system call of x32, which shares its token with x86_64.
pub(crate) const X32_BIT: u32 = 0x4000_0000;

impl Arch {
    /// Every architecture.
    pub const ALL: [Self; 23] = [
        Self::X86,
        Self::X86_64,
        Self::X32,
        Self::Arm,
        Self::Aarch64,
        Self::Mips,
        Self::Mips64,
        Self::Mips64N32,
        Self::Mipsel,
        Self::Mipsel64,
        Self::Mipsel64N32,
        Self::Ppc,
        Self::Ppc64,
        Self::Ppc64Le,
        Self::S390,
        Self::S390x,
        Self::Parisc,
        Self::Parisc64,
        Self::Riscv64,
        Self::Loongarch64,
        Self::M68k,
        Self::Sh,
        Self::Sheb,
    ];

    /// The architecture this program was built for, if the specification names it.
    pub fn native() -> Option<Self> {
        let little = cfg!(target_endian = "little");
        let wide = cfg!(target_pointer_width = "64");
        Some(match std::env::consts::ARCH {
            "x86_64" if wide => Self::X86_64,
            "x86_64" => Self::X32,
            "x86" => Self::X86,
            "aarch64" if little => Self::Aarch64,
            "arm" if little => Self::Arm,
            "mips" if little => Self::Mipsel,
            "mips" => Self::Mips,
            "mips64" if little => Self::Mipsel64,
            "mips64" => Self::Mips64,
            "powerpc" => Self::Ppc,
            "powerpc64" if little => Self::Ppc64Le,
            "powerpc64" => Self::Ppc64,
            "s390x" => Self::S390x,
            "riscv64" => Self::Riscv64,
            "loongarch64" => Self::Loongarch64,
            "m68k" => Self::M68k,
            _ => return None,
        })
    }

    /// Whether [`compile`](crate::compile) can make a filter for it.
    pub fn is_supported(self) -> bool {
        self.abi().is_some()
    }

    /// The number of a system call, if the architecture has it and is supported.
    pub fn syscall(self, name: &str) -> Option<u32> {
        table::lookup(name)?.number(self.abi()?)
    }

    /// The name of the system call with this number, if the architecture has it and is supported.
    pub fn syscall_name(self, number: u32) -> Option<&'static str> {
        table::name(self.abi()?, number)
    }

    /// The architecture by whose convention a call is made that seccomp data show with this token
    /// (`AUDIT_ARCH_*` of linux/audit.h) and number, if it is a supported one.
    pub fn of_call(token: u32, number: u32) -> Option<Self> {
        // A tracer that skips a call of x86_64 makes its number -1.
        let number = if number == u32::MAX { 0 } else { number };
        let fits = |abi: Abi| {
            let (first, last) = abi.numbers();
            abi.token == token && (first..=last).contains(&number)
        };
        Self::ALL.into_iter().find(|arch| arch.abi().is_some_and(fits))
    }

    pub(crate) const fn abi(self) -> Option<Abi> {
        let (token, column, wide) = match self {
            Self::X86_64 => (Abi::X86_64, 0, true),
            Self::X86 => (Abi::X86, 1, false),
            // Its registers have 64 bits, but filters compare ints, and libseccomp compares as here.
            Self::X32 => (Abi::X86_64, 2, false),
            Self::Aarch64 => (0xc000_00b7, 3, true),
            Self::Arm => (Abi::ARM, 4, false),
            _ => return None,
        };
        Some(Abi { token, column, wide })
    }

    /// The name in OCI configurations.
    pub const fn oci_name(self) -> &'static str {
        match self {
            Self::X86 => "SCMP_ARCH_X86",
            Self::X86_64 => "SCMP_ARCH_X86_64",
            Self::X32 => "SCMP_ARCH_X32",
            Self::Arm => "SCMP_ARCH_ARM",
            Self::Aarch64 => "SCMP_ARCH_AARCH64",
            Self::Mips => "SCMP_ARCH_MIPS",
            Self::Mips64 => "SCMP_ARCH_MIPS64",
            Self::Mips64N32 => "SCMP_ARCH_MIPS64N32",
            Self::Mipsel => "SCMP_ARCH_MIPSEL",
            Self::Mipsel64 => "SCMP_ARCH_MIPSEL64",
            Self::Mipsel64N32 => "SCMP_ARCH_MIPSEL64N32",
            Self::Ppc => "SCMP_ARCH_PPC",
            Self::Ppc64 => "SCMP_ARCH_PPC64",
            Self::Ppc64Le => "SCMP_ARCH_PPC64LE",
            Self::S390 => "SCMP_ARCH_S390",
            Self::S390x => "SCMP_ARCH_S390X",
            Self::Parisc => "SCMP_ARCH_PARISC",
            Self::Parisc64 => "SCMP_ARCH_PARISC64",
            Self::Riscv64 => "SCMP_ARCH_RISCV64",
            Self::Loongarch64 => "SCMP_ARCH_LOONGARCH64",
            Self::M68k => "SCMP_ARCH_M68K",
            Self::Sh => "SCMP_ARCH_SH",
            Self::Sheb => "SCMP_ARCH_SHEB",
        }
    }
}

/// What the compiler must know of an architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Abi {
    /// The `AUDIT_ARCH_*` of linux/audit.h that seccomp data carry.
    pub token: u32,
    /// The column of the table of system calls.
    pub column: usize,
    /// Whether arguments are compared whole, or only their lower half.
    pub wide: bool,
}

impl Abi {
    /// `AUDIT_ARCH_X86_64`, of which x32 is a part.
    pub const X86_64: u32 = 0xc000_003e;
    /// `AUDIT_ARCH_I386`.
    pub const X86: u32 = 0x4000_0003;
    /// `AUDIT_ARCH_ARM`.
    pub const ARM: u32 = 0x4000_0028;

    /// The smallest and the largest number of a system call.
    pub const fn numbers(self) -> (u32, u32) {
        match (self.token, self.wide) {
            (Self::X86_64, true) => (0, X32_BIT - 1),
            (Self::X86_64, false) => (X32_BIT, u32::MAX),
            _ => (0, u32::MAX),
        }
    }

    /// Whether some calls are also reached through socketcall(2) and ipc(2), by the numbers of 32-bit x86.
    pub const fn has_multiplexers(self) -> bool {
        self.token == Self::X86
    }

    /// The largest number that Linux may yet give to a new system call; beyond are arm's own calls.
    pub const fn last_common(self) -> u32 {
        match self.token {
            Self::ARM => 0xe_ffff,
            _ => self.numbers().1,
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.oci_name())
    }
}

impl FromStr for Arch {
    type Err = Error;

    /// Takes the name in OCI configurations.
    fn from_str(name: &str) -> Result<Self, Error> {
        let known = Self::ALL.into_iter().find(|arch| arch.oci_name() == name);
        known.ok_or_else(|| Error::UnknownName { kind: "architecture", name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_there_and_back() {
        for arch in Arch::ALL {
            assert_eq!(arch.to_string().parse(), Ok(arch));
        }
        let error = "SCMP_ARCH_VAX".parse::<Arch>().unwrap_err();
        assert_eq!(error.to_string(), r#"unknown seccomp architecture "SCMP_ARCH_VAX""#);
    }

    #[test]
    fn numbers_are_those_of_the_architecture() {
        assert_eq!(Arch::X86_64.syscall("read"), Some(0));
        assert_eq!(Arch::X86.syscall("read"), Some(3));
        assert_eq!(Arch::X32.syscall("read"), Some(X32_BIT));
        assert_eq!(Arch::Aarch64.syscall("read"), Some(63));
        assert_eq!(Arch::Arm.syscall("set_tls"), Some(0xf_0005));
        assert_eq!(Arch::Aarch64.syscall("open"), None);
        assert_eq!(Arch::Mips.syscall("read"), None);
    }

    #[test]
    fn this_build_can_compile_for_its_host() {
        let expected = cfg!(any(target_arch = "x86_64", target_arch = "x86"))
            || cfg!(any(target_arch = "aarch64", target_arch = "arm"));
        assert_eq!(Arch::native().is_some_and(Arch::is_supported), expected);
    }
}
