"""A server of sessions, with a thread for each: it greets, and then only writes, a heartbeat every 100 s if there is no
news. So it learns late that a client has gone: the write fails, and it closes."""

import queue
import socket
import threading


def session(connection):
    news = queue.Queue()
    try:
        connection.recv(4096)
        connection.sendall(b"welcome\n")
        while True:
            try:
                message = news.get(timeout=100)
            except queue.Empty:
                message = b"still here\n"
            connection.sendall(message)
    except OSError:
        pass
    finally:
        connection.close()


listener = socket.create_server(("127.0.0.1", 8080), backlog=256)
while True:
    threading.Thread(target=session, args=(listener.accept()[0],), daemon=True).start()
