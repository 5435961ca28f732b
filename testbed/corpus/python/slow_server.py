"""A server that needs some time for each request, and whose clients are impatient: it closes each when it is done."""

import socket
import sys
import threading
import time

SECONDS = float(sys.argv[1])


def serve(connection):
    try:
        connection.recv(4096)
        time.sleep(SECONDS)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    except OSError:
        pass
    finally:
        connection.close()


listener = socket.create_server(("127.0.0.1", 8080), backlog=256)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
