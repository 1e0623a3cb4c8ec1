#pragma once
// The experience log: everything that sessions absorbed, on disk, written by a thread of its own.
//
// One SQLite database in WAL mode, `experience.db` in the data directory, its tables documented in
// docs/log.md. Each loop of the daemon has a queue into it: a ring of bytes with one writer (the loop) and
// one reader (the store's thread), no lock. The thread empties all queues, writes one transaction, commits to
// disk, and publishes how far each queue is durable. So a step never waits for the disk, and a commit serves
// everybody (group commit).
//
// A position is a count of bytes of one queue. What was put at position p is on disk once store_durable() >=
// p; positions grow, so a loop remembers one number per session.
//
// When the disk is full, read-only or broken, the store refuses: puts return 0 from then on, what was put
// before is kept and tried again each second, and when it went through the store takes again. Nothing is
// dropped, and the daemon goes on. A full queue refuses as well, until there is room.

#include <stddef.h>
#include <stdint.h>

struct store;
struct store_queue;

struct store_options {
    const char *directory;      // made if it is missing (0700), its parents not
    size_t queues;              // how many loops
    size_t queue_bytes;         // of each ring; 0: STORE_QUEUE_BYTES
    uint32_t commit_ms;         // a record waits at most so long for its commit to begin; 0: STORE_COMMIT_MS
    uint64_t size_limit_bytes;  // of what is used in the database, its WAL apart; beyond it the store refuses; 0: none
    uint32_t retention_days;    // sessions silent for longer are deleted with all they have; 0: never
    void (*wake)(void *context, size_t queue);  // from the store's thread: something that was asked for is there
    void *context;
    void (*event)(void *context, int level, const char *event, const char *text);  // for the log; any thread
};

enum { STORE_QUEUE_BYTES = 32 << 20, STORE_COMMIT_MS = 20, STORE_DIGEST_SIZE = 16 };

// Opens or makes the database, checks it, takes the directory's lock, starts the thread. -EBUSY: another
// daemon has the directory; -EUCLEAN: the database is damaged; -ENOTSUP: made by a later version; other
// negative errno; each with a sentence.
int store_open(struct store **store, const struct store_options *options, char *why, size_t why_size);
// Commits what was put, stops the thread, frees. NULL is fine. No queue may be in use any more.
void store_close(struct store *store);

struct store_queue *store_queue(struct store *store, size_t index);

// Sessions have numbers in the database, given by the daemon; this is a new one. Any thread.
uint64_t store_new_session_id(struct store *store);

// ---- Putting: by the queue's loop. Each returns the record's position, or 0: refused, nothing was put. ----

struct store_transition {
    uint64_t session;           // its number
    uint32_t writer, task;
    uint64_t seq;               // up to INT64_MAX: the database's integers are signed
    uint32_t status;            // enum wire_status: absorbed, or why not
    const float *observation, *action, *next_observation;
    size_t observation_dim, action_dim;
    float reward;
    int first;                  // begins an episode: observation seq - 1 came by an Act, so no transition has that number
    int last;                   // ends an episode
    uint64_t count;             // of the belief afterwards
    const uint8_t *digest;      // of the belief afterwards (STORE_DIGEST_SIZE)
    uint64_t taken_ms;          // in answers: when it was written, milliseconds since 1970
};
// (session, writer, seq) is the key: one that is there already stays as it is. Allocates nothing, copies
// once.
uint64_t store_put_transition(struct store_queue *queue, const struct store_transition *transition);
// Would records of so many bytes in all (store_transition_size each) be taken now? For requests that are
// taken whole or not at all.
int store_has_room(struct store_queue *queue, size_t bytes);
size_t store_transition_size(size_t observation_dim, size_t action_dim);

struct store_session {
    uint64_t id;
    const char *name, *identity;            // strings live during the call or as long as their answer
    const char *model, *model_digest;       // its file must have been given to store_save_model
    uint64_t epoch, opener;                 // opener: who opened it last (Open.opener)
    uint32_t task;
    int hold_prior;
    const float *told_task;                 // the task that an oracle was told; lives as the strings   (told_count)
    size_t told_count;
    uint64_t count;
    uint8_t digest[STORE_DIGEST_SIZE];
};
// Inserts or replaces by id: at Open, Reset, Rebuild.
uint64_t store_put_session(struct store_queue *queue, const struct store_session *session);
// Its state as SessionState bytes (proto), in place of the one before. Transitions stay.
uint64_t store_put_state(struct store_queue *queue, uint64_t session, const uint8_t *bytes, size_t size);
// The session is in no loop's memory any more. Retention deletes only such sessions, and those that were
// never opened since the start.
uint64_t store_put_let_go(struct store_queue *queue, uint64_t session);
// A session that explored is over and its transitions are whole: it gets the next number among such sessions, by
// which learners read them (store_ask_explored). Again is harmless.
uint64_t store_put_explored(struct store_queue *queue, uint64_t session);
// Explored sessions with numbers up to this one are deleted, as by store_put_forget.
uint64_t store_put_forget_explored(struct store_queue *queue, uint64_t number);
// The session and all its transitions are deleted. Taken even beyond the size limit.
uint64_t store_put_forget(struct store_queue *queue, uint64_t session);

// ---- How far the disk is ----------------------------------------------------------------------------------

uint64_t store_durable(const struct store_queue *queue);          // one atomic read
// Makes the thread commit at once, and wakes the loop when this position is durable, or on the way to it. One
// mark per queue: the larger. Loops are woken too when the store begins to refuse, or takes again.
void store_want(struct store_queue *queue, uint64_t position);
int store_refusing(const struct store *store);                    // one atomic read
// It refuses, and what was put before does not get to the disk either (beyond its size limit it still does).
int store_stuck(const struct store *store);                       // two atomic reads

struct store_stats {
    uint64_t transitions, commits, bytes;  // since start
    uint64_t size_bytes;                   // of the database with its WAL
    uint64_t queued_bytes;                 // of all queues, now
    uint64_t commit_us_buckets[24];        // commits that took < 2^i microseconds (not cumulative)
    uint64_t commit_us_sum;
    int refusing;
    char why[160];                         // it refuses
};
void store_read_stats(struct store *store, struct store_stats *stats);  // any thread

// ---- Asking: by the queue's loop, answered in the order of asking, after what was put before. `wake` tells.

enum store_answer_kind { STORE_ANSWER_SESSION, STORE_ANSWER_TRANSITIONS, STORE_ANSWER_SESSIONS, STORE_ANSWER_EXPLORED };

struct store_answer {
    enum store_answer_kind kind;
    uint64_t cookie;
    int error;                             // 0; -ENOENT: no such session; -EUCLEAN: damaged; -EIO
    char why[160];
    // SESSION
    struct store_session session;
    const uint8_t *state;                  // bytes of its last SessionState; NULL: none yet
    size_t state_size;
    // TRANSITIONS: rows in the order of (writer, seq)
    const struct store_transition *transitions;  // count and digest are not set
    size_t transition_count;
    int more;                              // ask again after the last one
    uint64_t number;                       // EXPLORED: of its session, which is `session`, transitions as above
    // SESSIONS: a page of the list, by name in byte order
    const struct store_session *sessions;
    size_t session_count;
    // `more` as above
};

// 0, or -ENOSPC: too many questions (STORE_QUESTIONS_LIMIT) are open. -ENOMEM.
enum { STORE_QUESTIONS_LIMIT = 65536, STORE_PAGE = 1024 };
int store_ask_session(struct store_queue *queue, uint64_t cookie, const char *name);
// A page of at most STORE_PAGE transitions with (writer, seq) > (after_writer, after_seq).
int store_ask_transitions(struct store_queue *queue, uint64_t cookie, uint64_t session, uint32_t after_writer,
                          uint64_t after_seq);
int store_ask_sessions(struct store_queue *queue, uint64_t cookie, const char *after, size_t limit);
// The first explored session of a model (by its name) with a number above `after`, and a page of its transitions that
// come after (0, after_seq). -ENOENT: there is none yet. Every queue is woken when one is on disk.
int store_ask_explored(struct store_queue *queue, uint64_t cookie, const char *model, uint64_t after,
                       uint64_t after_seq);
// The largest number that an explored session on disk has. One atomic read, any thread.
uint64_t store_explored(const struct store *store);
struct store_answer *store_take_answer(struct store_queue *queue);  // NULL: none now
void store_answer_free(struct store_answer *answer);

// ---- Models: any thread but a loop's, blocking. -----------------------------------------------------------

// Keeps a model file by its digest, so that the log can be understood without it. -EIO with a sentence.
// Of a model that has been saved many times under one name, those files are dropped that no session in the log has,
// but for the newest STORE_KEPT_MODELS.
enum { STORE_KEPT_MODELS = 16 };
int store_save_model(struct store *store, const char *digest, const char *name, const uint8_t *bytes, size_t size,
                     char *why, size_t why_size);
// *bytes is the caller's to free. -ENOENT.
int store_load_model(struct store *store, const char *digest, uint8_t **bytes, size_t *size, char *why,
                     size_t why_size);
