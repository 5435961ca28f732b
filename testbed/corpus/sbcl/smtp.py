"""A mail server that says goodbye to sessions that idle for 5 s, as SMTP wants it."""

import socket
import threading

listener = socket.create_server(("127.0.0.1", 2525), backlog=128)


def session(connection):
    connection.settimeout(5)
    lines = connection.makefile("rb")
    in_data = False
    try:
        connection.sendall(b"220 mail ready\r\n")
        for line in lines:
            word = line.strip().upper()
            if in_data and word != b".":
                continue
            connection.sendall(b"354 go on\r\n" if word == b"DATA" else b"250 OK\r\n")
            in_data = word == b"DATA"
    except TimeoutError:
        connection.sendall(b"421 4.4.2 mail idle for too long, goodbye\r\n")
    lines.close()
    connection.close()


while True:
    threading.Thread(target=session, args=(listener.accept()[0],), daemon=True).start()
