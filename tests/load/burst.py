"""Sends as many invocations at once as it is told, on a connection each, and says when all are answered."""

import argparse
import selectors
import socket
import time

arguments = argparse.ArgumentParser(description=__doc__)
arguments.add_argument("port", type=int)
arguments.add_argument("path")
arguments.add_argument("count", type=int)
arguments.add_argument("body")
arguments = arguments.parse_args()

body = arguments.body.encode()
head = f"POST {arguments.path} HTTP/1.1\r\nhost: lambda\r\ncontent-length: {len(body)}\r\n\r\n"
connections = [socket.create_connection(("127.0.0.1", arguments.port)) for _ in range(arguments.count)]
selector = selectors.DefaultSelector()
start = time.perf_counter()
for connection in connections:
    connection.sendall(head.encode() + body)
    selector.register(connection, selectors.EVENT_READ)
answered = failed = 0
while answered + failed < arguments.count:
    ready = selector.select(60)
    if not ready:
        break
    for key, _ in ready:
        if key.fileobj.recv(4096).startswith(b"HTTP/1.1 200 "):
            answered += 1
        else:
            failed += 1
        selector.unregister(key.fileobj)
seconds = time.perf_counter() - start
print(f"{answered} of {arguments.count} answered after {seconds:.2f} s, {failed} with an error")
