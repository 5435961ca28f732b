"""A pool of connections that all were used and given back, and that nobody needs now."""

import sys
import threading
import time

import urllib3

size = int(sys.argv[1])
pool = urllib3.HTTPConnectionPool("127.0.0.1", 8080, maxsize=size, block=True)
together = threading.Barrier(size)


def work():
    for number in range(3):
        together.wait()
        pool.request("GET", f"/item/{number}")


threads = [threading.Thread(target=work) for _ in range(size)]
for thread in threads:
    thread.start()
time.sleep(3600)
