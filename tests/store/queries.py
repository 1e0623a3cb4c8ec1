#!/usr/bin/env python3
"""The queries of docs/log.md run on a log, and find in it what fill put there."""
import re
import sqlite3
import subprocess
import sys
import tempfile

FILL, PAGE = sys.argv[1:]
SESSIONS, TRANSITIONS = 3, 5000


def queries(text):
    """Every indented block of the page that is SQL."""
    blocks = re.findall(r"\n\n((?:    .*\n)+)", text)
    return [block for block in blocks if block.lstrip().startswith("select")]


with tempfile.TemporaryDirectory() as directory:
    subprocess.run([FILL, directory, str(SESSIONS), str(TRANSITIONS)], check=True, stdout=subprocess.DEVNULL)
    log = sqlite3.connect(f"file:{directory}/experience.db?mode=ro", uri=True)
    with open(PAGE) as page:
        last, became, episodes, missing, space = [log.execute(q).fetchall() for q in queries(page.read())]
    assert sorted(row[0] for row in last) == ["robot-00000", "robot-00001", "robot-00002"], last
    assert all(len(row[5]) == 32 for row in last), last
    assert sum(row[2] for row in became) == TRANSITIONS, became
    assert {row[1] for row in became} == {"absorbed"}, became
    assert [(row[0], row[1]) for row in episodes] == [(1, 1000), (2, 667)], episodes
    assert missing == [], missing
    assert len(space) == SESSIONS and space[0][2] == space[0][1] * 4 * (2 * 39 + 6), space
    # A hole in the numbers shows, and only that.
    log = sqlite3.connect(f"{directory}/experience.db")
    log.execute("delete from transition where session = 2 and seq between 500 and 503")
    with open(PAGE) as page:
        assert log.execute(queries(page.read())[3]).fetchall() == [("robot-00001", 0, 500, 503)]
    log.close()
print("5 queries")
