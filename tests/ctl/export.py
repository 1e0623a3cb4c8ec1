#!/usr/bin/env python3
"""All three formats of beliefctl export hold the same rows, those of the database; by numpy too where it is to be had."""
import ast
import csv
import json
import math
import sqlite3
import struct
import subprocess
import sys
import tempfile

BELIEFCTL, FILL = sys.argv[1:]


def run(*words, code=0):
    done = subprocess.run([BELIEFCTL, *words], capture_output=True)
    assert done.returncode == code, (words, done.stderr)
    return done.stdout if code == 0 else done.stderr.decode()


def npy_rows(data):
    """A structured array, read by its own head."""
    assert data[:8] == b"\x93NUMPY\x01\x00"
    size = struct.unpack("<H", data[8:10])[0]
    assert (10 + size) % 64 == 0
    head = ast.literal_eval(data[10:10 + size].decode())
    kinds = {"<u4": "I", "<u8": "Q", "|u1": "B", "|b1": "?", "<f4": "f"}
    layout = "<"
    for _, kind, *shape in head["descr"]:
        layout += kind[2:] + "s" if kind.startswith("|S") else f"{shape[0][0]}f" if shape else kinds[kind]
    rows = list(struct.iter_unpack(layout, data[10 + size:]))
    assert head["shape"] == (len(rows),)
    return [name for name, *_ in head["descr"]], rows


def floats(blob):
    return struct.unpack(f"<{len(blob) // 4}f", blob)


with tempfile.TemporaryDirectory() as directory:
    subprocess.run([FILL, directory, "3", "4000"], check=True, stdout=subprocess.DEVNULL)
    log = sqlite3.connect(f"{directory}/experience.db")
    log.execute("update session set name = 'other', model = 'arm' where id = 3")
    log.commit()
    expected = log.execute("""select s.name, t.seq, t.reward, t.observation, t.action, t.next_observation, t.taken_ms
                              from transition t join session s on s.id = t.session order by s.name, writer, seq""").fetchall()
    log.close()

    lines = [json.loads(line) for line in run("export", directory, "--format", "jsonl").splitlines()]
    table = list(csv.DictReader(run("export", directory).decode().splitlines()))
    names, rows = npy_rows(run("export", directory, "--format", "npy"))
    assert len(lines) == len(table) == len(rows) == len(expected) == 4000
    for line, cells, row, (name, seq, reward, s, a, s2, taken) in zip(lines, table, rows, expected):
        numbers = floats(s) + floats(a) + floats(s2)
        assert (line["session"], line["seq"], line["taken_ms"], line["status"]) == (name, seq, taken, "absorbed")
        assert (cells["session"], int(cells["seq"]), cells["status"]) == (name, seq, "absorbed")
        assert row[0].rstrip(b"\0").decode() == name and row[names.index("seq")] == seq and row[names.index("status")] == 1
        assert line["first"] == (seq % 1000 == 1) and int(cells["last"]) == (seq % 1000 == 0)
        vectors = line["observation"] + line["action"] + line["next_observation"]
        assert all(struct.pack("<f", x) == struct.pack("<f", y) for x, y in zip(vectors, numbers, strict=True))
        columns = [float(cells[k]) for k in cells if k[0] in "oan" and k[-1].isdigit()]
        assert all(struct.pack("<f", x) == struct.pack("<f", y) for x, y in zip(columns, numbers, strict=True))
        assert row[-len(numbers):] == numbers
        assert math.isclose(line["reward"], reward, rel_tol=1e-8) and float(cells["reward"]) == line["reward"]

    assert len(run("export", directory, "--format", "jsonl", "--session", "other").splitlines()) == 1333
    assert len(run("export", directory, "--format", "jsonl", "--model", "arm").splitlines()) == 1333
    assert "no such session" in run("export", directory, "--session", "nobody", code=1)
    try:
        import numpy
    except ImportError:
        numpy = None
    if numpy:
        run("export", directory, "--format", "npy", "--out", f"{directory}/data.npy")
        array = numpy.load(f"{directory}/data.npy", mmap_mode="r")
        assert array.shape == (4000,) and array["observation"].shape == (4000, 39)
        assert array["seq"].tolist() == [row[1] for row in expected]
        assert array["next_observation"].tobytes() == b"".join(row[5] for row in expected)

    # Sessions of two shapes do not fit into one table; neither does a damaged row go out unnoticed.
    log = sqlite3.connect(f"{directory}/experience.db")
    log.execute("update transition set observation = zeroblob(4) where session = 3 and seq = 7")
    log.commit()
    log.close()
    assert "seq 7" in run("export", directory, code=1)
    assert len(run("export", directory, "--model", "M").splitlines()) == 2668
print("csv, jsonl, npy" + (", numpy" if numpy else "; no numpy here"))
