use std::{fs, os::unix::fs::PermissionsExt as _, sync::Arc, sync::Mutex};

use super::*;
use crate::{
    sink::open::keep_private,
    view::{
        Format,
        log::{first_line, fixtures, json::Json, text},
    },
};

fn json() -> Box<dyn View<Record>> {
    Box::new(Json::default())
}

fn quiet() -> Tell {
    Box::new(|report| panic!("{report}"))
}

fn open(path: &Path) -> File {
    File::create(path, json(), quiet()).expect("it opens")
}

fn write(sink: &mut File, records: u32) {
    for pid in 0..records {
        let record = fixtures::of(pid, "java");
        sink.record(&record).expect("there is room");
    }
}

fn refused(path: &Path) -> String {
    let error = File::create(path, json(), quiet()).err();
    format!("{:#}", error.expect("it is refused"))
}

/// Makes a flush do what it does once a second.
fn flush_all(sink: &mut File) {
    sink.flush().expect("there is room");
    sink.looked -= LOOK;
    if let Some(frames) = &mut sink.frames {
        frames.age();
    }
    sink.flush().expect("there is room");
}

#[test]
fn a_file_is_begun_anew_and_has_every_line() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("a.log");
    fs::write(&path, "old\n").expect("a file");
    let view = text::Text::new(false, None);
    let mut sink = File::create(&path, Box::new(view), quiet()).expect("it opens");
    write(&mut sink, 3);
    sink.flush().expect("there is room");
    let content = fs::read_to_string(&path).expect("a file");
    assert_eq!(content.lines().count(), 4, "{content}");
    assert!(content.starts_with("TIME"), "{content}");
    write(&mut sink, 1000);
    let finished = sink.finish().expect("there is room");
    let (lines, files) = (1003, 1);
    assert_eq!(finished, Finished { lines, files });
    let content = fs::read_to_string(&path).expect("a file");
    assert_eq!(content.lines().count(), 1004);
}

#[test]
fn a_compressed_file_reads_back() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("a.jsonl.zst");
    let mut sink = open(&path);
    write(&mut sink, 1000);
    sink.finish().expect("there is room");
    let compressed = fs::read(&path).expect("a file");
    let content = zstd::decode_all(&*compressed).expect("whole frames");
    let content = String::from_utf8(content).expect("JSON is UTF-8");
    assert_eq!(content.lines().count(), 1000);
    assert!(compressed.len() < content.len() / 10);
}

#[test]
fn what_a_killed_process_leaves_are_whole_frames() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("a.jsonl.zst");
    let mut sink = open(&path);
    write(&mut sink, 10);
    flush_all(&mut sink);
    write(&mut sink, 10);
    sink.flush().expect("too early for another frame");
    let compressed = fs::read(&path).expect("a file");
    let content = zstd::decode_all(&*compressed).expect("whole frames");
    let content = String::from_utf8(content).expect("JSON is UTF-8");
    assert_eq!(content.lines().count(), 10);
    assert!(content.ends_with('\n'));
}

#[test]
fn a_full_disk_is_an_error_that_names_the_file() {
    let mut sink = open(Path::new("/dev/full"));
    write(&mut sink, 10);
    let error = sink.finish().expect_err("there is no room");
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert!(error.to_string().contains("/dev/full"), "{error}");
}

#[test]
fn a_missing_folder_is_named() {
    let error = refused(Path::new("/no/such/folder/a"));
    assert!(error.contains("/no/such/folder/a"), "{error}");
}

#[test]
fn nothing_that_was_planted_is_written_to() {
    let dir = tempfile::tempdir().expect("a folder");
    let precious = dir.path().join("precious");
    fs::write(&precious, "precious").expect("a file");
    let path = |name: &str| dir.path().join(name);
    std::os::unix::fs::symlink(&precious, path("link")).expect("a link");
    std::os::unix::fs::symlink(path("nothing"), path("dangling")).expect("a link");
    assert!(refused(&path("link")).contains("symbolic link"));
    assert!(refused(&path("dangling")).contains("symbolic link"));
    assert!(!path("nothing").exists());
    fs::hard_link(&precious, path("hard")).expect("another name");
    assert!(refused(&path("hard")).contains("hard link"));
    fs::create_dir(path("folder")).expect("a folder");
    assert!(refused(&path("folder")).contains("--dir"));
    let _socket = std::os::unix::net::UnixListener::bind(path("socket")).expect("a socket");
    assert!(refused(&path("socket")).contains("a socket"));
    assert_eq!(fs::read(&precious).expect("a file"), b"precious");
}

#[test]
fn a_new_file_is_private_and_another_session_cannot_have_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("a.jsonl");
    keep_private();
    let mut sink = open(&path);
    let mode = fs::metadata(&path).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    write(&mut sink, 3);
    sink.flush().expect("there is room");
    assert!(refused(&path).contains("another session"));
    let text = fs::read_to_string(&path).expect("a file");
    assert_eq!(text.lines().count(), 3, "{text}");
}

#[test]
fn after_a_rotation_it_goes_on_in_a_new_file() {
    for name in ["a.jsonl", "a.jsonl.zst"] {
        let dir = tempfile::tempdir().expect("a folder");
        let (path, old) = (dir.path().join(name), dir.path().join("old"));
        let mut sink = open(&path);
        sink.begin(&first_line(Format::Json, &fixtures::header()));
        write(&mut sink, 3);
        flush_all(&mut sink);
        fs::rename(&path, &old).expect("it is there");
        // These were taken before it looked.
        write(&mut sink, 2);
        sink.reopen().expect("there is room");
        write(&mut sink, 4);
        flush_all(&mut sink);
        assert_eq!(lines_of(&old), (1, 5), "{name}");
        assert_eq!(lines_of(&path), (1, 4), "{name}");
        // Without a signal, it finds out by itself.
        fs::remove_file(&path).expect("it is there");
        flush_all(&mut sink);
        write(&mut sink, 6);
        let finished = sink.finish().expect("there is room");
        assert_eq!(lines_of(&path), (1, 6), "{name}");
        assert_eq!((finished.lines, finished.files), (15, 3));
    }
}

#[test]
fn a_file_that_was_copied_and_emptied_begins_again() {
    for name in ["a.jsonl", "a.jsonl.zst"] {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join(name);
        let mut sink = open(&path);
        sink.begin(&first_line(Format::Json, &fixtures::header()));
        write(&mut sink, 300);
        flush_all(&mut sink);
        fs::File::options()
            .write(true)
            .open(&path)
            .and_then(|file| file.set_len(0))
            .expect("it is ours");
        write(&mut sink, 4);
        sink.finish().expect("there is room");
        assert_eq!(lines_of(&path), (1, 4), "{name}");
    }
}

#[test]
fn where_no_new_file_can_be_made_it_goes_on_in_the_old_one() {
    let dir = tempfile::tempdir().expect("a folder");
    let (path, old) = (dir.path().join("a.jsonl"), dir.path().join("old"));
    let reports = Arc::new(Mutex::new(Vec::new()));
    let tell = {
        let reports = Arc::clone(&reports);
        Box::new(move |report: &str| reports.lock().expect("no panic").push(report.to_owned()))
    };
    let mut sink = File::create(&path, json(), tell).expect("it opens");
    fs::rename(&path, &old).expect("it is there");
    fs::create_dir(&path).expect("in the way");
    for _ in 0..3 {
        write(&mut sink, 2);
        flush_all(&mut sink);
    }
    sink.finish().expect("there is room");
    assert_eq!(lines_of(&old), (0, 6));
    let reports = reports.lock().expect("no panic");
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert!(reports[0].contains("a folder"), "{reports:?}");
}

/// Header lines and other lines.
fn lines_of(path: &Path) -> (usize, usize) {
    let mut content = fs::read(path).expect("a file");
    if content.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        content = zstd::decode_all(&*content).expect("whole frames");
    }
    let text = String::from_utf8(content).expect("JSON is UTF-8");
    let headers = text
        .lines()
        .filter(|line| line.contains("tcptrace.recording/"));
    let headers = headers.count();
    assert!(
        headers == 0 || text.starts_with("{\"schema\":\"tcptrace.recording/"),
        "{text}"
    );
    (headers, text.lines().count() - headers)
}
