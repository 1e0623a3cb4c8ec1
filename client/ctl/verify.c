// beliefctl verify: rebuilds beliefs from the log.
//
// A session's transitions of its current task are added up in two sums: those that its saved state has seen,
// and the others. Then
//
//     seen + others  = what the daemon noted      the log alone proves the belief
//     state + others = what the daemon noted      and so does what a restart would do
//
// A session that came from another daemon, or whose older transitions are not in this log, has only the
// second. A recurrent belief is no sum: all transitions, and those that follow the state, take it further in their order.
#include "verify.h"

#include "daemon/agent/agent.h"
#include "daemon/store/reader.h"
#include "proto/wire.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MODELS = 16, STATE_WRITERS = 4096, PROGRESS_EVERY = 20000 };

// Two sums and the batch on its way into them.
struct sums {
    const struct model *model;
    struct agent_scratch *scratch;
    struct agent_belief seen, others, state;
    void *memory[3];
    uint64_t seen_count;           // transitions that the state has
    struct observation_item items[AGENT_BATCH_LIMIT];
    size_t count;
    float *numbers;                // (AGENT_BATCH_LIMIT, 2 obs + act)
};

struct kept_model {
    char digest[65];
    struct model *model;           // NULL: it cannot be had, and why
    struct sums sums;
    char why[200];
};

struct verifier {
    struct store_reader *reader;
    FILE *out;
    int json, progress;
    struct kept_model models[MODELS];
    size_t model_count;
    uint64_t sessions, transitions, mismatches;
    void *arena;                   // of the state being decoded
    size_t arena_size;
    const char *session;           // the one being verified
    int told;                      // it has a mismatch already
};

__attribute__((format(printf, 2, 3)))
static void mismatch(struct verifier *v, const char *format, ...)
{
    char text[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    v->mismatches++;
    if (v->json) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "session", v->session);
        cJSON_AddStringToObject(object, "mismatch", text);
        char *line = cJSON_PrintUnformatted(object);
        fprintf(v->out, "%s\n", line ? line : "{}");
        free(line);
        cJSON_Delete(object);
    } else {
        fprintf(v->out, "%s: %s\n", v->session, text);
    }
}

// ---- Models -----------------------------------------------------------------------------------------------

static void release_model(struct kept_model *kept)
{
    agent_scratch_free(kept->sums.scratch);
    for (int i = 0; i < 3; i++)
        free(kept->sums.memory[i]);
    free(kept->sums.numbers);
    model_free(kept->model);
}

static int init_sums(struct sums *sums, const struct model *model)
{
    struct agent_belief *beliefs[] = {&sums->seen, &sums->others, &sums->state};
    size_t size = (agent_belief_size(model) + 63) / 64 * 64;
    sums->model = model;
    sums->scratch = agent_scratch_new(model);
    sums->numbers = malloc(AGENT_BATCH_LIMIT * (2 * model->observation_dim + model->action_dim) * sizeof(float));
    for (int i = 0; i < 3; i++) {
        sums->memory[i] = aligned_alloc(64, size ? size : 64);
        if (sums->memory[i] == NULL)
            return -ENOMEM;
        agent_belief_init(beliefs[i], model, sums->memory[i]);
    }
    return sums->scratch && sums->numbers ? 0 : -ENOMEM;
}

// The model of that digest from the log. One that cannot be had has model NULL and says why.
static struct kept_model *find_model(struct verifier *v, const char *digest)
{
    for (size_t i = 0; i < v->model_count; i++)
        if (strcmp(v->models[i].digest, digest) == 0)
            return &v->models[i];
    if (v->model_count == MODELS)  // sessions of more models than that are rare, and then only slower
        release_model(&v->models[--v->model_count]);
    struct kept_model *kept = &v->models[v->model_count++];
    *kept = (struct kept_model){0};
    snprintf(kept->digest, sizeof kept->digest, "%s", digest);
    uint8_t *bytes;
    size_t size;
    int error = store_reader_model(v->reader, digest, &bytes, &size);
    if (error) {
        snprintf(kept->why, sizeof kept->why, "%s", store_reader_error(v->reader));
        return kept;
    }
    error = model_parse(&kept->model, bytes, size, kept->why, sizeof kept->why);
    free(bytes);
    if (!error && init_sums(&kept->sums, kept->model) != 0) {
        snprintf(kept->why, sizeof kept->why, "no memory");
        error = -ENOMEM;
    }
    if (error) {
        release_model(kept);
        kept->model = NULL;
        kept->sums = (struct sums){0};
    }
    return kept;
}

// ---- One session ------------------------------------------------------------------------------------------

static int is_seen(const struct wire_session_state *state, uint32_t writer, uint64_t seq)
{
    for (size_t i = 0; state && i < state->writer_count; i++) {
        const struct wire_writer_state *w = &state->writers[i];
        if (w->writer != writer)
            continue;
        for (size_t k = 0; k + 1 < w->seen.count; k += 2)
            if (seq >= w->seen.numbers[k] && seq <= w->seen.numbers[k + 1])
                return 1;
    }
    return 0;
}

static void flush(struct sums *sums)
{
    agent_observe(sums->model, sums->scratch, sums->items, sums->count);
    sums->count = 0;
}

static void add(struct sums *sums, const struct store_transition *t, struct agent_belief *belief)
{
    size_t obs = t->observation_dim, act = t->action_dim;
    float *numbers = sums->numbers + sums->count * (2 * obs + act);
    memcpy(numbers, t->observation, obs * sizeof *numbers);
    memcpy(numbers + obs, t->action, act * sizeof *numbers);
    memcpy(numbers + obs + act, t->next_observation, obs * sizeof *numbers);
    sums->items[sums->count++] = (struct observation_item){
        .belief = belief, .observation = numbers, .action = numbers + obs, .next_observation = numbers + obs + act,
        .reward = t->reward, .number = t->seq,
    };
    if (sums->count == AGENT_BATCH_LIMIT)
        flush(sums);
}

// Sums; recurrent beliefs have them already.
static void merge(struct agent_belief *into, const struct agent_belief *belief)
{
    for (int head = 0; head < HEAD_COUNT; head++)
        belief_merge(&into->heads[head], &belief->heads[head]);
}

static void digest_bytes_of(uint8_t out[STORE_DIGEST_SIZE], const struct agent_belief *belief)
{
    struct digest digest = agent_belief_digest(belief);
    for (int i = 0; i < STORE_DIGEST_SIZE; i++)
        out[i] = (uint8_t)(digest.word[i / 8] >> 8 * (i % 8));
}

// Does the belief have the count and the digest that were noted? Otherwise it is told.
static int agrees(struct verifier *v, const struct agent_belief *belief, const struct store_session *session, const char *what)
{
    uint8_t digest[STORE_DIGEST_SIZE];
    digest_bytes_of(digest, belief);
    uint64_t count = agent_belief_count(belief);
    if (count != session->count)
        mismatch(v, "%s: %llu transitions, the daemon noted %llu", what, (unsigned long long)count,
                 (unsigned long long)session->count);
    else if (memcmp(digest, session->digest, sizeof digest) != 0)
        mismatch(v, "%s: another digest than the daemon noted, after %llu transitions", what, (unsigned long long)count);
    else
        return 1;
    return 0;
}

// The state's belief into sums->state; 0 if it cannot be used, which is told.
static int take_state(struct verifier *v, struct sums *sums, const struct wire_session_state *state)
{
    for (size_t part = 0; part < AGENT_PARTS; part++) {
        struct wire_bytes bytes = part < state->sums_count ? state->sums[part] : (struct wire_bytes){NULL, 0};
        if (agent_belief_decode(&sums->state, (int)part, bytes.bytes, bytes.size, state->count) != 0) {
            mismatch(v, "the sums of its state are not such as its model makes");
            return 0;
        }
    }
    return 1;
}

// The SessionState, or NULL: there is none, or none that means anything, which is told.
static const struct wire_session_state *decode_state(struct verifier *v, struct wire_envelope *envelope, const uint8_t *bytes,
                                                     size_t size)
{
    if (bytes == NULL)
        return NULL;
    size_t need = 16 * wire_arena_bound(size, STATE_WRITERS);  // intervals are small numbers on the wire
    if (need > v->arena_size) {
        free(v->arena);
        v->arena = malloc(need);
        v->arena_size = v->arena ? need : 0;
    }
    struct wire_arena arena;
    wire_arena_init(&arena, v->arena, v->arena_size);
    if (wire_decode_body(envelope, WIRE_SESSION_STATE, bytes, size, &arena) != 0) {
        mismatch(v, "its state is not a SessionState");
        return NULL;
    }
    return &envelope->session_state;
}

static void show_progress(struct verifier *v)
{
    if (v->progress && v->transitions % PROGRESS_EVERY == 0)
        fprintf(stderr, "\r%llu sessions, %llu transitions ", (unsigned long long)v->sessions,
                (unsigned long long)v->transitions);
}

// A transition that was absorbed, where it belongs.
static void sort_in(struct sums *sums, const struct store_transition *t, const struct wire_session_state *state)
{
    int seen = is_seen(state, t->writer, t->seq);
    sums->seen_count += (uint64_t)seen;
    if (!model_is_recurrent(sums->model)) {
        add(sums, t, seen ? &sums->seen : &sums->others);
        return;
    }
    add(sums, t, &sums->others);
    if (!seen)
        add(sums, t, &sums->state);
}

// Its transitions into the two sums. 0, or 1: something could not be read, which is told.
static int read_transitions(struct verifier *v, struct sums *sums, const struct store_session *session,
                            const struct wire_session_state *state)
{
    struct store_transition t;
    int found, bad = 0;
    while ((found = store_reader_next_transition(v->reader, session->id, &t)) != 0) {
        if (found < 0) {
            mismatch(v, "%s", store_reader_error(v->reader));
            bad = 1;
            if (t.session == 0)
                break;
            continue;
        }
        v->transitions++;
        show_progress(v);
        if (t.status != WIRE_STATUS_ABSORBED || t.task != session->task)
            continue;
        if (t.observation_dim != sums->model->observation_dim || t.action_dim != sums->model->action_dim) {
            mismatch(v, "transition (writer %u, seq %llu) has %zu observations and %zu actions, its model %zu and %zu",
                     t.writer, (unsigned long long)t.seq, t.observation_dim, t.action_dim, sums->model->observation_dim,
                     sums->model->action_dim);
            bad = 1;
            continue;
        }
        sort_in(sums, &t, state);
    }
    flush(sums);
    return bad;
}

static void verify_session(struct verifier *v, const struct store_session *session, const uint8_t *bytes, size_t size)
{
    struct kept_model *kept = find_model(v, session->model_digest);
    if (kept->model == NULL) {
        mismatch(v, "its model %s (%.16s) cannot be had from the log: %s", session->model, session->model_digest, kept->why);
        return;
    }
    struct sums *sums = &kept->sums;
    struct wire_envelope envelope;
    const struct wire_session_state *state = decode_state(v, &envelope, bytes, size);
    if (state && (state->task != session->task || strcmp(state->model_digest, session->model_digest) != 0))
        state = NULL;  // of an earlier task, or of the model before: nothing of it is in the belief
    agent_belief_reset(&sums->seen);
    agent_belief_reset(&sums->others);
    sums->seen_count = 0;
    int has_state = state && take_state(v, sums, state);
    if (read_transitions(v, sums, session, state) != 0)
        return;
    if (has_state) {
        int whole = sums->seen_count >= state->count;
        merge(&sums->state, &sums->others);
        if (!agrees(v, &sums->state, session, "state and what came after it") || !whole)
            return;
    }
    merge(&sums->others, &sums->seen);
    agrees(v, &sums->others, session, "all its transitions");
}

// ---- All of them ------------------------------------------------------------------------------------------

static void verify_sessions(struct verifier *v, const char *only)
{
    struct store_session session;
    const uint8_t *state;
    size_t size;
    int found;
    while ((found = store_reader_next_session(v->reader, &session, &state, &size)) != 0) {
        v->session = found > 0 || found == -EUCLEAN ? session.name : "";
        if (only && strcmp(session.name, only) != 0)
            continue;
        if (found < 0)
            mismatch(v, "%s", store_reader_error(v->reader));
        if (found < 0 && found != -EUCLEAN)
            return;
        v->sessions++;
        verify_session(v, &session, state, size);
    }
    v->session = "";
    if (only) {
        if (v->sessions == 0)
            mismatch(v, "there is no session %s in the log", only);
        return;
    }
    if (store_reader_check(v->reader) != 0)
        mismatch(v, "%s", store_reader_error(v->reader));
    uint64_t orphans = store_reader_orphans(v->reader);
    if (orphans)
        mismatch(v, "transitions of %llu sessions that are not in the log", (unsigned long long)orphans);
}

int verify_run(const char *data_directory, const char *session, int json, FILE *out)
{
    struct verifier v = {.out = out, .json = json, .progress = isatty(STDERR_FILENO), .session = ""};
    char why[400];
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    if (store_reader_open(&v.reader, data_directory, why, sizeof why) != 0) {
        mismatch(&v, "%s", why);
    } else {
        verify_sessions(&v, session);
        store_reader_close(v.reader);
    }
    for (size_t i = 0; i < v.model_count; i++)
        release_model(&v.models[i]);
    free(v.arena);
    clock_gettime(CLOCK_MONOTONIC, &end);
    double seconds = (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) * 1e-9;
    if (v.progress)
        fprintf(stderr, "\r%*s\r", 60, "");
    if (json)
        fprintf(out, "{\"sessions\":%llu,\"transitions\":%llu,\"mismatches\":%llu}\n", (unsigned long long)v.sessions,
                (unsigned long long)v.transitions, (unsigned long long)v.mismatches);
    else
        fprintf(out, "%llu sessions, %llu transitions, %llu mismatches (%.1f s, %.0f transitions a second)\n",
                (unsigned long long)v.sessions, (unsigned long long)v.transitions, (unsigned long long)v.mismatches, seconds,
                (double)v.transitions / (seconds > 0 ? seconds : 1));
    return v.mismatches != 0;
}
