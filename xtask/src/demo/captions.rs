//! The text between the parts. Each line is shown after a `#`.

pub const BEGIN: &str = "\
A demo of tcptrace, in a separate network namespace: the story of a server that froze.

shop       is a server with 20 request threads. For each request it asks prices, over a connection of a pool of 50.
prices     is out of order: it answers 503 and closes. The shop gives a connection back only after a 200, and forgets
           the others: each stays in CLOSE_WAIT. When all 50 are gone, its request threads wait for one, for ever.
customers  ask the shop, wait for half a second, and give up.

170 customers come now, before tcptrace starts.";

pub const ONE_LOOK: &str = "\
1. One look. Here a socket is stuck after 2 s in CLOSE_WAIT (30 s by default).";

pub const ONE_LOOK_SAID: &str = "\
The first line counts, the second judges: nothing is called a leak before it has lasted for a minute.
The first row is the fault: 50 connections to prices that were leased and never given back. The second row is larger
and only follows from it: the customers that the shop let wait have closed. Who mends that row mends nothing.
RECV-Q is what the shop has not read: of the 503, or of a customer's request.";

pub const LIVE: &str = "\
2. Live, for a minute. tcptrace watches whether any of them leaves. More customers come after 5 s.";

pub const LIVE_SAID: &str = "\
Now it is a leak: a minute has passed, nothing has left. The summary says who, and what to do next.";

pub const EXPLAIN: &str = "\
3. Why, and what to do: --explain. Here for the first group.";

pub const END: &str = "\
The demo is over; its processes and its network namespace are gone.
On your machine: sudo tcptrace";

pub const INTERRUPTED: &str =
    "The demo was interrupted; its processes and its network namespace are gone.";
