%% A server that wants to have its last word after a client's end: {exit_on_close, false}. A session is a process of its own,
%% but the socket belongs to the one that accepted it: nobody called controlling_process. When the session's process returns
%% after {error, closed}, the socket stays, for the acceptor lives on.
-module(forgets).
-export([start/0]).

start() ->
    {ok, Listener} = gen_tcp:listen(8080, [binary, {active, false}, {exit_on_close, false}, {reuseaddr, true}, {backlog, 128}]),
    accept(Listener).

accept(Listener) ->
    {ok, Socket} = gen_tcp:accept(Listener),
    spawn(fun() -> session(Socket) end),
    accept(Listener).

session(Socket) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, _Request} ->
            ok = gen_tcp:send(Socket, <<"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok">>),
            session(Socket);
        {error, closed} ->
            ok
    end.
