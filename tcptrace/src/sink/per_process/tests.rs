use std::{cell::RefCell, collections::BTreeMap, os::unix::fs::symlink, path::Path, rc::Rc};

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::view::{
    Format,
    log::{first_line, fixtures, json::Json, text},
};

type Reports = Rc<RefCell<Vec<String>>>;

fn open(dir: &Path, rotation: Option<Rotation>) -> (PerProcess, Reports) {
    with(dir, "jsonl", rotation, Box::new(Json::default()))
}

fn with(
    dir: &Path,
    extension: &'static str,
    rotation: Option<Rotation>,
    view: Box<dyn View<Record>>,
) -> (PerProcess, Reports) {
    let options = FolderOptions {
        dir: dir.to_owned(),
        extension,
        rotation,
    };
    let reports = Reports::default();
    let tell = {
        let reports = Rc::clone(&reports);
        Box::new(move |report: &str| reports.borrow_mut().push(report.to_owned()))
    };
    let folder = PerProcess::open(options, view, tell).expect("the folder opens");
    (folder, reports)
}

fn take(folder: &mut PerProcess, record: &Record) {
    folder.record(record).expect("it never fails");
}

/// Names and content of the log files.
fn content(dir: &Path) -> BTreeMap<String, String> {
    let files = fs::read_dir(dir).expect("a folder");
    files
        .map(|file| file.expect("a file").path())
        .filter(|path| path.is_file())
        .map(|path| {
            let name = path.file_name().expect("files have names");
            let name = name.to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).expect("text"))
        })
        .filter(|(name, _)| name != "index.json")
        .collect()
}

fn index(dir: &Path) -> Value {
    let text = fs::read_to_string(dir.join("index.json")).expect("there is one");
    serde_json::from_str(&text).expect("it is JSON")
}

fn started(pid: u32, comm: &str, started_ns: u64) -> Record {
    let mut transition = fixtures::transition();
    let owner = transition.owner.as_mut().expect("it has one");
    owner.process.pid = pid;
    owner.process.comm = comm.into();
    owner.process.started_ns = Some(started_ns);
    Record::Transition(transition)
}

/// Room for about two lines in each file.
const SMALL: Rotation = Rotation {
    size: 1200,
    keep: 2,
};

#[test]
fn each_process_has_its_file() {
    let parent = tempfile::tempdir().expect("a folder");
    let dir = parent.path().join("new/logs");
    let (mut folder, reports) = open(&dir, None);
    take(&mut folder, &started(7, "a", 1));
    take(&mut folder, &started(8, "../b", 2));
    take(&mut folder, &started(7, "a", 3)); // the number was reused
    take(&mut folder, &started(7, "exec", 1)); // the first process under another name
    for record in fixtures::all() {
        take(&mut folder, &record);
    }
    let finished = folder.finish().expect("there is room");
    assert_eq!((finished.lines, finished.files), (14, 6));
    let lines = content(&dir)
        .into_iter()
        .map(|(name, text)| (name, text.lines().count()))
        .collect::<Vec<_>>();
    insta::assert_debug_snapshot!("lines_of_each_file", lines);
    let mut index = index(&dir);
    index["time"] = Value::Null;
    let index = serde_json::to_string_pretty(&index).expect("it is JSON");
    insta::assert_snapshot!("index", index);
    assert!(reports.borrow().is_empty(), "{reports:?}");
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(&dir).expect("a folder").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn text_has_one_heading_a_file_and_another_session_appends() {
    let dir = tempfile::tempdir().expect("a folder");
    for _ in 0..2 {
        let view = Box::new(text::Text::new(text::Medium::File, None));
        let (mut folder, _) = with(dir.path(), "log", None, view);
        take(&mut folder, &started(7, "a", 1));
        let finished = folder.finish().expect("there is room");
        assert_eq!((finished.lines, finished.files), (1, 1));
    }
    // Another kind of log in the same folder does not touch these files.
    let (mut folder, _) = open(dir.path(), None);
    take(&mut folder, &started(7, "a", 1));
    folder.finish().expect("there is room");

    let files = content(dir.path());
    assert_eq!(files.len(), 2, "{files:?}");
    let text = &files["7-a.log"];
    assert_eq!(text.lines().count(), 3, "{text}");
    assert_eq!(text.matches("TIME").count(), 1, "{text}");
    let index = index(dir.path());
    assert_eq!(index["files"][0]["file"], "7-a.log");
    assert_eq!(index["files"][0]["lines"], 2);
    assert_eq!(index["files"][1]["file"], "7-a.jsonl");
    assert_eq!(index["files"][1]["lines"], 1);
}

#[test]
fn more_processes_than_open_files() {
    let dir = tempfile::tempdir().expect("a folder");
    let (mut folder, _) = open(dir.path(), None);
    for round in 0..3_u32 {
        for pid in 0..300 {
            take(&mut folder, &started(pid, "a", 1));
        }
        assert_eq!(folder.open.len(), MOST_OPEN, "{round}");
    }
    assert_eq!(folder.finish().expect("there is room").lines, 900);
    let files = content(dir.path());
    assert_eq!(files.len(), 300);
    assert!(files.values().all(|text| text.lines().count() == 3));
}

#[test]
fn files_are_put_aside_between_lines() {
    let dir = tempfile::tempdir().expect("a folder");
    let (mut folder, _) = open(dir.path(), Some(SMALL));
    for _ in 0..9 {
        take(&mut folder, &started(7, "a", 1));
    }
    folder.finish().expect("there is room");
    let files = content(dir.path());
    let lines = |name: &str| files[name].lines().count();
    assert_eq!(files.len(), 3, "{files:?}");
    assert_eq!(lines("7-a.jsonl"), 1);
    assert_eq!(lines("7-a.jsonl.1"), 2);
    assert_eq!(lines("7-a.jsonl.2"), 2);
    let entry = &index(dir.path())["files"][0];
    assert_eq!(entry["lines"], 9);
    assert_eq!(entry["rotated"], 4);
}

#[test]
fn a_full_disk_is_told_once_and_the_other_files_go_on() {
    let dir = tempfile::tempdir().expect("a folder");
    symlink("/dev/full", dir.path().join("7-a.jsonl")).expect("a link");
    let (mut folder, reports) = open(dir.path(), None);
    for _ in 0..1000 {
        take(&mut folder, &started(7, "a", 1));
        take(&mut folder, &started(8, "b", 1));
    }
    assert_eq!(reports.borrow().len(), 1, "{reports:?}");
    assert!(
        reports.borrow()[0].contains("7-a.jsonl: No space left"),
        "{reports:?}"
    );
    assert!(reports.borrow()[0].contains("Make room"), "{reports:?}");
    let error = folder.finish().expect_err("lines are missing").to_string();
    assert!(
        error.starts_with("1000 lines could not be written"),
        "{error}"
    );
    assert!(error.contains("7-a.jsonl (No space left"), "{error}");
    assert_eq!(reports.borrow().len(), 1, "{reports:?}");
    let index = index(dir.path());
    assert_eq!(index["files"][0]["missing"], 1000);
    assert_eq!(index["files"][0]["lines"], 0);
    assert_eq!(index["files"][0]["bytes"], 0);
    assert_eq!(index["files"][1]["missing"], 0);
    assert_eq!(index["files"][1]["lines"], 1000);
    let other = fs::read_to_string(dir.path().join("8-b.jsonl")).expect("text");
    assert_eq!(other.lines().count(), 1000);
}

#[test]
fn a_file_that_could_not_be_opened_is_tried_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("7-a.jsonl");
    fs::create_dir(&path).expect("a folder in the way");
    let (mut folder, reports) = open(dir.path(), None);
    take(&mut folder, &started(7, "a", 1));
    take(&mut folder, &started(7, "a", 1));
    assert_eq!(reports.borrow().len(), 1, "{reports:?}");
    fs::remove_dir(&path).expect("it is empty");
    std::thread::sleep(Duration::from_millis(1100));
    take(&mut folder, &started(7, "a", 1));
    let error = folder.finish().expect_err("lines are missing").to_string();
    assert!(error.starts_with("2 lines could not be written"), "{error}");
    assert_eq!(content(dir.path())["7-a.jsonl"].lines().count(), 1);
    assert_eq!(index(dir.path())["files"][0]["lines"], 1);
}

/// Lines of a file: `true` for headers.
fn headers_in(text: &str) -> Vec<bool> {
    let is_header = |line: &str| line.starts_with(r#"{"schema":"tcptrace.recording/1""#);
    text.lines().map(is_header).collect()
}

#[test]
fn each_session_says_in_each_file_what_it_was() {
    let dir = tempfile::tempdir().expect("a folder");
    let header = first_line(Format::Json, &fixtures::header());
    for _ in 0..2 {
        let (mut folder, _) = open(dir.path(), None);
        folder.begin(&header);
        for _ in 0..2 {
            // So many that files are closed and opened again.
            for pid in 0..300 {
                take(&mut folder, &started(pid, "a", 1));
            }
        }
        assert_eq!(folder.finish().expect("there is room").lines, 600);
    }
    for (name, text) in content(dir.path()) {
        let expected = [true, false, false, true, false, false];
        assert_eq!(headers_in(&text), expected, "{name}: {text}");
    }
    let entry = &index(dir.path())["files"][0];
    let length = content(dir.path())["0-a.jsonl"].len();
    assert_eq!(entry["lines"], 4);
    assert_eq!(entry["bytes"], length - 2 * header.len());
}

#[test]
fn a_file_that_is_begun_after_another_has_the_header_within_its_size() {
    let dir = tempfile::tempdir().expect("a folder");
    let (mut folder, _) = open(dir.path(), Some(SMALL));
    folder.begin(&first_line(Format::Json, &fixtures::header()));
    for _ in 0..5 {
        take(&mut folder, &started(7, "a", 1));
    }
    folder.finish().expect("there is room");
    let files = content(dir.path());
    assert_eq!(files.len(), 3, "{files:?}");
    for (name, text) in files {
        assert!(text.len() as u64 <= SMALL.size, "{name}: {text}");
        let headers = headers_in(&text);
        assert!(
            headers.len() > 1 && headers[0] && !headers[1],
            "{name}: {text}"
        );
    }
}

#[test]
fn a_flush_leaves_whole_lines_for_readers() {
    let dir = tempfile::tempdir().expect("a folder");
    let (mut folder, _) = open(dir.path(), None);
    take(&mut folder, &started(7, "a", 1));
    folder.flushed -= FLUSH;
    folder.indexed -= INDEX;
    folder.flush().expect("it never fails");
    assert_eq!(content(dir.path())["7-a.jsonl"].lines().count(), 1);
    assert_eq!(index(dir.path())["files"][0]["lines"], 1);
}

#[test]
fn a_damaged_index_is_told_and_files_are_continued() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("index.json"), "{").expect("a file");
    fs::write(dir.path().join("7-a.jsonl"), "{}\n").expect("a file");
    let (mut folder, reports) = open(dir.path(), None);
    take(&mut folder, &started(7, "a", 1));
    folder.finish().expect("there is room");
    assert!(
        reports.borrow()[0].contains("index.json.bad"),
        "{reports:?}"
    );
    assert_eq!(content(dir.path())["7-a.jsonl"].lines().count(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_line_is_somewhere_and_whole(
        pids in prop::collection::vec(0_u32..200, 1..400),
        size in prop::option::of(600_u64..4000),
    ) {
        let dir = tempfile::tempdir().expect("a folder");
        let rotation = size.map(|size| Rotation { size, keep: 1000 });
        let (mut folder, reports) = open(dir.path(), rotation);
        for pid in &pids {
            take(&mut folder, &started(*pid, "a", 1));
        }
        folder.finish().expect("there is room");
        prop_assert!(reports.borrow().is_empty());
        let mut found = Vec::new();
        for (name, text) in content(dir.path()) {
            prop_assert!(text.len() as u64 <= size.unwrap_or(u64::MAX), "{name}");
            for line in text.lines() {
                let value: Value = serde_json::from_str(line).expect("it is JSON");
                let pid = value["pid"].as_u64().expect("a number");
                let prefix = format!("{pid}-a.jsonl");
                prop_assert!(name.starts_with(&prefix), "{name}");
                found.push(u32::try_from(pid).expect("small"));
            }
        }
        found.sort_unstable();
        let mut expected = pids;
        expected.sort_unstable();
        prop_assert_eq!(found, expected);
    }
}
