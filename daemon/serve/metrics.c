// What Prometheus is told; the contract is in metrics.h. Names are as its manual wants them: base units, _total for what
// only grows, and no label that a client can make up.
#include "metrics.h"

#include "daemon/store/store.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct text {
    char *bytes;
    size_t used, room;
    int failed;
};

__attribute__((format(printf, 2, 3)))
static void put(struct text *text, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int size = vsnprintf(text->bytes ? text->bytes + text->used : NULL, text->room - text->used, format, arguments);
    if ((size_t)size >= text->room - text->used && !text->failed) {
        size_t room = 2 * (text->room + (size_t)size) + 4096;
        char *bytes = realloc(text->bytes, room);
        if (bytes) {
            text->bytes = bytes;
            text->room = room;
            vsnprintf(text->bytes + text->used, text->room - text->used, format, again);
        } else {
            text->failed = 1;
        }
    }
    if (!text->failed)
        text->used += (size_t)size;
    va_end(again);
    va_end(arguments);
}

// A label's value: quotes, backslashes and newlines are escaped.
static void put_label(struct text *text, const char *name, const char *value)
{
    put(text, "%s=\"", name);
    for (; *value; value++)
        put(text, *value == '\n' ? "\\n" : *value == '"' || *value == '\\' ? "\\%c" : "%c", *value);
    put(text, "\"");
}

static void begin(struct text *text, const char *name, const char *type, const char *help)
{
    put(text, "# HELP beliefd_%s %s\n# TYPE beliefd_%s %s\n", name, help, name, type);
}

static void put_one(struct text *text, const char *name, const char *type, const char *help, double value)
{
    begin(text, name, type, help);
    put(text, "beliefd_%s %.15g\n", name, value);
}

// ---- Over all servers -----------------------------------------------------------------------------------------------

static uint64_t sum(const struct metrics_view *view, size_t offset)
{
    uint64_t all = 0;
    for (size_t i = 0; i < view->server_count; i++)
        if (view->servers[i])
            all += count_of((const counter *)((const char *)view->servers[i] + offset));
    return all;
}

#define SUM(field) (double)sum(view, offsetof(struct metrics, field))

// An array of counters, one line for each name in the list that ends with NULL.
static void put_by(struct text *text, const struct metrics_view *view, const char *name, const char *type,
                   const char *help, const char *label, const char *const *names, size_t offset)
{
    begin(text, name, type, help);
    for (size_t i = 0; names[i]; i++)
        if (*names[i])
            put(text, "beliefd_%s{%s=\"%s\"} %llu\n", name, label, names[i],
                (unsigned long long)sum(view, offset + i * sizeof(counter)));
}

static void put_buckets(struct text *text, const char *name, const char *help, const uint64_t *buckets, uint64_t sum_us)
{
    uint64_t below = 0;
    begin(text, name, "histogram", help);
    for (int i = 0; i < HISTOGRAM_BUCKETS - 1; i++)
        put(text, "beliefd_%s_bucket{le=\"%g\"} %llu\n", name, (double)(1u << i) * 1e-6,
            (unsigned long long)(below += buckets[i]));
    below += buckets[HISTOGRAM_BUCKETS - 1];
    put(text, "beliefd_%s_bucket{le=\"+Inf\"} %llu\n", name, (unsigned long long)below);
    put(text, "beliefd_%s_sum %.15g\nbeliefd_%s_count %llu\n", name, (double)sum_us * 1e-6, name,
        (unsigned long long)below);
}

static void put_histogram(struct text *text, const struct metrics_view *view, const char *name, const char *help,
                          size_t offset)
{
    uint64_t buckets[HISTOGRAM_BUCKETS];
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        buckets[i] = sum(view, offset + offsetof(struct histogram, bucket) + i * sizeof(counter));
    put_buckets(text, name, help, buckets, sum(view, offset + offsetof(struct histogram, sum_us)));
}

// ---- What is told ---------------------------------------------------------------------------------------------------

static void put_requests(struct text *text, const struct metrics_view *view)
{
    // By number of the wire; "" has no line.
    static const char *const kinds[] = {
        "unknown", "", "hello", "open", "step", "observe", "act", "reset", "get_belief", "close", "ping", "save",
        "restore", "get_model", "experience", "publish_model", "list_sessions", "list_models", "load_model",
        "unload_model", "alias_model", "reload", "rebuild", "snapshot", "hand_over", "drain", "get_metrics", NULL};
    _Static_assert(sizeof kinds / sizeof *kinds == WIRE_GET_METRICS + 2, "a name for each kind of request");
    const char *codes[WIRE_RATE + 2] = {0}, *statuses[WIRE_STATUS_COUNT + 1] = {0};
    for (int i = 0; i <= WIRE_RATE; i++)
        codes[i] = wire_error_name((enum wire_error_code)i);
    for (int i = 0; i < WIRE_STATUS_COUNT; i++)
        statuses[i] = i == WIRE_STATUS_NONE ? "" : wire_status_name((enum wire_status)i);
    put_by(text, view, "requests_total", "counter", "Requests taken, by what they ask.", "kind", kinds,
           offsetof(struct metrics, requests));
    put_by(text, view, "refusals_total", "counter", "Errors sent, by their code.", "code", codes,
           offsetof(struct metrics, refusals));
    put_by(text, view, "transitions_total", "counter", "Transitions reported, by what became of them.", "status",
           statuses, offsetof(struct metrics, transitions));
    put_one(text, "surprises_total", "counter", "Absorbed transitions with a p-value below 1e-6 under their belief.",
            SUM(surprises));
    put_one(text, "gaps", "gauge", "Holes between the numbers of transitions, over all sessions in memory.", SUM(gaps));
    put_one(text, "batches_total", "counter", "Passes of the networks; each answers up to 64 Steps and Acts.",
            SUM(batches));
    put_histogram(text, view, "request_seconds", "From read to answered, Steps and Acts, without waiting for the disk.",
                  offsetof(struct metrics, request_us));
    put_histogram(text, view, "queue_seconds", "From read to the beginning of the batch, Steps and Acts.",
                  offsetof(struct metrics, queue_us));
    put_histogram(text, view, "compute_seconds", "Of a batch: features, sums, posteriors and policy.",
                  offsetof(struct metrics, compute_us));
    put_histogram(text, view, "durable_seconds", "That replies waited for the disk, those that do.",
                  offsetof(struct metrics, durable_us));
}

static void put_sessions(struct text *text, const struct metrics_view *view)
{
    static const char *const states[] = {"live", "idle", NULL};
    _Static_assert(offsetof(struct metrics, sessions_idle) == offsetof(struct metrics, sessions_live) + sizeof(counter),
                   "one after the other");
    put_by(text, view, "sessions", "gauge", "Sessions in memory: held or heard of lately, and others.", "state", states,
           offsetof(struct metrics, sessions_live));
    put_one(text, "sessions_opened_total", "counter", "New sessions.", SUM(sessions_opened));
    put_one(text, "sessions_resumed_total", "counter", "Opens of sessions that were there.", SUM(sessions_resumed));
    put_one(text, "sessions_fenced_total", "counter", "Holders of a session from whom another Open took it.",
            SUM(sessions_fenced));
    put_one(text, "sessions_spilled_total", "counter", "Sessions that left memory for the experience log.",
            SUM(sessions_spilled));
    put_one(text, "sessions_loaded_total", "counter", "Sessions that came back from the experience log.",
            SUM(sessions_loaded));
    put_one(text, "sessions_moved_total", "counter", "Sessions that left for another daemon.", SUM(sessions_moved));
}

static void put_connections(struct text *text, const struct metrics_view *view)
{
    static const char *const doors[METRICS_DOORS + 1] = {"frames", "grpc", NULL};
    put_by(text, view, "connections", "gauge", "Open connections that have said something, by protocol.", "door", doors,
           offsetof(struct metrics, connections));
    put_one(text, "connections_total", "counter", "Connections accepted.", SUM(connections_total));
    put_one(text, "received_bytes_total", "counter", "Bytes read from sockets.", SUM(bytes_in));
    put_one(text, "sent_bytes_total", "counter", "Bytes written to sockets.", SUM(bytes_out));
}

static void put_log(struct text *text, const struct metrics_view *view)
{
    const struct store_stats *log = view->log;
    put_one(text, "undurable_total", "counter", "Transitions not absorbed, for the experience log could not take them.",
            SUM(undurable));
    if (!log)
        return;
    _Static_assert(sizeof log->commit_us_buckets / sizeof *log->commit_us_buckets == HISTOGRAM_BUCKETS, "the same");
    put_one(text, "log_refusing", "gauge", "1: the experience log cannot take anything now.", log->refusing);
    put_one(text, "log_transitions_total", "counter", "Transitions written to the experience log.",
            (double)log->transitions);
    put_one(text, "log_commits_total", "counter", "Commits of the experience log.", (double)log->commits);
    put_one(text, "log_written_bytes_total", "counter", "Bytes of records written to the experience log.",
            (double)log->bytes);
    put_one(text, "log_size_bytes", "gauge", "The experience log on disk.", (double)log->size_bytes);
    put_one(text, "log_queued_bytes", "gauge", "Records on their way to the disk.", (double)log->queued_bytes);
    put_buckets(text, "log_commit_seconds", "Of a commit of the experience log.", log->commit_us_buckets,
                log->commit_us_sum);
}

static void put_models(struct text *text, const struct metrics_view *view)
{
    begin(text, "model_info", "gauge", "Models served; always 1.");
    for (size_t i = 0; i < view->model_count; i++) {
        put(text, "beliefd_model_info{");
        put_label(text, "model", view->models[i].name);
        put(text, ",");
        put_label(text, "world", view->models[i].world);
        put(text, ",");
        put_label(text, "digest", view->models[i].digest);
        put(text, "} 1\n");
    }
    begin(text, "model_sessions", "gauge", "Sessions in memory that have this model.");
    for (size_t i = 0; i < view->model_count; i++) {
        put(text, "beliefd_model_sessions{");
        put_label(text, "model", view->models[i].name);
        put(text, "} %llu\n", (unsigned long long)view->model_sessions[i]);
    }
}

static void put_process(struct text *text, const struct metrics_view *view)
{
    begin(text, "build_info", "gauge", "Which beliefd this is; always 1.");
    put(text, "beliefd_build_info{version=\"" BELIEFD_VERSION "\"} 1\n");
    put_one(text, "ready", "gauge", "1: models warm, loops alive, log taking; as /readyz.", view->ready);
    put_one(text, "draining", "gauge", "1: no session is opened any more.", SUM(draining) > 0);
    begin(text, "loop_beat_age_seconds", "gauge", "Since this loop last turned.");
    for (size_t i = 0; i < view->server_count; i++) {
        uint64_t beat_us = view->servers[i] ? count_of(&view->servers[i]->beat_us) : 0;
        if (beat_us)
            put(text, "beliefd_loop_beat_age_seconds{loop=\"%zu\"} %.6f\n", i,
                view->now_us > beat_us ? (double)(view->now_us - beat_us) * 1e-6 : 0);
    }
    if (view->certificate_expiry)
        put_one(text, "tls_certificate_expiry_timestamp_seconds", "gauge", "When the daemon's certificate expires.",
                (double)view->certificate_expiry);
    struct timespec cpu;
    unsigned long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "re");
    if (statm && fscanf(statm, "%*u %lu", &pages) != 1)
        pages = 0;
    if (statm)
        fclose(statm);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    put(text, "# HELP process_cpu_seconds_total Processor time of the daemon, all threads.\n"
              "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total %.6f\n",
        (double)cpu.tv_sec + 1e-9 * (double)cpu.tv_nsec);
    put(text, "# HELP process_resident_memory_bytes Memory of the daemon.\n"
              "# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes %llu\n",
        (unsigned long long)pages * (unsigned long long)sysconf(_SC_PAGESIZE));
}

char *metrics_text(const struct metrics_view *view)
{
    struct text text = {0};
    put_process(&text, view);
    put_requests(&text, view);
    put_sessions(&text, view);
    put_connections(&text, view);
    put_log(&text, view);
    put_models(&text, view);
    if (!text.failed)
        return text.bytes;
    free(text.bytes);
    return NULL;
}
