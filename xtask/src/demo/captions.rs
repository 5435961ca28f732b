//! What is said between the parts. Each line is shown behind a `#`.

pub const BEGIN: &str = "\
A demo of tcptrace, in a network namespace of its own.

checkout   asks the HTTP server api-server for prices. The server is out of order: it answers 503 and closes.
           checkout's connection pool gives a connection back only after a 200. It forgets the others: each stays
           in CLOSE_WAIT, with the rest of the answer unread, for as long as checkout lives.
job-queue  listens, and is too busy to accept. 30 workers connect, wait for 0.2 s and give up.

200 connections of the pool leak now, before tcptrace is started.";

pub const ONE_LOOK: &str = "\
1. One look. Stuck is what has been in CLOSE_WAIT for 2 s here (30 s unless told otherwise).";

pub const ONE_LOOK_SAID: &str = "\
First the groups: which process holds how many sockets towards whom. The 200 belong to checkout, towards the
server's port: that is where to look for the missing close. The 30 that nobody accepted belong to nobody yet, so
they are shown with the listener that should accept them, as 'never' accepted.
Then the sockets, oldest first. RECV-Q is what the process has not read: the rest of the 503, or the job.
An age with a >= sign before it is a lower bound: these were stuck before tcptrace was there to see it.";

pub const LIVE: &str = "\
2. Live. While tcptrace watches, another process that uses the same pool, basket, leaks 60 connections; and after
   5 s job-queue accepts 10 of the 30, too late to be of use, but it closes them.";

pub const LIVE_SAID: &str = "\
basket's ages are exact, without the sign: tcptrace saw each of its sockets enter CLOSE_WAIT.
The summary says what a session adds to a look: how many were stuck at once, how many came, how many went. Those
that went were job-queue's 10; of the pools' 260 none did, and that is the leak.";

pub const END: &str = "\
The demo is over; its processes and its network namespace are gone.
On your machine: sudo tcptrace";

pub const INTERRUPTED: &str =
    "The demo was interrupted; its processes and its network namespace are gone.";
