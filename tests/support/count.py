#!/usr/bin/env python3
"""Adds up what the suites of one meson run counted: prints "passed failed skipped".

A check suite counts its own tests ("100%: Checks: 12, Failures: 0, Errors: 0"); any other program counts as one.
"""
import json
import re
import sys

SUMMARY = re.compile(r"%: Checks: (\d+), Failures: (\d+), Errors: (\d+)")

passed = failed = skipped = 0
with open(sys.argv[1]) as log:
    for line in log:
        test = json.loads(line)
        summary = SUMMARY.search(test.get("stdout") or "")
        if test["result"] == "SKIP":
            skipped += 1
            words = (test.get("stdout") or "").strip().splitlines()
            print(f"skipped: {test['name']}: {words[-1] if words else 'no reason given'}", file=sys.stderr)
        elif summary:
            checks, failures, errors = map(int, summary.groups())
            passed += checks - failures - errors
            failed += failures + errors
            if test["result"] != "OK" and failures + errors == 0:  # killed after the summary, or a leak
                failed += 1
        elif test["result"] in ("OK", "EXPECTEDFAIL"):
            passed += 1
        else:
            failed += 1
if passed + failed == 0:
    sys.exit(1)
print(passed, failed, skipped)
