#pragma once
// What the store's files share. The thread owns the database; loops own the writing ends of their rings;
// everything else between them is an atomic number or is behind the mutex, which nobody holds while waiting
// for the disk.

#include "database.h"
#include "ring.h"
#include "store.h"

#include <pthread.h>
#include <sys/types.h>

struct question {
    struct question *next;
    enum store_answer_kind kind;
    uint64_t cookie;
    uint64_t position;                   // what was put before it ends here
    uint64_t session, after_seq;         // TRANSITIONS; EXPLORED: after_seq
    uint64_t after;                      // EXPLORED: the number
    uint32_t after_writer;
    size_t limit;                        // SESSIONS
    char name[];                         // SESSION: its name; SESSIONS: names after it; EXPLORED: the model
};

struct kept_answer;

struct store_queue {
    struct ring ring;                    // its tail is what is durable
    struct store *store;
    _Atomic uint64_t wanted;             // somebody waits for this position
    uint64_t written;                    // the thread's: in the transaction up to here
    _Atomic int answered;                // there is an answer to take
    size_t index;
    struct question *first_question, *last_question;   // mutex
    struct kept_answer *first_answer, *last_answer;    // mutex
    size_t question_count;                             // mutex; with the answers not taken
};

// What is asked by any thread that waits for it: models.
struct job {
    struct job *next;
    int loading;
    const char *digest, *name;
    const uint8_t *bytes;
    uint8_t *loaded;
    size_t size;
    int error, done;
    char *why;
    size_t why_size;
};

// A session that put transitions in the transaction that is being written.
struct touched {
    uint64_t session;                    // 0: an empty place
    uint64_t count;
    uint8_t digest[STORE_DIGEST_SIZE];
    int forgotten;
};

enum { GATHERED_LIMIT = 8192 };          // transitions put in order at a time: some commits' worth

// Where in its ring a session's transition is.
struct placed {
    uint64_t session, position;
};

struct store {
    struct store_options options;
    char directory[4096];
    int lock;                            // the locked file
    dev_t device;                        // of the database's file, and its number there
    ino_t inode;
    struct store_queue *queues;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t work, done;           // for the thread; for those whose job is done
    _Atomic int asleep;                  // the thread waits until something is put
    _Atomic int urgent;                  // commit without gathering
    int stopping;                        // mutex
    struct job *jobs;                    // mutex
    _Atomic int refusing;
    _Atomic int full;                    // it refuses because of size_limit_bytes: forgetting is still taken
    _Atomic uint64_t next_id;
    _Atomic uint64_t explored;           // the last number on disk

    // The thread's.
    struct database database;
    uint64_t asked_session;              // the session of the answer being made
    struct touched *touched;             // open addressing, a power of two
    size_t touched_size, touched_count;
    struct placed *gathered;             // transitions about to be written  (GATHERED_LIMIT)
    size_t gathered_count;
    uint64_t retry_ns;                   // not before this; 0: the disk takes it
    uint64_t run_base_s, run_start_ns;   // seconds that this log was in service, before and since
    int wal_pages;                       // not in their places in the database yet
    int exploring;                       // the transaction being written has explored sessions
    uint64_t forget_up_to;               // explored sessions up to this number are to be forgotten
    int deleting;                        // forgotten sessions may have transitions left
    int retaining;                       // silent sessions are looked for
    uint64_t retention_ns;               // the next time
    uint64_t retention_after;            // sessions up to this number were looked at
    uint64_t *held;                      // ascending: sessions that may be in some loop's memory
    size_t held_count, held_size;
    _Atomic uint64_t transitions, commits, bytes, size_bytes, commit_us_sum, commit_us_buckets[24];
    char why[160];                       // mutex
};

uint64_t store_now_ns(void);             // monotonic
uint64_t store_wall_ms(void);
void store_event(struct store *store, int level, const char *event, const char *text);

// writer.c
void *store_thread(void *store);
uint64_t store_run_s(const struct store *store);
void store_set_refusing(struct store *store, const char *why);  // NULL: it takes

// questions.c: answers what is asked and may be answered, for about `budget_ns`.
void store_answer_questions(struct store *store, uint64_t budget_ns);
int store_has_questions(struct store *store);  // mutex held
void store_release_questions(struct store_queue *queue);

// models.c
void store_do_jobs(struct store *store);

// chores.c
void store_hold(struct store *store, uint64_t session);     // some loop has it: retention leaves it alone
void store_release(struct store *store, uint64_t session);
void store_plan_retention(struct store *store);             // is it time?
static inline int store_has_chores(const struct store *store) { return store->deleting || store->retaining || store->forget_up_to; }
int store_write_chores(struct store *store);                // within a transaction
