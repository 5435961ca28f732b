"""A server with a process for each connection, that ends minutes after its client."""

import os
import signal
import socket
import time

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
listener = socket.create_server(("127.0.0.1", 8080), backlog=128)
while True:
    connection, _ = listener.accept()
    if os.fork() == 0:
        listener.close()
        connection.recv(4096)
        time.sleep(int(os.environ.get("SECONDS", "300")))  # a long piece of work
        connection.close()
        os._exit(0)
    connection.close()
