"""An HTTP server that behaves well: what the clients of the corpus are pointed at."""

import argparse
import socket
import ssl
import threading
import time

REASONS = {200: "OK", 404: "Not Found", 429: "Too Many Requests", 500: "Internal Server Error", 503: "Service Unavailable"}

parser = argparse.ArgumentParser()
parser.add_argument("port", type=int)
parser.add_argument("--status", type=int, default=200)
parser.add_argument("--every", type=int, default=1, help="only each Nth request has that status, the others 200")
parser.add_argument("--body", type=int, default=300, help="bytes of the answer's body")
parser.add_argument("--idle", type=float, help="seconds until an idle connection is closed; without: closed after an answer")
parser.add_argument("--delay", type=float, default=0.0, help="seconds until the answer")
parser.add_argument("--goodbye", default="", help="what is sent before an idle connection is closed")
parser.add_argument("--tls", help="a file with a key and a certificate")
parser.add_argument("--brief", action="store_true", help="with --tls: does not wait for the client's close_notify after its own")
options = parser.parse_args()

count = 0
lock = threading.Lock()


def status():
    global count
    with lock:
        count += 1
        return options.status if count % options.every == 0 else 200


def answer():
    code = status()
    kept = "close" if options.idle is None else "keep-alive"
    head = (
        f"HTTP/1.1 {code} {REASONS.get(code, 'Other')}\r\nContent-Type: text/plain\r\n"
        f"Content-Length: {options.body}\r\nConnection: {kept}\r\n\r\n"
    )
    return head.encode() + b"x" * options.body


def request(connection, rest):
    while b"\r\n\r\n" not in rest:
        more = connection.recv(65536)
        if not more:
            return None
        rest += more
    return rest.split(b"\r\n\r\n", 1)[1]


def serve(connection):
    try:
        if options.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(options.tls)
            connection = context.wrap_socket(connection, server_side=True)
        connection.settimeout(options.idle)
        rest = b""
        while True:
            rest = request(connection, rest)
            if rest is None:
                break
            time.sleep(options.delay)
            connection.sendall(answer())
            if options.idle is None:
                break
    except TimeoutError:
        connection.sendall(options.goodbye.encode())
        if options.tls:
            try:
                connection.settimeout(0 if options.brief else options.idle)
                connection.unwrap()
            except OSError:
                pass
    except OSError:
        pass
    finally:
        connection.close()


listener = socket.create_server(("127.0.0.1", options.port), backlog=1024)
while True:
    accepted = listener.accept()[0]
    threading.Thread(target=serve, args=(accepted,), daemon=True).start()
