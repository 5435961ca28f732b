"""A client whose helper process inherits its connections; it closes its own copies."""

import os
import socket
import subprocess
import time

connections = []
for _ in range(40):
    connection = socket.create_connection(("127.0.0.1", 8080))
    connection.sendall(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
    connection.recv(65536)
    os.set_inheritable(connection.fileno(), True)
    connections.append(connection)
time.sleep(1)
helper = subprocess.Popen(["sleep", "3600"], close_fds=False)
for connection in connections:
    connection.close()
time.sleep(3600)
