"""A client that takes connections from its pool by hand, and gives back only those whose command succeeded: the pool counts
the others as taken for ever."""

import time

import redis

pool = redis.ConnectionPool(host="127.0.0.1", max_connections=200)
redis.Redis(connection_pool=pool).set("basket", "not a list")
for number in range(120):
    connection = pool.get_connection("EVAL")
    command = ("GET", "basket") if number % 2 else ("LPUSH", "basket", "1")
    try:
        connection.send_command(*command)
        connection.read_response()
        pool.release(connection)
    except redis.ResponseError as error:
        print(f"basket: {error}", flush=True)
    time.sleep(0.05)
time.sleep(3600)
