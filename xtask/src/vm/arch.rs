//! What differs between processor architectures.

use clap::ValueEnum;

/// An architecture that guests can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Arch {
    /// x86-64
    Amd64,
    /// AArch64
    Arm64,
}

impl Arch {
    /// Its name in Debian.
    pub fn debian(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// The Rust target for programs of guests.
    pub fn target(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-gnu",
            Self::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// The C compiler to link with, if it is not the host's own.
    pub fn linker(self) -> Option<&'static str> {
        match self {
            Self::Amd64 => None,
            Self::Arm64 => Some("aarch64-linux-gnu-gcc"),
        }
    }

    /// The programs that guests of this architecture need on the host, and their Debian packages.
    pub fn tools(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Amd64 => &[("qemu-system-x86_64", "qemu-system-x86")],
            Self::Arm64 => &[
                ("qemu-system-aarch64", "qemu-system-arm"),
                (
                    "aarch64-linux-gnu-gcc",
                    "gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
                ),
            ],
        }
    }

    /// The emulator.
    pub fn qemu(self) -> &'static str {
        match self {
            Self::Amd64 => "qemu-system-x86_64",
            Self::Arm64 => "qemu-system-aarch64",
        }
    }

    /// The machine to emulate, with stable options only: under QEMU 7.2 some boots panic with more than one CPU,
    /// and some with `cx16`.
    pub fn machine(self) -> &'static [&'static str] {
        match self {
            Self::Amd64 => &[
                "-machine",
                "pc",
                "-cpu",
                "Nehalem,-cx16",
                "-serial",
                "chardev:report",
            ],
            // A second serial port: the machine has only one of its own.
            Self::Arm64 => &[
                "-machine",
                "virt",
                "-cpu",
                "cortex-a72",
                "-device",
                "pci-serial,chardev=report",
            ],
        }
    }

    /// The kernel parameters that only this architecture needs.
    pub fn parameters(self) -> &'static str {
        match self {
            Self::Amd64 => "console=ttyS0 mitigations=off random.trust_cpu=on",
            Self::Arm64 => "console=ttyAMA0 mitigations=off",
        }
    }

    /// The guest's name of the serial port that the report goes to.
    pub fn report_port(self) -> &'static str {
        match self {
            Self::Amd64 => "/dev/ttyS1",
            Self::Arm64 => "/dev/ttyS0",
        }
    }
}
