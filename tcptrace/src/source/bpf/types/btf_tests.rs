//! Tests of [`super::btf`] on type information made by hand.

use proptest::prelude::*;

use crate::source::bpf::types::btf::{Btf, BtfError, Member};

/// Writes BTF: types are appended in order, the first has id 1.
#[derive(Default)]
struct Writer {
    types: Vec<u8>,
    strings: Vec<u8>,
}

impl Writer {
    fn name(&mut self, name: &str) -> u32 {
        if self.strings.is_empty() {
            self.strings.push(0);
        }
        if name.is_empty() {
            return 0;
        }
        let at = u32::try_from(self.strings.len()).expect("small");
        self.strings.extend_from_slice(name.as_bytes());
        self.strings.push(0);
        at
    }

    fn ty(mut self, name: &str, kind: u32, count: u32, size: u32, rest: &[u32]) -> Self {
        let name = self.name(name);
        for word in [name, kind << 24 | count, size].iter().chain(rest) {
            self.types.extend_from_slice(&word.to_ne_bytes());
        }
        self
    }

    /// `members` are name, type id and offset in bits.
    fn structure(mut self, name: &str, size: u32, members: &[(&str, u32, u32)]) -> Self {
        let mut rest = Vec::new();
        for (name, ty, bits) in members {
            rest.extend([self.name(name), *ty, *bits]);
        }
        let count = u32::try_from(members.len()).expect("small");
        self.ty(name, 4, count, size, &rest)
    }

    fn finish(self) -> Vec<u8> {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).expect("small");
        let (types, strings) = (length(&self.types), length(&self.strings));
        let mut data = vec![];
        data.extend_from_slice(&0xeb9f_u16.to_ne_bytes());
        data.extend_from_slice(&[1, 0]);
        for word in [24, 0, types, types, strings] {
            data.extend_from_slice(&word.to_ne_bytes());
        }
        data.extend_from_slice(&self.types);
        data.extend_from_slice(&self.strings);
        data
    }
}

fn sample() -> Vec<u8> {
    Writer::default()
        .ty("int", 1, 0, 4, &[0]) // 1
        .ty("u16", 8, 0, 3, &[]) // 2: typedef of 3
        .ty("short", 1, 0, 2, &[0]) // 3
        .ty("", 2, 0, 1, &[]) // 4: pointer to int
        .ty("", 3, 0, 0, &[1, 1, 4]) // 5: int[4]
        .structure("", 8, &[("port", 2, 0), ("both", 5, 32)]) // 6: anonymous
        .structure("inner", 4, &[("number", 1, 0)]) // 7
        .structure(
            "sock",
            64,
            &[
                ("first", 1, 0),
                ("", 6, 64),
                ("in", 7, 256),
                ("next", 4, 320),
            ],
        ) // 8
        .ty("btf_trace_thing", 8, 0, 4, &[]) // 9
        .ty("bpf_iter_thing", 12, 0, 1, &[]) // 10
        .ty("after", 8, 0, 1, &[]) // 11
        .finish()
}

fn at(offset: u32, bytes: u32) -> Option<Member> {
    Some(Member {
        offset,
        bytes: Some(bytes),
    })
}

#[test]
fn members_are_found_through_anonymous_structs_typedefs_and_paths() {
    let data = sample();
    let btf = Btf::parse(&data).expect("well-formed");
    assert_eq!(
        btf.structure("sock")
            .and_then(|found| found.member("first")),
        at(0, 4)
    );
    assert_eq!(
        btf.structure("sock").and_then(|found| found.member("port")),
        at(8, 2)
    );
    assert_eq!(
        btf.structure("sock").and_then(|found| found.member("both")),
        at(12, 16)
    );
    assert_eq!(
        btf.structure("sock")
            .and_then(|found| found.member("in.number")),
        at(32, 4)
    );
    assert_eq!(
        btf.structure("sock").and_then(|found| found.member("next")),
        at(40, 8)
    );
    assert_eq!(
        btf.structure("sock").and_then(|found| found.member("gone")),
        None
    );
    assert_eq!(
        btf.structure("socket")
            .and_then(|found| found.member("first")),
        None
    );
    assert!(btf.has_struct("inner") && !btf.has_struct("inne"));
}

#[test]
fn slim_type_information_keeps_the_ids() {
    let data = sample();
    let btf = Btf::parse(&data).expect("well-formed");
    let slim = btf.slim(&["btf_trace_thing", "bpf_iter_thing"]);
    let again = Btf::parse(&slim).expect("what we write is well-formed");
    assert_eq!(again.count(), 10);
    let aya = aya::Btf::parse(&slim, aya::Endianness::default()).expect("aya reads it");
    let id = |name, kind| aya.id_by_type_name_kind(name, kind).ok();
    assert_eq!(
        id("btf_trace_thing", aya_obj::btf::BtfKind::Typedef),
        Some(9)
    );
    assert_eq!(id("bpf_iter_thing", aya_obj::btf::BtfKind::Func), Some(10));
    assert_eq!(id("after", aya_obj::btf::BtfKind::Typedef), None);
}

#[test]
fn what_is_not_type_information_is_refused() {
    let parse = |data: &[u8]| Btf::parse(data).map(|_| ());
    assert_eq!(parse(&[]), Err(BtfError::Truncated));
    assert_eq!(parse(&[1; 64]), Err(BtfError::Magic));
    let data = sample();
    for length in 0..data.len() {
        assert!(parse(&data[..length]).is_err(), "{length}");
    }
    let newer = Writer::default().ty("x", 31, 0, 0, &[]).finish();
    assert_eq!(parse(&newer), Err(BtfError::Kind(31)));
}

#[test]
fn this_kernel_has_the_members_that_the_programs_read() {
    let Ok(data) = std::fs::read("/sys/kernel/btf/vmlinux") else {
        eprintln!("skipped: this kernel has no /sys/kernel/btf/vmlinux");
        return;
    };
    let btf = Btf::parse(&data).expect("the kernel's own");
    let owners = super::offsets::Owners::find(&btf);
    super::offsets::sock(&owners).expect("struct sock");
    super::offsets::task(&owners).expect("struct task_struct");
}

proptest! {
    #[test]
    fn broken_type_information_does_not_panic(
        flips in prop::collection::vec((0usize..1000, any::<u8>()), 1..12)
    ) {
        let mut data = sample();
        for (at, value) in flips {
            let at = at % data.len();
            data[at] = value;
        }
        if let Ok(btf) = Btf::parse(&data) {
            let _ = (btf.structure("sock").and_then(|found| found.member("port")), btf.structure("sock").and_then(|found| found.member("in.number")));
            let _ = btf.slim(&["btf_trace_thing"]);
        }
    }
}
