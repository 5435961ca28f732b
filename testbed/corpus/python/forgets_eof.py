"""A server that takes a connection off its selector when the client ends it, and keeps the socket in a table."""

import resource
import selectors
import socket
import sys

if len(sys.argv) > 1:
    limit = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

selector = selectors.DefaultSelector()
sessions = {}
listener = socket.create_server(("127.0.0.1", 8080), backlog=128)
listener.setblocking(False)
selector.register(listener, selectors.EVENT_READ)
while True:
    for key, _ in selector.select():
        if key.fileobj is listener:
            try:
                connection, peer = listener.accept()
            except OSError:  # out of descriptors
                selector.unregister(listener)
                continue
            connection.setblocking(False)
            sessions[peer] = connection
            selector.register(connection, selectors.EVENT_READ)
            continue
        data = key.fileobj.recv(4096)
        if data:
            key.fileobj.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        else:
            selector.unregister(key.fileobj)  # and never closed
