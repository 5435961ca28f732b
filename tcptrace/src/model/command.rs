//! What a process runs, from its arguments: the program, or what an interpreter was given. Its other
//! arguments are left out, for they may hold secrets.

/// Options of interpreters that take the next argument as their value.
const WITH_VALUE: [(&str, &[&str]); 6] = [
    (
        "java",
        &[
            "-cp",
            "-classpath",
            "--class-path",
            "-p",
            "--module-path",
            "--upgrade-module-path",
            "--add-modules",
            "--add-opens",
            "--add-exports",
            "--add-reads",
            "--limit-modules",
            "--patch-module",
        ],
    ),
    ("python", &["-W", "-X", "--check-hash-based-pycs"]),
    (
        "node",
        &[
            "-r",
            "--require",
            "--import",
            "--loader",
            "-C",
            "--conditions",
        ],
    ),
    ("ruby", &["-r", "-I", "-C", "-E"]),
    ("perl", &["-I", "-M", "-m"]),
    ("php", &["-d", "-c", "-z"]),
];
/// Options that are followed by what is run.
const RUNS_NEXT: [(&str, &[&str]); 4] = [
    ("java", &["-jar", "-m", "--module"]),
    ("python", &["-m"]),
    ("php", &["-f", "--file"]),
    ("deno", &["run"]),
];
/// Options that are followed by a program's text, which is not shown.
const RUNS_TEXT: [(&str, &[&str]); 6] = [
    ("python", &["-c"]),
    ("node", &["-e", "--eval", "-p", "--print", "-pe"]),
    ("ruby", &["-e"]),
    ("perl", &["-e", "-E"]),
    ("php", &["-r", "--run"]),
    ("sh", &["-c", "-ec", "-lc", "-xc"]),
];
/// Other names of interpreters.
const ALIASES: [(&str, &str); 9] = [
    ("pypy", "python"),
    ("nodejs", "node"),
    ("bun", "deno"),
    ("bash", "sh"),
    ("dash", "sh"),
    ("ash", "sh"),
    ("zsh", "sh"),
    ("ksh", "sh"),
    ("dotnet", "dotnet"),
];
/// Names of files that say little without their folder.
const COMMON: [&str; 11] = [
    "main", "__main__", "app", "index", "server", "run", "start", "manage", "wsgi", "asgi",
    "service",
];
/// The most characters that are shown.
const LONGEST: usize = 60;

/// The short name of what a process with these arguments runs, not yet fit for a terminal; `None` if it
/// is not known, or says no more than the process's own name, `comm`.
#[must_use]
pub fn short(arguments: &[String], comm: &str) -> Option<String> {
    let first = arguments.first()?;
    // A process may write a title there, with spaces.
    let program = file_name(first.split_whitespace().next()?.trim_start_matches('-'));
    let program = program.trim_end_matches(':');
    // A program that starts itself again, by a name that says nothing.
    if first.starts_with("/proc/") && program == "exe" {
        return None;
    }
    let kind = interpreter(program);
    let shown = match kind {
        Some(kind) => run_by(kind, &arguments[1..]),
        None => Some(program.to_owned()),
    };
    let shown: String = shown?.chars().take(LONGEST).collect();
    // The kernel keeps 15 bytes of a name.
    let is_news = shown != comm && !(comm.len() >= 15 && shown.starts_with(comm));
    (is_news && !shown.is_empty()).then_some(shown)
}

/// All arguments, as one text that is not yet fit for a terminal; `None` if they are not known.
#[must_use]
pub fn whole(arguments: &[String]) -> Option<String> {
    (!arguments.is_empty()).then(|| arguments.join(" "))
}

/// Which interpreter a program is, without its version: `python3.11`, `ruby2.7`.
fn interpreter(program: &str) -> Option<&'static str> {
    let name = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
    let known = [
        "java", "python", "node", "ruby", "perl", "php", "sh", "deno",
    ];
    alias
        .map(|(_, name)| *name)
        .or_else(|| known.into_iter().find(|known| *known == name))
}

/// What an interpreter with these arguments runs.
fn run_by(kind: &str, arguments: &[String]) -> Option<String> {
    let has = |table: &[(&str, &[&str])], option: &str| {
        let of_kind = table.iter().find(|(name, _)| *name == kind);
        of_kind.is_some_and(|(_, options)| options.contains(&option))
    };
    let mut arguments = arguments.iter().map(String::as_str);
    while let Some(argument) = arguments.next() {
        if has(&RUNS_TEXT, argument) {
            return None;
        }
        if has(&RUNS_NEXT, argument) {
            return Some(what(arguments.next()?));
        }
        if has(&WITH_VALUE, argument) {
            arguments.next();
        } else if argument == "--" {
            return Some(what(arguments.next()?));
        } else if !argument.starts_with(['-', '@']) {
            return Some(what(argument));
        }
    }
    None
}

/// A class, a module, or a file with its folder if its own name says little.
fn what(run: &str) -> String {
    let name = file_name(run);
    let stem = name.split('.').next().unwrap_or(name);
    let folder = run
        .strip_suffix(name)
        .map(|path| file_name(path.trim_end_matches('/')));
    match folder {
        Some(folder) if COMMON.contains(&stem) && !folder.is_empty() => format!("{folder}/{name}"),
        _ => name.to_owned(),
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(line: &str, comm: &str) -> Option<String> {
        let arguments: Vec<String> = line.split(' ').map(ToOwned::to_owned).collect();
        short(&arguments, comm)
    }

    #[test]
    fn an_interpreter_is_named_by_what_it_runs() {
        let cases = [
            (
                "java -Xmx4g -cp /a.jar:/b.jar com.shop.Checkout --token=s3cret",
                "com.shop.Checkout",
            ),
            (
                "/usr/lib/jvm/bin/java -Dp=s3cret -jar /opt/shop/checkout.jar",
                "checkout.jar",
            ),
            ("java -p mods -m shop/com.shop.Main", "com.shop.Main"),
            (
                "python3.11 -W error -u /srv/shop/main.py --password s3cret",
                "shop/main.py",
            ),
            ("/usr/bin/python3 -m gunicorn app:app", "gunicorn"),
            ("python3 /usr/bin/celery worker", "celery"),
            (
                "node --require ./x.js --inspect /srv/cart/server.js",
                "cart/server.js",
            ),
            ("ruby -r bundler bin/puma", "puma"),
            ("bash /usr/local/bin/loop.sh s3cret", "loop.sh"),
            ("dotnet Shop.dll", "Shop.dll"),
            ("deno run main.ts", "main.ts"),
            ("php -d x=1 artisan", "artisan"),
        ];
        for (line, expected) in cases {
            let comm = line.split(' ').next().expect("a word");
            assert_eq!(
                shown(line, file_name(comm)).as_deref(),
                Some(expected),
                "{line}"
            );
        }
    }

    #[test]
    fn nothing_secret_and_nothing_known_is_shown() {
        for line in [
            "sh -c s3cret",
            "python3 -c s3cret",
            "node -e s3cret",
            "java",
            "python3 -i",
        ] {
            assert_eq!(shown(line, "x"), None, "{line}");
        }
        assert_eq!(shown("/usr/sbin/nginx -g s3cret", "nginx"), None);
        assert_eq!(short(&["nginx: worker process".into()], "nginx"), None);
        assert_eq!(
            shown("/opt/very-long-program-name", "very-long-progr"),
            None
        );
        assert_eq!(
            shown("/opt/checkout -k s3cret", "worker-3").as_deref(),
            Some("checkout")
        );
        assert_eq!(shown("/proc/self/exe init", "x"), None);
        assert_eq!(short(&[], "x"), None);
    }

    proptest! {
        #[test]
        fn any_arguments_are_taken(arguments in prop::collection::vec("\\PC{0,12}", 0..6), comm in "\\PC{0,15}") {
            let shown = short(&arguments, &comm).unwrap_or_default();
            prop_assert!(shown.chars().count() <= LONGEST);
        }
    }
}
