#pragma once
// Reading an experience log from outside, while a daemon writes it or not: for verify, export and tests. A
// reader sees the database as it was at store_reader_open.

#include "store.h"

struct store_reader;

// directory or database file. -ENOENT, -EUCLEAN, -ENOTSUP with a sentence.
int store_reader_open(struct store_reader **reader, const char *path, char *why, size_t why_size);
void store_reader_close(struct store_reader *reader);

// The next session by name, or 0 at the end. What it points to is valid until the next call. state: its last
// SessionState or NULL. Negative errno with a sentence in store_reader_error; -EUCLEAN: the session is told,
// its state was damaged, and the next call goes on.
int store_reader_next_session(struct store_reader *reader, struct store_session *session, const uint8_t **state,
                              size_t *state_size);
void store_reader_rewind(struct store_reader *reader);  // the next session is the first again
// Its transitions by (writer, seq), one at a time; 1, 0 at the end, negative errno. Begins anew for another
// session and after the end. -EUCLEAN with *transition told: this one was damaged, and the next call goes on;
// with session 0: a page is, and nothing more of this session can be read.
int store_reader_next_transition(struct store_reader *reader, uint64_t session, struct store_transition *transition);
// Model file by digest; *bytes is the caller's to free. -ENOENT.
int store_reader_model(struct store_reader *reader, const char *digest, uint8_t **bytes, size_t *size);
int store_reader_check(struct store_reader *reader);  // SQLite's own integrity check of every page; -EUCLEAN
uint64_t store_reader_orphans(struct store_reader *reader);  // sessions that have transitions, but are not there
const char *store_reader_error(const struct store_reader *reader);
