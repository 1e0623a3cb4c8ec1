#!/bin/sh
# libbelief.so shows names that begin with bel_, and each function of bel.h is there.
#     exports.sh LIBRARY HEADER
set -eu
shown=$(nm -D --defined-only "$1" | awk '{ print $3 }' | sort)
foreign=$(echo "$shown" | grep -v '^bel_' || true)
[ -z "$foreign" ] || { echo "shown, but not of bel.h: $foreign"; exit 1; }
promised=$(sed -n '/^BEL_EXPORT/s/^[^(]*[ *]\(bel_[a-z_]*\)(.*/\1/p' "$2" | sort)
[ -n "$promised" ]
[ "$shown" = "$promised" ] || { printf 'promised:\n%s\nshown:\n%s\n' "$promised" "$shown"; exit 1; }
