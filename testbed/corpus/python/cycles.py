"""A client that never closes: its sockets are in reference cycles, and end when the collector runs."""

import gc
import socket
import time


class Call:
    def __init__(self):
        self.connection = socket.create_connection(("127.0.0.1", 8080))
        self.me = self

    def ask(self):
        self.connection.sendall(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
        return self.connection.recv(65536)


gc.disable()
number = 0
while True:
    Call().ask()
    number += 1
    if number % 200 == 0:
        gc.collect()
    time.sleep(0.25)
