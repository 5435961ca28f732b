# A server with one event loop, and a handler that asks another server with a channel that blocks. While it waits, nothing
# is accepted.

proc accept {channel host port} {
    fconfigure $channel -translation crlf -buffering line
    while {[gets $channel text] > 0} {}
    set upstream [socket 127.0.0.1 9090]
    fconfigure $upstream -translation crlf -buffering line
    puts $upstream "GET /stock HTTP/1.1\nHost: stock\n"
    set answer [gets $upstream]
    close $upstream
    catch {
        puts $channel $answer
        close $channel
    }
}

socket -server accept -myaddr 127.0.0.1 8080
vwait forever
