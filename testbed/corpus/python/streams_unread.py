"""A client that streams answers, and returns early when the status is not 200: the answer stays open."""

import sys
import time

import requests

session = requests.Session()
failed = []
for number in range(int(sys.argv[1])):
    answer = session.get(f"http://127.0.0.1:8080/item/{number}", stream=True)
    if answer.status_code != 200:
        failed.append(answer)  # kept for a retry that never comes
        continue
    answer.content
time.sleep(3600)
