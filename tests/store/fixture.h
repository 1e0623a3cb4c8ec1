#pragma once
// What the suites of the log share: a directory of their own, transitions that can be made again from their
// name, and waiting for the store's thread with an end.

#include "daemon/store/reader.h"
#include "daemon/store/store.h"

enum { FIXTURE_OBSERVATION = 7, FIXTURE_ACTION = 3 };

// A new empty directory under TMPDIR; removed with its contents when the process that made it ends normally.
const char *fixture_directory(void);
const char *fixture_file(const char *directory, const char *name);  // valid until the next call

// Opens, or fails the test with the sentence. Wakes are counted.
struct store *fixture_open(const char *directory);
struct store *fixture_open_with(struct store_options options);
int fixture_wakes(void);

// A transition whose numbers follow from its name; arrays are static, valid until the next call.
struct store_transition fixture_transition(uint64_t session, uint32_t writer, uint64_t seq);
void fixture_check(const struct store_transition *found);  // is it that?

uint64_t fixture_session(struct store *store, struct store_queue *queue, const char *name);  // put; its number
// Puts, waiting for room if there is none. The position.
uint64_t fixture_put(struct store_queue *queue, uint64_t session, uint32_t writer, uint64_t seq);
void fixture_wait(struct store_queue *queue, uint64_t position);      // durable
int fixture_within(int seconds, int (*holds)(void *context), void *context);
struct store_answer *fixture_answer(struct store_queue *queue);        // waits; the caller's
// All transitions of a session through pages, each checked; how many. *error: of the page that failed.
uint64_t fixture_count(struct store_queue *queue, uint64_t session, int *error);
// One number by an SQLite connection of its own.
long long fixture_sql(const char *directory, const char *sql);
