//! How many files there are, and how many are kept in mind.

use super::*;

#[test]
fn processes_that_ran_shortly_share_a_file() {
    let dir = tempfile::tempdir().expect("a folder");
    let options = FolderOptions {
        // Every tenth runs on.
        runs: Box::new(|pid, _| pid % 10 == 0),
        ..options(dir.path(), "jsonl", None)
    };
    let (mut folder, reports) = with(options, Box::new(Json::default()));
    for pid in 0..5000 {
        take(&mut folder, &started(pid, "a", 1));
        if pid % 100 == 0 {
            // Many lines in a short time are worth a file.
            (0..99).for_each(|_| take(&mut folder, &started(100_001, "b", 1)));
        }
    }
    let finished = folder.finish().expect("there is room");
    assert_eq!(finished.lines, 5000 + 50 * 99);
    assert!(reports.all().is_empty(), "{:?}", reports.all());
    let files = content(dir.path());
    assert_eq!(files.len(), 502);
    assert_eq!(files["others.jsonl"].lines().count(), 4500);
    assert_eq!(files["100001-b.jsonl"].lines().count(), 50 * 99);
    assert_eq!(files["4990-a.jsonl"].lines().count(), 1);
}

#[test]
fn there_are_no_more_files_than_allowed() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut lines = 0;
    for session in 0..3 {
        let options = FolderOptions {
            max_files: 20,
            ..options(dir.path(), "jsonl", None)
        };
        let (mut folder, reports) = with(options, Box::new(Json::default()));
        for pid in 0..30 {
            take(&mut folder, &started(pid, "a", session));
        }
        lines += folder.finish().expect("there is room").lines;
        assert_eq!(reports.all().len(), 1, "{:?}", reports.all());
        assert!(
            reports.all()[0].contains("--max-files"),
            "{:?}",
            reports.all()
        );
    }
    let files = content(dir.path());
    assert_eq!((lines, files.len()), (90, 21));
    assert_eq!(files["others.jsonl"].lines().count(), 70);
    assert_eq!(index(dir.path()).len(), 21);
}

#[test]
fn processes_that_have_ended_are_forgotten() {
    let dir = tempfile::tempdir().expect("a folder");
    let ended = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let options = FolderOptions {
        runs: {
            let ended = Arc::clone(&ended);
            Box::new(move |_, _| !ended.load(std::sync::atomic::Ordering::Relaxed))
        },
        ..options(dir.path(), "jsonl", None)
    };
    let (mut folder, _) = with(options, Box::new(Json::default()));
    for pid in 0..500 {
        take(&mut folder, &started(pid, "a", 1));
    }
    flush_all(&mut folder);
    assert_eq!(folder.files.len(), 500);
    ended.store(true, std::sync::atomic::Ordering::Relaxed);
    folder.sweep();
    assert_eq!(folder.files.len(), 500, "their sockets may go on");
    folder
        .files
        .values_mut()
        .for_each(|file| file.used_at -= LINGER);
    folder.sweep();
    assert_eq!((folder.files.len(), folder.open.len()), (0, 0));
    let finished = folder.finish().expect("there is room");
    assert_eq!((finished.lines, finished.files), (500, 500));
    drop(folder);
    let index = index(dir.path());
    assert!(
        index[..500].iter().all(|entry| entry["lines"] == 1),
        "{index:?}"
    );
}

#[test]
fn more_processes_than_open_files() {
    let dir = tempfile::tempdir().expect("a folder");
    let (mut folder, _) = open(dir.path(), None);
    for round in 0..3_u32 {
        for pid in 0..300 {
            take(&mut folder, &started(pid, "a", 1));
        }
        flush_all(&mut folder);
        assert_eq!(folder.open.len(), MOST_OPEN, "{round}");
    }
    assert_eq!(folder.finish().expect("there is room").lines, 900);
    let files = content(dir.path());
    assert_eq!(files.len(), 300);
    assert!(files.values().all(|text| text.lines().count() == 3));
}
