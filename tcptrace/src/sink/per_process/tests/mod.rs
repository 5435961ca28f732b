mod bounds;
mod trust;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
};

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::view::{
    Format,
    log::{first_line, fixtures, json::Json, text},
};

/// What the user was told.
#[derive(Clone, Default)]
struct Reports(Arc<Mutex<Vec<String>>>);

impl Reports {
    fn all(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().expect("no panic")
    }
}

/// All processes run.
fn options(dir: &Path, extension: &'static str, rotation: Option<Rotation>) -> FolderOptions {
    FolderOptions {
        dir: dir.to_owned(),
        extension,
        rotation,
        max_files: 1000,
        runs: Box::new(|_, _| true),
    }
}

fn open(dir: &Path, rotation: Option<Rotation>) -> (PerProcess, Reports) {
    with(options(dir, "jsonl", rotation), Box::new(Json::default()))
}

fn with(options: FolderOptions, view: Box<dyn View<Record>>) -> (PerProcess, Reports) {
    let reports = Reports::default();
    let tell = {
        let reports = reports.clone();
        Box::new(move |report: &str| reports.all().push(report.to_owned()))
    };
    let folder = PerProcess::open(options, view, tell).expect("the folder opens");
    (folder, reports)
}

/// Makes a flush do all that it does from time to time.
fn flush_all(folder: &mut PerProcess) {
    for (key, early) in folder.early.due(true) {
        folder.place(key, &early, false);
    }
    folder.flushed -= FLUSH;
    folder.named -= NAMES;
    folder.flush().expect("it never fails");
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
        .filter(|(name, _)| name != "index.jsonl" && name != "tcptrace.lock")
        .collect()
}

/// What the index says about each file, and at the end about sessions.
fn index(dir: &Path) -> Vec<Value> {
    let folder = Folder::open(dir).expect("nobody has it any more");
    drop(Index::open(&folder).expect("it can be read"));
    let text = fs::read_to_string(dir.join("index.jsonl")).expect("there is one");
    let line = |line| {
        let mut line: Value = serde_json::from_str(line).expect("it is JSON");
        line["time"] = Value::Null;
        line
    };
    text.lines().map(line).collect()
}

fn started(pid: u32, comm: &str, started_ns: u64) -> Record {
    let mut transition = fixtures::transition();
    let owner = transition.opener.as_mut().expect("it has one");
    owner.process.pid = Some(pid);
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
    drop(folder);
    let index = index(&dir);
    let index = serde_json::to_string_pretty(&index).expect("it is JSON");
    insta::assert_snapshot!("index", index);
    assert!(reports.all().is_empty(), "{:?}", reports.all());
    let mode = |path: &Path| {
        fs::metadata(path)
            .expect("it is there")
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode(&dir), 0o700);
    assert_eq!(mode(&parent.path().join("new")), 0o700);
    assert_eq!(mode(&dir.join("7-a.jsonl")), 0o600);
    assert_eq!(mode(&dir.join("index.jsonl")), 0o600);
}

#[test]
fn text_has_one_heading_a_file_and_another_session_appends() {
    let dir = tempfile::tempdir().expect("a folder");
    for _ in 0..2 {
        let view = Box::new(text::Text::new(false, None));
        let (mut folder, _) = with(options(dir.path(), "log", None), view);
        take(&mut folder, &started(7, "a", 1));
        let finished = folder.finish().expect("there is room");
        assert_eq!((finished.lines, finished.files), (1, 1));
    }
    // Another kind of log in the same folder does not touch these files.
    let (mut folder, _) = open(dir.path(), None);
    take(&mut folder, &started(7, "a", 1));
    folder.finish().expect("there is room");
    drop(folder);

    let files = content(dir.path());
    assert_eq!(files.len(), 2, "{files:?}");
    let text = &files["7-a.log"];
    assert_eq!(text.lines().count(), 3, "{text}");
    assert_eq!(text.matches("TIME").count(), 1, "{text}");
    let index = index(dir.path());
    assert_eq!(index[0]["file"], "7-a.log");
    assert_eq!(
        (&index[0]["lines"], &index[0]["begun"]),
        (&2.into(), &2.into())
    );
    assert_eq!(index[1]["file"], "7-a.jsonl");
    assert_eq!(
        (&index[1]["lines"], &index[1]["ended"]),
        (&1.into(), &1.into())
    );
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
    drop(folder);
    let entry = &index(dir.path())[0];
    assert_eq!((&entry["lines"], &entry["rotated"]), (&9.into(), &4.into()));
}

#[test]
fn what_cannot_be_opened_is_told_once_and_the_other_files_go_on() {
    let dir = tempfile::tempdir().expect("a folder");
    let (mut folder, reports) = open(dir.path(), None);
    take(&mut folder, &started(7, "a", 1));
    flush_all(&mut folder);
    folder.reopen().expect("it never fails");
    let path = dir.path().join("7-a.jsonl");
    fs::remove_file(&path).expect("it is there");
    fs::create_dir(&path).expect("a folder in the way");
    for _ in 0..1000 {
        take(&mut folder, &started(7, "a", 1));
        take(&mut folder, &started(8, "b", 1));
    }
    assert_eq!(reports.all().len(), 1, "{:?}", reports.all());
    assert!(
        reports.all()[0].contains("7-a.jsonl: Is a directory"),
        "{:?}",
        reports.all()
    );
    assert!(
        reports.all()[0].contains("Remove or rename"),
        "{:?}",
        reports.all()
    );
    fs::remove_dir(&path).expect("it is empty");
    std::thread::sleep(Duration::from_millis(1100));
    take(&mut folder, &started(7, "a", 1));
    let error = folder.finish().expect_err("lines are missing").to_string();
    assert!(
        error.starts_with("1000 lines could not be written"),
        "{error}"
    );
    assert!(error.contains("7-a.jsonl (Is a directory"), "{error}");
    assert_eq!(reports.all().len(), 1, "{:?}", reports.all());
    drop(folder);
    let index = index(dir.path());
    assert_eq!(
        (&index[0]["lines"], &index[0]["missing"]),
        (&2.into(), &1000.into())
    );
    assert_eq!(
        (&index[1]["lines"], &index[1]["missing"]),
        (&1000.into(), &0.into())
    );
    assert_eq!(content(dir.path())["7-a.jsonl"].lines().count(), 1);
    assert_eq!(content(dir.path())["8-b.jsonl"].lines().count(), 1000);
}

#[test]
fn a_file_that_cannot_be_rotated_loses_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    // Nothing takes the name of a folder that has something in it.
    for number in 1..=2 {
        let folder = dir.path().join(format!("7-a.jsonl.{number}"));
        fs::create_dir_all(folder.join("something")).expect("a folder");
    }
    let (mut folder, reports) = open(dir.path(), Some(SMALL));
    for _ in 0..1000 {
        take(&mut folder, &started(7, "a", 1));
    }
    let finished = folder.finish().expect("nothing is missing");
    assert_eq!(finished.lines, 1000);
    assert_eq!(content(dir.path())["7-a.jsonl"].lines().count(), 1000);
    assert_eq!(reports.all().len(), 1, "{:?}", reports.all());
    assert!(
        reports.all()[0].contains("keeps growing"),
        "{:?}",
        reports.all()
    );
}

#[test]
fn files_that_were_renamed_or_removed_begin_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let (mut folder, _) = open(dir.path(), None);
    folder.begin(&first_line(Format::Json, &fixtures::header()));
    let path = |name: &str| dir.path().join(name);
    for round in 0..3 {
        for pid in [7, 8] {
            take(&mut folder, &started(pid, "a", 1));
        }
        flush_all(&mut folder);
        if round < 2 {
            fs::rename(path("7-a.jsonl"), path(&format!("old.{round}"))).expect("it is there");
            fs::remove_file(path("8-a.jsonl")).expect("it is there");
        }
        match round {
            0 => folder.reopen().expect("it never fails"),
            // It finds out by itself.
            _ => flush_all(&mut folder),
        }
    }
    folder.finish().expect("there is room");
    let files = content(dir.path());
    for name in ["old.0", "old.1", "7-a.jsonl", "8-a.jsonl"] {
        assert_eq!(headers_in(&files[name]), [true, false], "{name}");
    }
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
    let entries = index(dir.path());
    let entry = (entries.iter()).find(|entry| entry["file"] == "0-a.jsonl");
    let entry = entry.expect("it is in the index");
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
    flush_all(&mut folder);
    assert_eq!(content(dir.path())["7-a.jsonl"].lines().count(), 1);
    let index = fs::read_to_string(dir.path().join("index.jsonl")).expect("there is one");
    assert_eq!(index.lines().count(), 1, "{index}");
    assert!(index.contains("\"begun\":1,\"ended\":0"), "{index}");
}

#[test]
fn a_damaged_index_is_told_and_no_file_is_taken_over() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("index.jsonl"), "{\n").expect("a file");
    fs::write(dir.path().join("7-a.jsonl"), "{}\n").expect("a file");
    let (mut folder, reports) = open(dir.path(), None);
    take(&mut folder, &started(7, "a", 1));
    folder.finish().expect("there is room");
    assert!(
        reports.all()[0].contains("index.jsonl.bad"),
        "{:?}",
        reports.all()
    );
    let files = content(dir.path());
    assert_eq!(files["7-a.jsonl"], "{}\n");
    assert_eq!(files["7-a.2.jsonl"].lines().count(), 1);
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
        prop_assert!(reports.all().is_empty());
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
