// Fills an experience log as a daemon would, with beliefs that are true, and brings sessions back from one:
// what do they cost?
//
//     fill DIRECTORY SESSIONS TRANSITIONS [RATE [TOGETHER]]   shape M of docs/performance.md
//     fill --recover DIRECTORY                                every session with all its transitions, into a belief again
//
// RATE a second, 0: as fast as it goes. TOGETHER sessions take turns until they are done, then the next ones;
// 0: all. Prints one JSON object.

#include "daemon/store/store.h"
#include "tests/agent/sample.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SHAPE_M = 1, POOL = 4096, EPISODE = 1000, NAME = 32 };

static double now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void stop(const char *text)
{
    fprintf(stderr, "fill: %s\n", text);
    exit(1);
}

static struct store *open_log(const char *directory)
{
    struct store *store;
    char why[400];
    struct store_options options = {.directory = directory, .queues = 1};
    if (store_open(&store, &options, why, sizeof why) != 0)
        stop(why);
    return store;
}

static void digest_of(uint8_t out[STORE_DIGEST_SIZE], const struct agent_belief *belief)
{
    struct digest digest = agent_belief_digest(belief);
    for (int i = 0; i < STORE_DIGEST_SIZE; i++)
        out[i] = (uint8_t)(digest.word[i / 8] >> 8 * (i % 8));
}

// The model as a file of the log; its digest.
static void save_model(struct store *store, const struct model *model, const char *directory, char digest[65])
{
    char path[512], why[300];
    snprintf(path, sizeof path, "%s/model.safetensors", directory);
    struct stat status;
    FILE *file = model_save(model, path) == 0 ? fopen(path, "rb") : NULL;
    if (file == NULL || fstat(fileno(file), &status) != 0)
        stop("cannot write the model");
    uint8_t *bytes = malloc((size_t)status.st_size), hash[SHA256_DIGEST_LENGTH];
    if (fread(bytes, 1, (size_t)status.st_size, file) != (size_t)status.st_size)
        stop("cannot read the model");
    fclose(file);
    unlink(path);
    SHA256(bytes, (size_t)status.st_size, hash);
    for (int i = 0; i < SHA256_DIGEST_LENGTH; i++)
        sprintf(digest + 2 * i, "%02x", hash[i]);
    if (store_save_model(store, digest, model->name, bytes, (size_t)status.st_size, why, sizeof why) != 0)
        stop(why);
    free(bytes);
}

// Whose turn it is, and the transition's number: transition i of all.
struct turn {
    size_t session;
    uint64_t seq;
};

static struct turn turn_of(uint64_t i, size_t sessions, uint64_t transitions, size_t together)
{
    uint64_t share = together * (transitions / sessions);
    size_t group = (size_t)(share ? i / share : 0), groups = (sessions + together - 1) / together;
    if (group >= groups)
        group = groups - 1;
    size_t first = group * together, count = sessions - first < together ? sessions - first : together;
    uint64_t within = i - group * share;
    return (struct turn){first + (size_t)(within % count), within / count + 1};
}

static int fill(const char *directory, size_t sessions, uint64_t transitions, double rate, size_t together)
{
    struct model_shape shape = sample_bench(SHAPE_M);
    struct model *model = sample_model(&shape, 1);
    struct agent_scratch *scratch = agent_scratch_new(model);
    float *block;
    struct observation_item *pool = sample_items(model, POOL, 2, &block), items[AGENT_BATCH_LIMIT];
    struct agent_belief *beliefs = malloc(sessions * sizeof *beliefs);
    uint64_t *ids = malloc(sessions * sizeof *ids);
    void **memories = malloc(sessions * sizeof *memories);
    char digest[65];
    struct store *store = open_log(directory);
    struct store_queue *queue = store_queue(store, 0);
    save_model(store, model, directory, digest);
    for (size_t i = 0; i < sessions; i++) {
        char name[NAME];
        snprintf(name, sizeof name, "robot-%05zu", i);
        beliefs[i] = sample_belief(model, &memories[i]);
        struct store_session session = {.id = ids[i] = store_new_session_id(store), .name = name, .model = model->name,
                                        .model_digest = digest, .epoch = 1, .task = 1};
        while (store_put_session(queue, &session) == 0)
            usleep(1000);
    }
    double start = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID), mine = now(CLOCK_THREAD_CPUTIME_ID);
    double putting = 0;
    uint64_t last = 0, waits = 0;
    for (uint64_t done = 0; done < transitions;) {
        struct turn turns[AGENT_BATCH_LIMIT];
        size_t count = 0;
        for (; count < AGENT_BATCH_LIMIT && done + count < transitions; count++) {
            turns[count] = turn_of(done + count, sessions, transitions, together);
            items[count] = pool[(turns[count].session * 131 + turns[count].seq) % POOL];
            items[count].belief = &beliefs[turns[count].session];
        }
        agent_observe(model, scratch, items, count);
        uint8_t digests[AGENT_BATCH_LIMIT][STORE_DIGEST_SIZE];
        for (size_t k = 0; k < count; k++)
            digest_of(digests[k], items[k].belief);
        double before = now(CLOCK_THREAD_CPUTIME_ID);
        for (size_t k = 0; k < count; k++) {
            uint64_t seq = turns[k].seq;
            struct agent_belief *belief = items[k].belief;
            struct store_transition t = {
                .session = ids[turns[k].session], .seq = seq, .task = 1, .status = items[k].status == OBSERVE_ABSORBED ? 1 : 4,
                .observation = items[k].observation, .action = items[k].action,
                .next_observation = items[k].next_observation, .observation_dim = model->observation_dim,
                .action_dim = model->action_dim, .reward = items[k].reward, .first = seq % EPISODE == 1,
                .last = seq % EPISODE == 0, .count = agent_belief_count(belief), .digest = digests[k],
            };
            while ((last = store_put_transition(queue, &t)) == 0) {
                if (store_refusing(store))
                    stop("the log refuses");
                waits++;
                usleep(1000);
            }
        }
        putting += now(CLOCK_THREAD_CPUTIME_ID) - before;
        done += count;
        while (rate > 0 && (double)done > rate * (now(CLOCK_MONOTONIC) - start))
            usleep(200);
    }
    store_want(queue, last);
    while (store_durable(queue) < last)
        usleep(200);
    double seconds = now(CLOCK_MONOTONIC) - start;
    mine = now(CLOCK_THREAD_CPUTIME_ID) - mine;
    cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    struct store_stats stats;
    store_read_stats(store, &stats);
    printf("{\"sessions\":%zu,\"transitions\":%llu,\"seconds\":%.2f,\"rate\":%.0f,\"thread_cpu_us\":%.2f,\"put_ns\":%.0f,"
           "\"commits\":%llu,\"commit_ms\":%.2f,\"waits\":%llu,\"megabytes\":%.0f}\n",
           sessions, (unsigned long long)transitions, seconds, (double)transitions / seconds,
           (cpu - mine) / (double)transitions * 1e6, putting / (double)transitions * 1e9, (unsigned long long)stats.commits,
           (double)stats.commit_us_sum / (double)stats.commits * 1e-3, (unsigned long long)waits,
           (double)stats.size_bytes * 1e-6);
    store_close(store);
    for (size_t i = 0; i < sessions; i++)
        free(memories[i]);
    free(memories);
    free(beliefs);
    free(ids);
    free(pool);
    free(block);
    agent_scratch_free(scratch);
    model_free(model);
    return 0;
}

static struct store_answer *take(struct store_queue *queue)
{
    struct store_answer *answer;
    while ((answer = store_take_answer(queue)) == NULL)
        usleep(50);
    if (answer->error)
        stop(answer->why);
    return answer;
}

// One belief is enough: they come back one after another, but several are asked for at once.
static int recover(const char *directory)
{
    double start = now(CLOCK_MONOTONIC);
    struct store *store = open_log(directory);
    struct store_queue *queue = store_queue(store, 0);
    double opened = now(CLOCK_MONOTONIC) - start;
    char after[NAME] = "", why[300];
    size_t sessions = 0, right = 0;
    uint64_t transitions = 0;
    struct model *model = NULL;
    struct agent_scratch *scratch = NULL;
    struct agent_belief belief;
    void *memory = NULL;
    double first = 0;
    for (int more = 1; more;) {
        store_ask_sessions(queue, 0, after, 0);
        struct store_answer *list = take(queue);
        more = list->more;
        for (size_t i = 0; i < list->session_count; i++) {
            const struct store_session *session = &list->sessions[i];
            if (model == NULL) {
                uint8_t *bytes;
                size_t size;
                if (store_load_model(store, session->model_digest, &bytes, &size, why, sizeof why) != 0 ||
                    model_parse(&model, bytes, size, why, sizeof why) != 0)
                    stop(why);
                free(bytes);
                scratch = agent_scratch_new(model);
                belief = sample_belief(model, &memory);
            }
            agent_belief_reset(&belief);
            store_ask_session(queue, 1, session->name);
            struct store_answer *found = take(queue);
            uint64_t after_seq = 0;
            for (int rest = 1; rest;) {
                store_ask_transitions(queue, 2, session->id, 0, after_seq);
                struct store_answer *page = take(queue);
                struct observation_item items[AGENT_BATCH_LIMIT];
                size_t count = 0;
                for (size_t k = 0; k < page->transition_count; k++) {
                    const struct store_transition *t = &page->transitions[k];
                    if (t->status == 1)
                        items[count++] = (struct observation_item){
                            .belief = &belief, .observation = t->observation, .action = t->action,
                            .next_observation = t->next_observation, .reward = t->reward,
                        };
                    if (count == AGENT_BATCH_LIMIT || k + 1 == page->transition_count) {
                        agent_observe(model, scratch, items, count);
                        count = 0;
                    }
                    after_seq = t->seq;
                }
                transitions += page->transition_count;
                rest = page->more;
                store_answer_free(page);
            }
            uint8_t bytes[STORE_DIGEST_SIZE];
            digest_of(bytes, &belief);
            right += memcmp(bytes, found->session.digest, sizeof bytes) == 0;
            store_answer_free(found);
            snprintf(after, sizeof after, "%s", session->name);
            if (sessions++ == 0)
                first = now(CLOCK_MONOTONIC) - start;
        }
        store_answer_free(list);
    }
    double seconds = now(CLOCK_MONOTONIC) - start;
    printf("{\"sessions\":%zu,\"right\":%zu,\"transitions\":%llu,\"open_s\":%.3f,\"first_session_s\":%.3f,\"seconds\":%.2f,"
           "\"rate\":%.0f}\n", sessions, right, (unsigned long long)transitions, opened, first, seconds,
           (double)transitions / seconds);
    store_close(store);
    agent_scratch_free(scratch);
    model_free(model);
    free(memory);
    return right == sessions ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--recover") == 0)
        return recover(argv[2]);
    if (argc < 4)
        stop("DIRECTORY SESSIONS TRANSITIONS [RATE [TOGETHER]], or --recover DIRECTORY");
    size_t sessions = strtoul(argv[2], NULL, 10), together = argc > 5 ? strtoul(argv[5], NULL, 10) : 0;
    if (sessions == 0)
        stop("SESSIONS is a number from 1");
    return fill(argv[1], sessions, strtoull(argv[3], NULL, 10), argc > 4 ? strtod(argv[4], NULL) : 0,
                together && together < sessions ? together : sessions);
}
