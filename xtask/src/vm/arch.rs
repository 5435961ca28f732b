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
    /// Debian's name of it.
    pub fn debian(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// Rust's target for programs of guests.
    pub fn target(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-gnu",
            Self::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// The emulator.
    pub fn qemu(self) -> &'static str {
        match self {
            Self::Amd64 => "qemu-system-x86_64",
            Self::Arm64 => "qemu-system-aarch64",
        }
    }

    /// The Debian package with the emulator.
    fn qemu_package(self) -> &'static str {
        match self {
            Self::Amd64 => "qemu-system-x86",
            Self::Arm64 => "qemu-system-arm",
        }
    }

    /// What to do when the emulator does not start.
    pub fn qemu_missing(self) -> String {
        let (qemu, package) = (self.qemu(), self.qemu_package());
        format!(
            "cannot start {qemu}: install it, on Debian by `apt-get install --no-install-recommends {package}`"
        )
    }

    /// The machine to emulate. Only what was found stable: with more than one CPU, some boots of QEMU 7.2 panic;
    /// so do some with `cx16`.
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

    /// The kernel's parameters that only this architecture needs.
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
