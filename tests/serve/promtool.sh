#!/bin/sh
# Prometheus' own check of what it is told: `promtool check metrics` finds nothing to say.
#
#     promtool.sh TEST_METRICS
command -v promtool >/dev/null || { echo "skipped: no promtool (package prometheus)"; exit 77; }
said=$("$1" --print | promtool check metrics 2>&1) && [ -z "$said" ] && exit 0
echo "$said"
exit 1
