"""A client that keeps connections whose server has closed, and says goodbye on most of them: the answer is a reset. They
leave CLOSE_WAIT, and stay open."""

import socket
import time

kept = []
for _ in range(60):
    connection = socket.create_connection(("127.0.0.1", 8080))
    connection.sendall(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
    connection.recv(65536)
    kept.append(connection)
time.sleep(1)
for connection in kept[:50]:
    try:
        connection.sendall(b"QUIT\r\n")
    except OSError:
        pass
time.sleep(3600)
