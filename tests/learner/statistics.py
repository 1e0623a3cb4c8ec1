#!/usr/bin/env python3
"""The same draws, and numpy's means and percentiles of them: does statistics.c agree?

    statistics.py PRINT_STATISTICS
"""
import os
import subprocess
import sys

try:
    import numpy as np
except ImportError:
    # Debian's python has Debian's numpy; another one on the path may not.
    if sys.executable != "/usr/bin/python3" and os.path.exists("/usr/bin/python3"):
        os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])
    print("no numpy")
    sys.exit(77)


def iqm(values):
    values = np.sort(values)
    cut = int(0.25 * len(values))  # as scipy.stats.trim_mean
    return values[cut:len(values) - cut].mean()


def improvement(x, y):
    return np.mean([np.mean((a[:, None] > b) + 0.5 * (a[:, None] == b)) for a, b in zip(x, y)])


def check(name, told, value, draws):
    wanted = np.array([value, *np.percentile(draws, [2.5, 97.5])])
    assert np.allclose(told, wanted, rtol=1e-12, atol=1e-12), f"{name}: told {told}, numpy {wanted}"
    assert told[1] < told[0] < told[2], f"{name}: {told}"


runs, draws, told = {0: [], 1: []}, {}, {}
for line in subprocess.run([sys.argv[1]], check=True, capture_output=True, text=True).stdout.splitlines():
    word, *numbers = line.split()
    if word == "runs":
        runs[int(numbers[0])].append(np.array(numbers[1:], float))
    elif word == "draw":
        draws[tuple(map(int, numbers[:3]))] = np.array(numbers[3:], int)
    else:
        told[word] = np.array(numbers, float)

x, y = runs[0], runs[1]
count = 1 + max(draw for _, draw, _ in draws)
check("iqm", told["iqm"], iqm(np.concatenate(x)),
      [iqm(np.concatenate([x[s][draws[0, d, s]] for s in range(len(x))])) for d in range(count)])
check("improvement", told["improvement"], improvement(x, y),
      [improvement([x[s][draws[1, d, 2 * s]] for s in range(len(x))],
                   [y[s][draws[1, d, 2 * s + 1]] for s in range(len(y))]) for d in range(count)])
