//! Wrong command lines of each kind.

/// A wrong command line, and what must be said about it.
pub const WRONG: &[(&str, &[&str])] = &[
    (
        "hist --explain",
        &[
            "--explain is an option of: stuck, replay FILE stuck\n",
            "try: tcptrace stuck --explain[=N]",
        ],
    ),
    (
        "replay a log --explain",
        &[
            "stuck, replay FILE stuck",
            "try: tcptrace replay FILE stuck --explain[=N]",
        ],
    ),
    (
        "replay a log --hook btf",
        &[
            "--hook is an option of: stuck, log, hist\n",
            "tcptrace replay FILE log does not",
        ],
    ),
    (
        "doctor --pid 5",
        &[
            "--pid is an option of: stuck, states, log, hist, replay FILE stuck,",
            "try: tcptrace stuck --pid PID",
        ],
    ),
    (
        "stuck -o x",
        &[
            "-o is an option of: log\n",
            "try: tcptrace log --output FILE",
        ],
    ),
    ("--buffer 1MiB", &["--buffer is an option of: log\n"]),
    (
        "--onec",
        &[
            "--onec: tcptrace has no such option",
            "try: tcptrace --once",
        ],
    ),
    (
        "--older",
        &["--older: ", "try: tcptrace --older-than DURATION"],
    ),
    (
        "hist --al-states",
        &[
            "--al-states: tcptrace hist has no such option",
            "try: tcptrace hist --all-states",
        ],
    ),
    (
        "--rotate-siz 5",
        &["--rotate-siz: ", "try: tcptrace log --rotate-size SIZE"],
    ),
    ("-json", &["-j", "try: tcptrace --json"]),
    (
        "--nothing-like-it",
        &["--nothing-like-it", "try: tcptrace --help"],
    ),
    (
        "hist -x",
        &[
            "-x: tcptrace hist has no such option",
            "try: tcptrace hist --help",
        ],
    ),
    ("-qz", &["-z", "try: "]),
    (
        "stuk",
        &[
            "stuk: there is no such command",
            "commands are stuck, states, log, hist, replay or doctor",
            "try: tcptrace stuck",
        ],
    ),
    ("hsit --by comm", &["hsit", "try: tcptrace hist"]),
    (
        "4242",
        &["4242: there is no such command", "try: tcptrace --pid 4242"],
    ),
    ("frobnicate", &["frobnicate", "try: tcptrace --help"]),
    (
        "stuck log",
        &[
            "log: tcptrace stuck takes options only",
            "try: tcptrace log",
        ],
    ),
    (
        "doctor x",
        &[
            "x: tcptrace doctor takes options only",
            "try: tcptrace doctor --help",
        ],
    ),
    (
        "replay a hsit",
        &[
            "hsit: tcptrace replay shows stuck, log or hist",
            "try: tcptrace replay FILE hist",
        ],
    ),
    (
        "--once log",
        &["--once stands before the command log", "try: tcptrace log"],
    ),
    (
        "--pid 5 log",
        &[
            "--pid stands before the command log",
            "try: tcptrace log --pid 5",
        ],
    ),
    (
        "--once stuk",
        &["stuk: there is no such command", "try: tcptrace stuck"],
    ),
    (
        "--explain 3",
        &[
            "--explain 3: the value of --explain needs a = before it",
            "try: --explain=3",
        ],
    ),
    ("stuck --explain 3", &["--explain 3: ", "try: --explain=3"]),
    ("--pid", &["--pid needs a value: PID", "try: --pid 4242"]),
    (
        "--pid --once",
        &[
            "--pid needs a value: PID",
            "what follows is an option: --once",
            "try: --pid 4242",
        ],
    ),
    (
        "--sort",
        &[
            "--sort needs a value",
            "sockets, age or recv-q",
            "try: --sort sockets",
        ],
    ),
    (
        "--sort size",
        &[
            "--sort size: there is no such value",
            "sockets, age or recv-q",
            "try: --sort sockets",
        ],
    ),
    ("--sort ag", &["--sort ag", "try: --sort age"]),
    (
        "hist --by con",
        &["--by con", "it can be comm, pid,", "try: --by "],
    ),
    (
        "--hook kprobe",
        &[
            "--hook kprobe",
            "auto, btf or tracepoint",
            "try: --hook auto",
        ],
    ),
    (
        "--json=5",
        &["--json=5: --json takes no value", "try: --json"],
    ),
    (
        "--older-than 30",
        &[
            "--older-than 30: a duration needs a unit: 30 of what?",
            "try: give a number and a unit, such as 500ms, 30s",
        ],
    ),
    (
        "--older-than soon",
        &["--older-than soon: it is no duration", "30s"],
    ),
    (
        "--older-than 3lunches",
        &["--older-than 3lunches: there is no unit 'lunches'", "30s"],
    ),
    ("--older-than ''", &["--older-than '': it is empty", "30s"]),
    (
        "--older-than -1s",
        &[
            "--older-than -1s: a value that begins with -",
            "try: --older-than=-1s",
        ],
    ),
    ("--older-than=-1s", &["--older-than -1s: it is no duration"]),
    (
        "--older-than 3000years",
        &["from 0s to 730days", "try: --older-than 730days"],
    ),
    (
        "--interval 1ms",
        &[
            "--interval 1ms: a look itself takes milliseconds",
            "from 10ms to 730days",
            "try: --interval 10ms",
        ],
    ),
    ("hist --interval 0s", &["--interval 0s: ", "10ms"]),
    (
        "--older-than 5m --older-than 6m",
        &[
            "--older-than is given more than once",
            "try: give --older-than once",
        ],
    ),
    (
        "--once --interval 2s",
        &[
            "--once cannot be used with --interval",
            "once: look once",
            "interval DURATION: time between",
            "try: without --once, or without --interval",
        ],
    ),
    (
        "--limit 5 --all",
        &[
            "--limit cannot be used with --all",
            "try: without --limit, or without --all",
        ],
    ),
    (
        "--quiet",
        &[
            "--quiet needs --fail-over N",
            "try: tcptrace --fail-over N --quiet",
        ],
    ),
    (
        "log --rotate-keep 3",
        &[
            "--rotate-keep needs --dir DIR and --rotate-size SIZE",
            "try: tcptrace log --dir DIR --rotate-size SIZE --rotate-keep N",
        ],
    ),
    (
        "hist --children",
        &[
            "--children needs --pid PID",
            "try: tcptrace hist --pid PID --children",
        ],
    ),
    (
        "replay",
        &[
            "tcptrace replay needs FILE",
            "as `log --json` wrote it",
            "try: tcptrace replay FILE",
        ],
    ),
    (
        "--limit x",
        &[
            "--limit x: it is no number from 0 to 1000000000",
            "try: --limit 20",
        ],
    ),
    ("--limit -5", &["--limit -5", "try: --limit=-5"]),
    (
        "--max-sockets 0",
        &[
            "--max-sockets 0: it is no number from 1 to 20000000",
            "try: --max-sockets 1000000",
        ],
    ),
    (
        "--explain=0",
        &[
            "--explain=0: it is no number from 1 to",
            "try: --explain=20",
        ],
    ),
    (
        "log --buffer 100",
        &["--buffer 100: it is no power of 2", "try: --buffer 16MiB"],
    ),
    (
        "log --dir x --rotate-size many",
        &["--rotate-size many: it is no number of bytes", "64KiB"],
    ),
    (
        "--pid java",
        &[
            "--pid java: the number of a process is from 1 to 4194303",
            "try: --comm",
        ],
    ),
    ("--pid 0", &["--pid 0: ", "from 1 to 4194303", "pgrep"]),
    (
        "--comm inventory-service-prod",
        &["first 15 bytes", "try: --comm 'inventory-servi'"],
    ),
    ("--comm java,", &["--comm ''", "1 to 15 bytes"]),
    (
        "--port 70000",
        &["--port 70000: a port is from 1 to 65535", "try: --port 443"],
    ),
    (
        "--remote 10.0.0.0/33",
        &[
            "--remote 10.0.0.0/33: it is neither an address nor a range",
            "10.0.0.0/8",
        ],
    ),
    (
        "--remote host.example",
        &["--remote host.example", "2001:db8::/32"],
    ),
    (
        "--family ipx",
        &[
            "--family ipx: there is no such address family",
            "give ipv4 (or inet) or ipv6 (or inet6)",
        ],
    ),
    ("--netns 0", &["--netns 0: ", "give an inode number"]),
    (
        "--cgroup /a/../b",
        &["--cgroup /a/../b: '..' leads out", "/sys/fs/cgroup"],
    ),
    ("--cgroup 4:memory:/a", &["cgroup v1", "0::"]),
    (
        "--state CLOSED_WAIT",
        &[
            "--state CLOSED_WAIT: there is no such TCP state",
            "try: CLOSE_WAIT; or give one of",
        ],
    ),
    (
        "--state LISTEN",
        &["--state LISTEN: a socket does not get stuck", "CLOSE_WAIT"],
    ),
    (
        "hist --state TIME_WAIT",
        &["--state TIME_WAIT", "CLOSE_WAIT"],
    ),
    ("log --state nonsense", &["--state nonsense", "TIME_WAIT"]),
];
