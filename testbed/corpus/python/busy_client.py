"""A busy client, and a healthy one: the server closes first, it closes a moment later."""

import random
import socket
import threading
import time


def call():
    connection = socket.create_connection(("127.0.0.1", 8080))
    connection.sendall(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
    connection.recv(65536)
    time.sleep(random.uniform(0.02, 0.3))
    connection.close()


while True:
    threading.Thread(target=call, daemon=True).start()
    time.sleep(0.02)
