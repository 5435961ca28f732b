//! Numbers appended to a line. The standard library's formatting takes several times as long, which
//! matters for a log of a million lines.

/// Appends a decimal number.
pub fn append(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends `count` (up to 9) decimal digits of a number below 10 to the power of `count`.
pub fn append_padded(out: &mut Vec<u8>, count: u32, number: u32) {
    let one_more = 10_u32.pow(count) + number;
    out.extend_from_slice(&itoa::Buffer::new().format(one_more).as_bytes()[1..]);
}

#[cfg(test)]
mod tests {
    use super::append_padded;

    #[test]
    fn digits_keep_their_zeros() {
        let mut out = Vec::new();
        append_padded(&mut out, 9, 120_612);
        append_padded(&mut out, 3, 7);
        assert_eq!(out, b"000120612007");
    }
}
