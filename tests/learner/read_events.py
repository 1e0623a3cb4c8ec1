#!/usr/bin/env python3
"""Does the real TensorBoard read our event files, and drop what a resumed run wrote again?

    read_events.py WRITE_EVENTS

The Python that has TensorBoard comes in BELIEFD_TEST_PYTHON; without it the test is skipped.
"""
import json
import math
import os
import subprocess
import sys
import tempfile

python = os.environ.get("BELIEFD_TEST_PYTHON")
if not python:
    print("no TensorBoard: BELIEFD_TEST_PYTHON is not set")
    sys.exit(77)
if len(sys.argv) == 2:
    os.execv(python, [python, *sys.argv, "with TensorBoard"])

try:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
except ImportError as error:
    print(f"no TensorBoard: {error}")
    sys.exit(77)


def write(directory, first, last, factor):
    subprocess.run([sys.argv[1], directory, str(first), str(last), str(factor)], check=True)


def check(directory, factors):
    """factors: of each iteration from 1, the factor that it was written with last."""
    events = EventAccumulator(directory, size_guidance={"scalars": 0})
    events.Reload()
    assert set(events.Tags()["scalars"]) == {"return/episode_1", "evidence", "policy/kl"}, events.Tags()
    expected = [(1000 * i, factor * i) for i, factor in enumerate(factors, 1)]
    seen = [(event.step, event.value) for event in events.Scalars("return/episode_1")]
    assert seen == expected, f"TensorBoard read {seen}, written was {expected}"
    assert [event.value for event in events.Scalars("evidence")] == [-1.5 * step / 1000 for step, _ in expected]
    for event in events.Scalars("policy/kl"):
        assert abs(event.value - 1e-3) < 1e-9 if event.step % 2000 else math.isnan(event.value), event
    times = [event.wall_time for event in events.Scalars("evidence")]
    assert times == sorted(times) and times[0] > 1.6e9

    with open(os.path.join(directory, "train.jsonl")) as file:
        lines = [json.loads(line) for line in file]
    assert [(line["frames"], line["return/episode_1"]) for line in lines] == expected
    assert [line["policy/kl"] for line in lines] == [1e-3 if i % 2 else None for i in range(1, len(lines) + 1)]


with tempfile.TemporaryDirectory() as directory:
    run = os.path.join(directory, "a", "run")
    write(run, 1, 10, 1)
    check(run, [1] * 10)
    write(run, 7, 12, 2)    # resumed from a checkpoint at iteration 6
    check(run, [1] * 6 + [2] * 6)
    with open(os.path.join(run, "train.jsonl"), "a") as file:
        file.write('{"frames":13000,"sec')  # died while writing
    write(run, 13, 14, 3)   # resumed where it ended
    check(run, [1] * 6 + [2] * 6 + [3] * 2)
    write(run, 1, 3, 4)     # begun anew
    check(run, [4] * 3)
    assert len([name for name in os.listdir(run) if "tfevents" in name]) == 4
print("TensorBoard reads all of it")
