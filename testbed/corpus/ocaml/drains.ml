(* A server with three threads for its work, each piece of which takes four seconds. SIGTERM means: close the listener, finish
   what has been accepted, and end. Most clients do not wait for that. *)
let queue = Queue.create ()
let lock = Mutex.create ()
let more = Condition.create ()
let draining = ref false

let serve client =
  let buffer = Bytes.create 4096 in
  (try
     ignore (Unix.read client buffer 0 4096);
     Thread.delay 4.0;
     let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok" in
     ignore (Unix.write_substring client answer 0 (String.length answer))
   with Unix.Unix_error _ -> ());
  Unix.close client

let rec work () =
  Mutex.lock lock;
  while Queue.is_empty queue && not !draining do Condition.wait more lock done;
  let next = Queue.take_opt queue in
  Mutex.unlock lock;
  match next with
  | Some client -> serve client; work ()
  | None -> ()

let rec accept listener =
  (match Unix.select [ listener ] [] [] 0.2 with
   | _ :: _, _, _ ->
     let client, _ = Unix.accept listener in
     Mutex.lock lock;
     Queue.add client queue;
     Condition.signal more;
     Mutex.unlock lock
   | _ -> ()
   | exception Unix.Unix_error (Unix.EINTR, _, _) -> ());
  if not !draining then accept listener

let () =
  Sys.set_signal Sys.sigpipe Sys.Signal_ignore;
  Sys.set_signal Sys.sigterm (Sys.Signal_handle (fun _ -> draining := true));
  let listener = Unix.socket Unix.PF_INET Unix.SOCK_STREAM 0 in
  Unix.setsockopt listener Unix.SO_REUSEADDR true;
  Unix.bind listener (Unix.ADDR_INET (Unix.inet_addr_loopback, 8080));
  Unix.listen listener 128;
  let workers = List.init 3 (fun _ -> Thread.create work ()) in
  accept listener;
  Unix.close listener;
  Mutex.lock lock;
  Condition.broadcast more;
  Mutex.unlock lock;
  List.iter Thread.join workers
