"""A server that works hard for each request, one after the other."""

import socket

listener = socket.create_server(("127.0.0.1", 8080), backlog=512)
while True:
    connection, _ = listener.accept()
    try:
        connection.recv(4096)
        sum(number * number for number in range(600_000))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    except OSError:
        pass
    connection.close()
