//! The text between the parts. Each line is shown after a `#`.

pub const BEGIN: &str = "\
A demo of tcptrace, in a separate network namespace.

checkout   asks the HTTP server api-server for prices. The server is out of order: it answers 503 and closes.
           checkout's connection pool only gives a connection back after a 200. It forgets the others: each stays
           in CLOSE_WAIT, with the rest of the answer unread, as long as checkout runs.
job-queue  listens, and is too busy to accept. 30 workers connect, wait for 0.2 s and give up.

200 connections of the pool leak now, before tcptrace starts.";

pub const ONE_LOOK: &str = "\
1. One look. Here a socket is stuck after 2 s in CLOSE_WAIT (30 s by default).";

pub const ONE_LOOK_SAID: &str = "\
First the groups: each shows a process, where its sockets go to or come in, and their number. The 200 belong to
checkout and go to the server's port: look there for the missing close. No process has accepted the other 30 yet, so
tcptrace shows them with the listener that should accept them, as 'never' accepted.
Then the sockets, oldest first. RECV-Q is what the process has not read: the rest of the 503, or the job. 0/1/+ is how
many sockets have nothing unread, one byte, and more.
These sockets were stuck before tcptrace started: an age may lie between two bounds.";

pub const LIVE: &str = "\
2. Live. While tcptrace watches, another process that uses the same pool, basket, leaks 60 connections; and after
   5 s job-queue accepts 10 of the 30. This is too late for the workers, but job-queue closes the sockets.";

pub const LIVE_SAID: &str = "\
basket's ages are exact: tcptrace saw each of its sockets enter CLOSE_WAIT.
The summary shows what a session adds to a look: how many sockets were stuck at once, how many entered the state,
and how many left it. job-queue's 10 left; none of the pools' 260 did: these are the leak.";

pub const END: &str = "\
The demo is over; its processes and its network namespace are gone.
On your machine: sudo tcptrace";

pub const INTERRUPTED: &str =
    "The demo was interrupted; its processes and its network namespace are gone.";
