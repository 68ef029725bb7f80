"""Starts a program and writes what it cost. A process of its own, and a small one: on Linux a child's peak memory begins with
that of the process that started it."""

import json
import os
import sys
import time

answer, output = sys.argv[1:3]
begun = time.perf_counter()
child = os.fork()
if child == 0:
    target = os.open(output, os.O_WRONLY | os.O_TRUNC)
    os.dup2(target, 1)
    os.dup2(target, 2)
    try:
        # If memory runs out, it is the measured program that ends and nothing else.
        with open("/proc/self/oom_score_adj", "w") as score:
            score.write("1000")
    except OSError:
        pass
    try:
        os.execvp(sys.argv[3], sys.argv[3:])
    finally:
        os._exit(127)
_, status, usage = os.wait4(child, 0)
wall = time.perf_counter() - begun
# Kilobytes on Linux, bytes on macOS.
peak_mb = usage.ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)
with open(answer, "w") as file:
    json.dump({"wall": wall, "peak_mb": peak_mb, "code": os.waitstatus_to_exitcode(status)}, file)
