"""A pool for which many threads have asked at once. All connections were given back; a quiet hour follows."""

import threading
import time

import redis

client = redis.Redis(connection_pool=redis.BlockingConnectionPool(max_connections=40, host="127.0.0.1"))


def work(number):
    client.set(f"item:{number}", number)
    client.blpop([f"never:{number}"], timeout=1 + number * 0.05)


threads = [threading.Thread(target=work, args=(number,)) for number in range(40)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
time.sleep(3600)
