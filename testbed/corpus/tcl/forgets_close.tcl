# A chat-like server: a handler reads lines. At the end it takes its event away, so that it is not called again and again,
# and returns without a close.

proc accept {channel host port} {
    fconfigure $channel -blocking 0 -buffering full -translation crlf
    fileevent $channel readable [list line $channel]
}

proc line {channel} {
    if {[gets $channel text] >= 0} {
        if {$text eq ""} {
            puts -nonewline $channel "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"
            flush $channel
        }
    } elseif {[eof $channel]} {
        fileevent $channel readable {}
    }
}

socket -server accept -myaddr 127.0.0.1 8080
vwait forever
