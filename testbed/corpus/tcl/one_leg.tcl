# A relay that copies in both directions. When the answer has passed it closes the client's channel. The upstream's, whose
# end it has just read, it leaves to the other direction, which never runs again: its client is gone.

proc accept {client host port} {
    set upstream [socket 127.0.0.1 9090]
    foreach channel [list $client $upstream] {
        fconfigure $channel -blocking 0 -buffering none -translation binary
    }
    fileevent $client readable [list pass $client $upstream]
    fcopy $upstream $client -command [list answered $client]
}

proc pass {client upstream} {
    set data [read $client]
    if {[eof $client]} {
        fileevent $client readable {}
    } else {
        puts -nonewline $upstream $data
    }
}

proc answered {client bytes args} {
    close $client
}

socket -server accept -myaddr 127.0.0.1 8080
vwait forever
