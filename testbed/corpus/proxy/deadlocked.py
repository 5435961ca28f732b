"""An application behind a proxy: eight threads, two locks, and two orders in which they are taken. Sooner or later no
thread comes back, and what is accepted stays in the queue."""

import queue
import socket
import threading
import time

accepted = queue.Queue()
stock, orders = threading.Lock(), threading.Lock()


def work(first, second):
    while True:
        connection = accepted.get()
        connection.recv(4096)
        with first:
            time.sleep(0.05)
            with second:
                connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
        connection.close()


for number in range(8):
    order = (stock, orders) if number % 2 else (orders, stock)
    threading.Thread(target=work, args=order, daemon=True).start()
listener = socket.create_server(("127.0.0.1", 9090), backlog=256)
while True:
    accepted.put(listener.accept()[0])
