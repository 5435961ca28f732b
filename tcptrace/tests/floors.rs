//! Checks the structure that `docs/architecture.md` draws: which module may import which, and how long a
//! file may be. An error names the file and the path that it imports.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
};

use syn::{Attribute, File, ItemMod, ItemUse, UseTree, visit::Visit};

/// A longer file holds more than its name says.
const MOST_LINES: usize = 450;
/// With more files than this, a folder is hard to search.
const MOST_FILES: usize = 14;

/// What each module may import besides itself, the most specific name first. `*` is everything.
const MAY_IMPORT: [(&str, &[&str]); 29] = [
    ("command", &["*"]),
    ("cli", &["model"]),
    ("model", &[]),
    ("diagnosis::stuck", &["model"]),
    ("diagnosis::cause", &["model", "diagnosis::stuck"]),
    ("diagnosis::log", &["model", "diagnosis::stuck"]),
    ("diagnosis::hist", &["model"]),
    (
        "diagnosis::recording",
        &["model", "diagnosis::stuck", "diagnosis::hist"],
    ),
    ("diagnosis", &["model"]),
    ("source::error", &["model"]),
    ("source::machine", &["model", "source::error"]),
    (
        "source::bpf",
        &["model", "source::error", "source::machine"],
    ),
    (
        "source::walk",
        &[
            "model",
            "source::error",
            "source::bpf",
            "source::diag",
            "source::machine",
        ],
    ),
    ("source::diag", &["model", "source::machine"]),
    (
        "source::clues",
        &["model", "source::diag", "source::machine"],
    ),
    ("source::recording", &["model"]),
    ("source::watch", BELOW_TRACERS),
    ("source::track", BELOW_TRACERS),
    (
        "source::doctor",
        &[
            "model",
            "source::error",
            "source::bpf",
            "source::walk",
            "source::diag",
            "source::machine",
            "source::watch",
            "source::track",
        ],
    ),
    ("source", &["model"]),
    ("view::layout", &[]),
    ("view::parts", &["model", "view::layout"]),
    ("view::stuck", &["model", "view::parts", "view::layout"]),
    ("view::log", &["model", "view::parts", "view::layout"]),
    ("view::hist", &["model", "view::parts", "view::layout"]),
    ("view", &["model", "view::parts", "view::layout"]),
    ("sink", &["model", "view"]),
    ("lib", &[]),
    ("main", &["*"]),
];

const BELOW_TRACERS: &[&str] = &[
    "model",
    "source::error",
    "source::bpf",
    "source::walk",
    "source::diag",
    "source::machine",
];

/// Libraries that only these modules may use. Another module that uses one of them inspects the machine, or
/// knows where its input comes from or where its output goes.
const AT_HOME: [(&str, &[&str]); 13] = [
    ("clap", &["cli", "main"]),
    ("aya", &["source"]),
    ("aya_obj", &["source::bpf"]),
    ("aya_log", &["source::bpf"]),
    ("netlink_sys", &["source::diag"]),
    ("netlink_packet_core", &["source::diag"]),
    ("netlink_packet_sock_diag", &["source::diag"]),
    ("procfs", &["source"]),
    ("rustix", &["source", "sink"]),
    ("landlock", &["source::machine"]),
    ("seccompiler", &["source::machine"]),
    ("terminal_size", &["sink", "command"]),
    ("std::fs", &["source", "sink"]),
];

/// Whether `module` is `room` or lies in it.
fn is_in(module: &str, room: &str) -> bool {
    let rest = module.strip_prefix(room);
    room == "*" || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Whether the path names an item in the top file of the module's own floor, such as `view::View`.
fn is_of_own_floor(path: &str, module: &str) -> bool {
    let floor = module.split("::").next().unwrap_or_default();
    let item = path
        .strip_prefix(floor)
        .and_then(|rest| rest.strip_prefix("::"));
    item.is_some_and(|item| item.starts_with(char::is_uppercase))
}

/// The paths that a file imports or names, except in tests.
#[derive(Default)]
struct Imports(Vec<String>);

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Ident>()
                .is_ok_and(|ident| ident == "test")
    })
}

fn leaves(tree: &UseTree, path: &str, all: &mut Vec<String>) {
    let joined = |name: &dyn ToString| match path {
        "" => name.to_string(),
        path => format!("{path}::{}", name.to_string()),
    };
    match tree {
        UseTree::Path(part) => leaves(&part.tree, &joined(&part.ident), all),
        UseTree::Group(group) => (group.items.iter()).for_each(|tree| leaves(tree, path, all)),
        UseTree::Name(name) if name.ident == "self" => all.push(path.to_owned()),
        UseTree::Name(name) => all.push(joined(&name.ident)),
        UseTree::Rename(name) if name.ident == "self" => all.push(path.to_owned()),
        UseTree::Rename(name) => all.push(joined(&name.ident)),
        UseTree::Glob(_) => all.push(path.to_owned()),
    }
}

impl<'ast> Visit<'ast> for Imports {
    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        if !is_test(&module.attrs) {
            syn::visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        leaves(&item.tree, "", &mut self.0);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if attribute.path().is_ident("derive") {
            let derived = attribute.parse_nested_meta(|derived| {
                self.visit_path(&derived.path);
                Ok(())
            });
            derived.expect("a list of derives");
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter();
        let names: Vec<_> = segments.map(|segment| segment.ident.to_string()).collect();
        self.0.push(names.join("::"));
        syn::visit::visit_path(self, path);
    }
}

/// `source/track/side.rs` is `source::track::side`, `view/mod.rs` is `view`.
fn module_of(file: &Path) -> String {
    let names = file.with_extension("");
    let names = names.iter().map(|name| name.to_string_lossy());
    let names: Vec<_> = names.filter(|name| name != "mod").collect();
    names.join("::")
}

fn imports_of(file: &Path, text: &str) -> Vec<String> {
    let name = file.display();
    let parsed: File = syn::parse_file(text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut imports = Imports::default();
    imports.visit_file(&parsed);
    imports.0
}

/// What is wrong with a file of the crate, given its path from `src`.
fn breaches(file: &Path, text: &str) -> Vec<String> {
    let module = module_of(file);
    let name = file.display();
    let rules = MAY_IMPORT.iter().find(|(room, _)| is_in(&module, room));
    let Some((own, allowed)) = rules else {
        return vec![format!("{name}: MAY_IMPORT has no entry for {module}")];
    };
    let mut found = Vec::new();
    for path in imports_of(file, text) {
        let refused = if let Some(path) = path.strip_prefix("crate::") {
            let mut allowed = allowed.iter().chain([own]);
            !allowed.any(|room| is_in(path, room)) && !is_of_own_floor(path, &module)
        } else if path.starts_with("super::super") {
            true // a reader does not see at a glance where this leads
        } else {
            let home = AT_HOME.iter().find(|(library, _)| is_in(&path, library));
            home.is_some_and(|(_, rooms)| !rooms.iter().any(|room| is_in(&module, room)))
        };
        if refused {
            found.push(format!("{name} ({module}) must not import {path}"));
        }
    }
    let lines = text.lines().count();
    if lines > MOST_LINES {
        found.push(format!("{name} has {lines} lines, more than {MOST_LINES}"));
    }
    found
}

/// Modules in import cycles of any length, and the modules between two cycles.
fn circles(files: &[(PathBuf, String)]) -> Vec<String> {
    let modules: HashSet<_> = files.iter().map(|(file, _)| module_of(file)).collect();
    let owner_of = |path: String| {
        let mut path = path.strip_prefix("crate::")?.to_owned();
        while !modules.contains(&path) {
            path.truncate(path.rfind("::")?);
        }
        Some(path)
    };
    let imported = files.iter().map(|(file, text)| {
        let module = module_of(file);
        let others = imports_of(file, text).into_iter().filter_map(owner_of);
        let others: HashSet<_> = others.filter(|other| *other != module).collect();
        (module, others)
    });
    let mut imported: HashMap<_, _> = imported.collect();
    // A module is in no cycle if it imports none of the modules that are left, or if none of them imports it.
    loop {
        let left: HashSet<_> = imported.keys().cloned().collect();
        let wanted: HashSet<_> = imported.values().flatten().cloned().collect();
        imported.retain(|module, others| {
            wanted.contains(module) && others.iter().any(|other| left.contains(other))
        });
        if imported.len() == left.len() {
            break;
        }
    }
    imported.into_keys().collect()
}

/// Imports that are not in the order std, other crates, this crate, with a blank line between the groups.
fn unordered(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    // The group of the last import, and whether a blank line follows it.
    let mut before: Option<(usize, bool)> = None;
    let mut open = false;
    for line in text.lines() {
        let root = line.strip_prefix("use ").filter(|_| !open);
        let inside = open || root.is_some();
        if let Some(root) = root {
            let root = root.split("::").next().unwrap_or_default();
            let group = match root {
                "std" | "core" | "alloc" => 0,
                "crate" | "super" | "self" => 2,
                _ => 1,
            };
            if before.is_some_and(|(last, blank)| group < last || (group > last) != blank) {
                found.push(line);
            }
            before = Some((group, false));
        } else if line.is_empty() {
            before = before.map(|(group, _)| (group, true));
        } else if !inside {
            before = None;
        }
        open = inside && !line.ends_with(';');
    }
    found
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of the sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn workspace() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().expect("the workspace")
}

/// The files of a crate except its tests: their paths from `source`, and their texts.
fn sources(source: &str) -> Vec<(PathBuf, String)> {
    let source = workspace().join(source);
    let all = files_below(&source).into_iter().filter(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let in_tests = file.components().any(|part| part.as_os_str() == "tests");
        !in_tests && !name.ends_with("tests.rs") && !name.starts_with("fixtures")
    });
    let read = |file: PathBuf| {
        let text = fs::read_to_string(&file).expect("a source file");
        let file = file.strip_prefix(&source).expect("below it");
        (file.to_owned(), text)
    };
    all.map(read).collect()
}

#[test]
fn no_module_imports_upward_or_sideways() {
    let all = sources("tcptrace/src");
    let found: Vec<_> = (all.iter())
        .flat_map(|(file, text)| breaches(file, text))
        .collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn no_files_import_each_other() {
    for package in ["tcptrace", "tcptrace-ebpf", "testbed", "xtask"] {
        let found = circles(&sources(&format!("{package}/src")));
        assert!(found.is_empty(), "{package}: import cycle: {found:?}");
    }
}

/// The folders to check for the size of files and folders, and for the order of imports.
const ALL: [&str; 6] = [
    "tcptrace/src",
    "tcptrace/tests",
    "tcptrace-common",
    "tcptrace-ebpf",
    "testbed",
    "xtask",
];

#[test]
fn imports_are_in_order() {
    let mut found = Vec::new();
    for file in ALL
        .iter()
        .flat_map(|package| files_below(&workspace().join(package)))
    {
        let text = fs::read_to_string(&file).expect("a source file");
        let lines = unordered(&text).into_iter();
        found.extend(lines.map(|line| format!("{}: {line}", file.display())));
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn files_and_folders_stay_small() {
    let mut found = Vec::new();
    for package in ALL {
        let mut in_folder = std::collections::BTreeMap::new();
        for file in files_below(&workspace().join(package)) {
            let lines = fs::read_to_string(&file)
                .expect("a source file")
                .lines()
                .count();
            if lines > MOST_LINES {
                found.push(format!("{} has {lines} lines", file.display()));
            }
            let folder = file.parent().expect("a folder").to_owned();
            *in_folder.entry(folder).or_insert(0) += 1;
        }
        let crowded = in_folder.iter().filter(|(_, files)| **files > MOST_FILES);
        found.extend(
            crowded.map(|(folder, files)| format!("{} has {files} files", folder.display())),
        );
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// Gives the checks one error of each kind. They find it, so the tests above can fail.
#[test]
fn planted_breaches_are_found() {
    let breach = |file: &str, text: &str| !breaches(Path::new(file), text).is_empty();
    let upward = "use crate::{model::filter::Filter, diagnosis::stuck::tracker::Tracker};";
    assert!(breach("source/track/session.rs", upward));
    assert!(!breach("diagnosis/log/open.rs", upward));
    assert!(breach(
        "source/watch/look.rs",
        "use crate::source::track::Accept;"
    ));
    assert!(breach(
        "view/log/text.rs",
        "use crate::view::hist::label::short;"
    ));
    assert!(breach("view/hist/mod.rs", "use crate::cli::Histograms;"));
    assert!(breach(
        "cli/values.rs",
        "fn f() { crate::source::machine::netns::named(\"x\"); }"
    ));
    assert!(breach(
        "model/hist/key.rs",
        "#[derive(clap::ValueEnum)] enum Part {}"
    ));
    assert!(breach("model/hist/key.rs", "use clap::ValueEnum;"));
    assert!(breach("diagnosis/hist/live.rs", "use std::{fs, io};"));
    assert!(breach("model/mod.rs", "use super::super::source;"));
    assert!(!breach(
        "model/x.rs",
        "#[cfg(test)] mod tests { use crate::fixtures::end; }"
    ));
    assert!(breach("model/x.rs", &"\n".repeat(MOST_LINES + 1)));
    assert!(breach("elsewhere/x.rs", ""));

    assert!(
        unordered("use std::{\n    fs,\n    io,\n};\n\nuse anyhow::Result;\n\nuse crate::a;\n")
            .is_empty()
    );
    for text in [
        "use anyhow::Result;\n\nuse std::fs;\n",
        "use std::fs;\nuse anyhow::Result;\n",
        "use std::fs;\n\nuse std::io;\n",
        "use super::a;\n\nuse std::io;\n",
    ] {
        assert_eq!(unordered(text).len(), 1, "{text}");
    }

    let circle = |one: &str, other: &str| {
        let file = |name: &str, text: &str| (PathBuf::from(name), text.to_owned());
        !circles(&[file("a/one.rs", one), file("a/other.rs", other)]).is_empty()
    };
    let (to_one, to_other) = ("use crate::a::one::One;", "use crate::{a::other};");
    assert!(circle(to_other, to_one));
    assert!(!circle("", to_one) && !circle(to_other, ""));
}
