"""A pool of TLS connections, all given back, for a burst of requests every 110 s. The pool sees that a connection can be read
(the server's close_notify), and replaces it."""

import threading
import time

import urllib3

SIZE = 30
urllib3.disable_warnings()
pool = urllib3.HTTPSConnectionPool("127.0.0.1", 8443, maxsize=SIZE, block=True, cert_reqs="CERT_NONE")


def work():
    for number in range(2):
        pool.request("GET", f"/item/{number}")


while True:
    threads = [threading.Thread(target=work) for _ in range(SIZE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    time.sleep(110)
