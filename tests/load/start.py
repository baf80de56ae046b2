"""Starts a server some times, and says how long it takes until it says that it listens."""

import statistics
import subprocess
import sys
import time

times = []
for _ in range(20):
    start = time.perf_counter()
    server = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    server.stdout.readline()
    times.append((time.perf_counter() - start) * 1000)
    server.kill()
    server.wait()
print(f"listening after {statistics.median(times[1:]):.0f} ms (median), {max(times[1:]):.0f} ms (longest)")
