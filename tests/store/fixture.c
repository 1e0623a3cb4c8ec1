// See fixture.h.
#include "fixture.h"

#include <errno.h>
#include <ftw.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/suite.h"

enum { PATIENCE_S = 60 };

static char directory[256];
static pid_t owner;
static _Atomic int wakes;

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

static void remove_directory(void)
{
    if (getpid() == owner)
        nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *fixture_directory(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%s/store_test_XXXXXX", base ? base : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    owner = getpid();
    atexit(remove_directory);
    return directory;
}

const char *fixture_file(const char *where, const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", where, name);
    return path;
}

static void wake(void *context, size_t queue)
{
    (void)context;
    (void)queue;
    atomic_fetch_add(&wakes, 1);
}

int fixture_wakes(void) { return atomic_load(&wakes); }

struct store *fixture_open_with(struct store_options options)
{
    struct store *store;
    char why[512];
    options.wake = wake;
    options.queues = options.queues ? options.queues : 1;
    int error = store_open(&store, &options, why, sizeof why);
    ck_assert_msg(error == 0, "store_open: %d, %s", error, why);
    return store;
}

struct store *fixture_open(const char *where)
{
    return fixture_open_with((struct store_options){.directory = where, .commit_ms = 2});
}

// ---- Transitions ------------------------------------------------------------------------------------------

static float number(uint64_t *state)
{
    *state = *state * 6364136223846793005 + 1442695040888963407;
    return (float)((int64_t)(*state >> 33) - (1 << 30)) * 0x1p-28f;
}

struct store_transition fixture_transition(uint64_t session, uint32_t writer, uint64_t seq)
{
    static float observation[FIXTURE_OBSERVATION], action[FIXTURE_ACTION], next[FIXTURE_OBSERVATION];
    static uint8_t digest[STORE_DIGEST_SIZE];
    uint64_t state = session * 1000003 + writer * 7919 + seq;
    for (int i = 0; i < 4; i++)
        number(&state);
    for (int i = 0; i < FIXTURE_OBSERVATION; i++) {
        observation[i] = number(&state);
        next[i] = number(&state);
    }
    for (int i = 0; i < FIXTURE_ACTION; i++)
        action[i] = number(&state);
    memcpy(digest, &seq, sizeof seq);
    return (struct store_transition){
        .session = session, .writer = writer, .seq = seq, .task = 1 + (uint32_t)(seq / 100), .status = 1,
        .observation = observation, .action = action, .next_observation = next,
        .observation_dim = FIXTURE_OBSERVATION, .action_dim = FIXTURE_ACTION, .reward = number(&state),
        .first = seq % 10 == 1, .last = seq % 10 == 0, .count = seq, .digest = digest,
    };
}

void fixture_check(const struct store_transition *found)
{
    struct store_transition expected = fixture_transition(found->session, found->writer, found->seq);
    ck_assert_uint_eq(found->task, expected.task);
    ck_assert_uint_eq(found->status, expected.status);
    ck_assert_int_eq(found->first, expected.first);
    ck_assert_int_eq(found->last, expected.last);
    ck_assert_uint_eq(found->observation_dim, FIXTURE_OBSERVATION);
    ck_assert_uint_eq(found->action_dim, FIXTURE_ACTION);
    ck_assert_mem_eq(&found->reward, &expected.reward, sizeof(float));
    ck_assert_mem_eq(found->observation, expected.observation, FIXTURE_OBSERVATION * sizeof(float));
    ck_assert_mem_eq(found->action, expected.action, FIXTURE_ACTION * sizeof(float));
    ck_assert_mem_eq(found->next_observation, expected.next_observation, FIXTURE_OBSERVATION * sizeof(float));
}

uint64_t fixture_session(struct store *store, struct store_queue *queue, const char *name)
{
    struct store_session session = {
        .id = store_new_session_id(store), .name = name, .identity = "someone", .model = "arm", .model_digest = "0123",
        .epoch = 1, .task = 1,
    };
    ck_assert_uint_ne(store_put_session(queue, &session), 0);
    return session.id;
}

uint64_t fixture_put(struct store_queue *queue, uint64_t session, uint32_t writer, uint64_t seq)
{
    struct store_transition transition = fixture_transition(session, writer, seq);
    uint64_t position;
    while ((position = store_put_transition(queue, &transition)) == 0)
        usleep(1000);
    return position;
}

// ---- Waiting ----------------------------------------------------------------------------------------------

int fixture_within(int seconds, int (*holds)(void *context), void *context)
{
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        if (holds(context))
            return 1;
        usleep(500);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec - start.tv_sec < seconds);
    return 0;
}

struct mark {
    struct store_queue *queue;
    uint64_t position;
};

static int is_durable(void *context)
{
    const struct mark *mark = context;
    return store_durable(mark->queue) >= mark->position;
}

void fixture_wait(struct store_queue *queue, uint64_t position)
{
    struct mark mark = {queue, position};
    ck_assert_uint_ne(position, 0);
    store_want(queue, position);
    ck_assert_msg(fixture_within(PATIENCE_S, is_durable, &mark), "position %llu is not durable, only %llu",
                  (unsigned long long)position, (unsigned long long)store_durable(queue));
}

struct store_answer *fixture_answer(struct store_queue *queue)
{
    for (int i = 0; i < PATIENCE_S * 2000; i++) {
        struct store_answer *answer = store_take_answer(queue);
        if (answer)
            return answer;
        usleep(500);
    }
    ck_abort_msg("no answer");
    return NULL;
}

uint64_t fixture_count(struct store_queue *queue, uint64_t session, int *error)
{
    uint64_t count = 0, after_seq = 0;
    uint32_t after_writer = 0;
    for (int more = 1; more;) {
        ck_assert_int_eq(store_ask_transitions(queue, 77, session, after_writer, after_seq), 0);
        struct store_answer *answer = fixture_answer(queue);
        ck_assert_uint_eq(answer->cookie, 77);
        *error = answer->error;
        for (size_t i = 0; i < answer->transition_count; i++) {
            const struct store_transition *t = &answer->transitions[i];
            ck_assert(t->writer > after_writer || (t->writer == after_writer && t->seq > after_seq));
            ck_assert_uint_eq(t->session, session);
            fixture_check(t);
            after_writer = t->writer;
            after_seq = t->seq;
            count++;
        }
        more = answer->more;
        store_answer_free(answer);
    }
    return count;
}

long long fixture_sql(const char *where, const char *sql)
{
    sqlite3 *handle;
    sqlite3_stmt *statement;
    ck_assert_int_eq(sqlite3_open(fixture_file(where, "experience.db"), &handle), SQLITE_OK);
    sqlite3_busy_timeout(handle, 10000);
    ck_assert_msg(sqlite3_prepare_v2(handle, sql, -1, &statement, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(handle));
    int code = sqlite3_step(statement);
    ck_assert_msg(code == SQLITE_ROW || code == SQLITE_DONE, "%s", sqlite3_errmsg(handle));
    long long value = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    sqlite3_close(handle);
    return value;
}
