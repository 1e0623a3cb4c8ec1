#pragma once
// Does the experience log prove what the daemon believes? Every session's belief is made again from its
// transitions and compared, as digests of exact sums, with what the daemon noted at its last commit and with
// the state it saved.

#include <stdio.h>

// session: only this one; NULL: all. Says each mismatch on `out`, then a summary; with json one object a
// line, the last one {"sessions","transitions","mismatches"}. A daemon may be writing meanwhile: what is
// verified is one moment of the log. 0: all agree; 1: they do not, or the log cannot be read (said on `out`).
int verify_run(const char *data_directory, const char *session, int json, FILE *out);
