"""Clients of the corpus's servers."""

import argparse
import socket
import threading
import time

parser = argparse.ArgumentParser()
parser.add_argument("port", type=int)
parser.add_argument(
    "what",
    choices=["abandon", "ask", "read", "half", "deaf", "silent"],
    help="abandon: closes after --hold, answered or not. ask: reads once, and closes after --hold. read: reads to the end, "
    "and closes after --hold. half: ends its own direction, and reads to the end. deaf: ends it, and reads nothing. "
    "silent: asks nothing, and closes after --hold.",
)
parser.add_argument("--count", type=int, default=100)
parser.add_argument("--rate", type=float, default=20.0, help="connections per second")
parser.add_argument("--hold", type=float, default=0.3, help="seconds")
parser.add_argument("--pace", type=int, default=0, help="half: no more bytes than so many are read in a second")
parser.add_argument("--request", default="GET /item HTTP/1.1\r\nHost: shop\r\n\r\n")
options = parser.parse_args()

REQUEST = options.request.encode().decode("unicode_escape").encode()
kept = []


def call():
    connection = socket.socket()
    if options.what == "deaf" or options.pace:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, max(4096, options.pace))
    try:
        connection.connect(("127.0.0.1", options.port))
        if options.what != "silent":
            connection.sendall(REQUEST)
        if options.what in ("half", "deaf"):
            connection.shutdown(socket.SHUT_WR)
            kept.append(connection)
            while options.what == "half" and connection.recv(options.pace or 65536):
                time.sleep(1 if options.pace else 0)
            return
        if options.what == "ask":
            connection.settimeout(5)
            connection.recv(65536)
        while options.what == "read" and connection.recv(65536):
            pass
        time.sleep(options.hold)
    except OSError:
        pass
    connection.close()


for _ in range(options.count):
    threading.Thread(target=call, daemon=True).start()
    time.sleep(1 / options.rate)
time.sleep(3600)
