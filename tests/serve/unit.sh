#!/bin/sh
# The systemd unit's sandbox, by systemd's own measure: an exposure of 2.0 at most. And its syntax.
#
#     unit.sh DEPLOY-DIRECTORY
command -v systemd-analyze >/dev/null || { echo "skipped: no systemd-analyze"; exit 77; }
said=$(systemd-analyze security --offline=yes --threshold=20 "$1/beliefd.service" 2>&1) || {
  case $said in *offline*|*threshold*) echo "skipped: this systemd-analyze is too old"; exit 77 ;; esac
  echo "$said"
  exit 1
}
echo "$said" | tail -n 1
# What it says of programs and manual pages that are not installed here is no fault of the unit.
faults=$(systemd-analyze verify "$1/beliefd.service" "$1/beliefd.socket" 2>&1 |
  grep -E 'beliefd\.(service|socket)' | grep -vE 'is not executable|man beliefd')
[ -z "$faults" ] || { echo "$faults"; exit 1; }
