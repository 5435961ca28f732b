//! Tests whole recordings: damage, compression, limits.

use std::io::{self, Cursor, Read};

use crate::{
    source::recording::reader::{Item, LineCounts, Recording},
    view::parts::caveat,
};

const LOST: &str = r#"{"schema":"tcptrace.lost/1","time":"2026-11-23T01:20:04Z","monotonic_ns":9}"#;

const HEADER: &str = r#"{"schema":"tcptrace.recording/1","version":"0.1.0","kernel":"6.1.0","boot_id":null,"filters":{},"netns":[],"time":"2026-11-23T01:20:04Z","monotonic_ns":5}"#;

fn read(input: impl Read + 'static) -> (Vec<Item>, LineCounts) {
    let mut recording = Recording::new(input).expect("its beginning can be read");
    let items = recording.by_ref().collect::<io::Result<Vec<_>>>();
    let account = recording.counts().clone();
    (items.expect("the input has no errors"), account)
}

fn lines(count: usize) -> String {
    (0..count).map(|_| format!("{LOST}\n")).collect()
}

fn compressed(text: &str) -> Vec<u8> {
    zstd::encode_all(text.as_bytes(), 1).expect("memory takes it")
}

#[test]
fn damaged_lines_are_counted_and_the_first_named() {
    let text = format!("{LOST}\r\n\n  \nnonsense\n{LOST}\n\u{0}\n{{}}\n{LOST}");
    let (items, account) = read(Cursor::new(text));
    let damaged = |item: &&Item| matches!(item, Item::Damaged(_));
    assert_eq!(items.iter().filter(damaged).count(), 3);
    assert_eq!((account.records, account.damaged, account.lines), (3, 3, 6));
    assert_eq!(
        caveat::texts(&account.caveats()),
        ["lines 4, 6 and 1 more are damaged and were left out (the first: not a JSON object)"]
    );
    let (_, account) = read(Cursor::new(format!("x\n{LOST}\n{}", &LOST[..40])));
    assert!(caveat::texts(&account.caveats())[0].starts_with("lines 1 and 3 are damaged"));
    let (_, account) = read(Cursor::new(format!("{LOST}\n{}", &LOST[..40])));
    assert!(caveat::texts(&account.caveats())[0].starts_with("line 2 is damaged"));
}

#[test]
fn nothing_is_a_quiet_session_but_nonsense_is_no_recording() {
    for text in ["", "\n \n"] {
        assert!(!read(Cursor::new(text)).1.is_useless());
    }
    for text in ["nonsense", "{}\n", "{\"schema\":\"tcptrace.stuck/1\"}\n"] {
        assert!(read(Cursor::new(text)).1.is_useless());
    }
}

#[test]
fn an_endless_line_is_left_out_without_being_kept() {
    let endless = io::repeat(b'x').take(40 << 20);
    let after = Cursor::new(format!("\n{LOST}\n"));
    let mut recording = Recording::new(endless.chain(after)).expect("it can be read");
    assert!(matches!(recording.next(), Some(Ok(Item::Damaged(1)))));
    assert!(matches!(recording.next(), Some(Ok(Item::Record(2, _)))));
    assert!(recording.next().is_none());
}

#[test]
fn compressed_streams_are_known_by_how_they_begin() {
    let mut stream = compressed(&lines(3));
    stream.extend(compressed(&lines(2)));
    let (items, account) = read(Cursor::new(stream));
    assert_eq!((items.len(), account.cut), (5, None));
}

#[test]
fn a_compressed_stream_is_read_as_far_as_it_goes() {
    // The lines differ, so that there is more than one block.
    let line = |n: u32| LOST.replace(":9}", &format!(":{}}}\n", n.wrapping_mul(2_654_435_761)));
    let whole = compressed(&(0..50_000).map(line).collect::<String>());
    let (items, account) = read(Cursor::new(whole.clone()));
    assert_eq!((items.len(), account.damaged), (50_000, 0));
    let (items, account) = read(Cursor::new(whole[..whole.len() / 2].to_vec()));
    assert!((10_000..40_000).contains(&items.len()), "{}", items.len());
    assert!(account.cut.is_some() && account.damaged <= 1, "{account:?}");
    assert!(
        caveat::texts(&account.caveats())
            .iter()
            .any(|note| note.contains("breaks off"))
    );

    let mut spoilt = whole;
    let middle = spoilt.len() / 2;
    spoilt[middle..middle + 64].fill(0xff);
    let (items, account) = read(Cursor::new(spoilt));
    assert!(account.damaged > 0 || account.cut.is_some(), "{account:?}");
    assert!(items.len() <= 50_000);
}

#[test]
fn a_damaged_frame_does_not_hide_the_next() {
    let frame = compressed(&lines(100));
    // Cut at its beginning, in its middle and near its end; and what does not belong there at all.
    for keep in [3, frame.len() / 2, frame.len() - 1] {
        let mut stream = frame.clone();
        stream.extend(&frame[..keep]);
        stream.extend(&frame);
        stream.extend([0; 1000]);
        stream.extend(&frame);
        let (items, account) = read(Cursor::new(stream));
        let records = items.iter().filter(|item| matches!(item, Item::Record(..)));
        assert!(records.count() >= 300, "{keep}");
        assert_eq!((account.frames, account.cut), (2, None), "{keep}");
        assert!(account.damaged <= 1);
    }
}

#[test]
fn an_error_of_the_file_is_an_error() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::from_raw_os_error(5))
        }
    }
    for stream in [lines(1).into_bytes(), compressed(&lines(1))[..12].to_vec()] {
        let mut recording = Recording::new(Cursor::new(stream).chain(Broken)).expect("it begins");
        assert!(recording.any(|item| item.is_err()));
        assert!(recording.next().is_none(), "it ends there");
    }
}

#[test]
fn headers_are_neither_records_nor_unknown_and_may_come_anywhere() {
    let text = format!("{HEADER}\n{LOST}\n{HEADER}\n{LOST}\n{LOST}\n");
    let (items, account) = read(Cursor::new(text));
    let headers = items.iter().map(|item| matches!(item, Item::Header(_)));
    assert_eq!(
        headers.collect::<Vec<_>>(),
        [true, false, true, false, false]
    );
    assert_eq!((account.records, account.headers, account.lines), (3, 2, 5));
    assert_eq!((account.unknown, account.caveats()), (0, Vec::new()));
    let quiet = read(Cursor::new(format!("{HEADER}\n"))).1;
    assert!(!quiet.is_useless(), "it is one of a quiet session");
    let damaged = HEADER.replace("\"filters\":{}", "\"filters\":{\"new\":1}");
    let (items, account) = read(Cursor::new(format!("{damaged}\n{LOST}\n")));
    assert_eq!((items.len(), account.damaged), (2, 1));
}
