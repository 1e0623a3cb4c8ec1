// What a session that is open and waits for its robot costs the daemon in memory, beside the integers that its belief
// is made of: the packed triangles of both heads, 16 bytes for each entry.
//
// All connections are opened first, then the sessions on them; each takes some steps, so that every page that it will
// ever need is touched. The daemon's proportional set size (what the kernel says is really there) is read before,
// between and after.
#include "memory.h"

#include "load.h"
#include "shape.h"

#include "daemon/belief/belief.h"
#include "proto/wire.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STEPS = 3, SPARE_FILES = 128, SETTLE_MS = 1500 };

static const char usage[] =
    "bel-bench memory: what a session that waits costs, beside its packed integers\n"
    "\n"
    "    bel-bench memory [--shape s|m|l] [--sessions N] [--connections N] [--daemon PATH] [--json]\n"
    "\n"
    "  --shape        size of robot and model (m)\n"
    "  --sessions     how many (10000)\n"
    "  --connections  that they are spread over (2000)\n"
    "  --daemon       beliefd; otherwise the one that was built or installed beside bel-bench\n"
    "  --json         one JSON line, last\n";

struct options {
    char shape;
    long sessions, connections;
    const char *daemon;
    int json;
};

static struct load_server server = {.name = "beliefd", .wire = &wire_frames};
static struct load_connection *connections;
static char directory[96], model_path[128], config_path[128], log_path[128];
static size_t packed;            // bytes of integers of one belief

static void clean_up(void)
{
    load_stop(&server);
    unlink(server.path);
    unlink(model_path);
    unlink(config_path);
    unlink(log_path);
    rmdir(directory);
}

static void on_signal(int number)
{
    (void)number;
    exit(130);
}

// Bytes of the daemon's memory that are really there.
static double memory_of(pid_t pid)
{
    char path[64], line[256];
    double kilobytes = 0;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "Pss:", 4) == 0)
            kilobytes = strtod(line + 4, NULL);
    if (file)
        fclose(file);
    if (!(kilobytes > 0))
        load_die("%s does not tell the daemon's memory", path);
    return kilobytes * 1024;
}

static void settle(void)
{
    nanosleep(&(struct timespec){SETTLE_MS / 1000, SETTLE_MS % 1000 * 1000000}, NULL);
}

static void save_model(char shape)
{
    char why[256];
    struct model *model = shape_model(shape, why, sizeof why);
    if (!model)
        load_die("%s", why);
    load_prepare(model->observation_dim);
    for (int h = 0; h < HEAD_COUNT; h++)
        if (model->heads[h].features) {
            size_t n = model->heads[h].features + model->heads[h].targets;
            packed += n * (n + 1) / 2 * 16;
        }
    int error = model_save(model, model_path);
    if (error)
        load_die("%s: %s", model_path, strerror(-error));
    model_free(model);
}

static void write_config(const struct options *options)
{
    FILE *file = fopen(config_path, "we");
    if (!file || fprintf(file, "connections = %ld\nsessions = %ld\n", options->connections + 8,
                         options->sessions) < 0 || fclose(file))
        load_die("%s: %s", config_path, strerror(errno));
}

static void allow_files(long count)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < (rlim_t)count + SPARE_FILES) {
        files.rlim_cur = files.rlim_max < (rlim_t)count + SPARE_FILES ? files.rlim_max : (rlim_t)count + SPARE_FILES;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

static void ask(struct load_connection *connection, struct wire_envelope *request)
{
    load_put_frame(connection, request);
    load_round_trip(connection, load_take_frame);
}

// One session's life until it waits.
static void open_session(struct load_connection *connection, long number, uint32_t handle)
{
    static const float executed[SHAPE_ACTION] = {0.1f, -0.2f, 0.3f, -0.4f, 0.5f, -0.6f};
    char name[32];
    snprintf(name, sizeof name, "memory-%ld", number);
    ask(connection, &(struct wire_envelope){.kind = WIRE_OPEN, .open.session = name});
    for (uint64_t seq = 1; seq <= 1 + STEPS; seq++) {
        struct wire_floats observation = {load_observation(seq + (uint64_t)number), load_dim()};
        struct wire_envelope request = {.kind = seq == 1 ? WIRE_ACT : WIRE_STEP};
        if (seq == 1)
            request.act = (struct wire_act){.handle = handle, .seq = seq, .observation = observation};
        else
            request.step = (struct wire_step){.handle = handle, .seq = seq, .observation = observation,
                                              .reward = load_reward(seq), .action = {executed, SHAPE_ACTION}};
        ask(connection, &request);
    }
}

static void open_connections(long count)
{
    connections = calloc((size_t)count, sizeof *connections);
    if (!connections)
        load_die("no memory");
    for (long i = 0; i < count; i++) {
        load_connect(&server, &connections[i]);
        ask(&connections[i], &(struct wire_envelope){.kind = WIRE_PING});
    }
}

static void report(const struct options *options, double bare, double connected, double full)
{
    double session = (full - connected) / (double)options->sessions;
    double connection = (connected - bare) / (double)options->connections;
    printf("shape %c, %ld sessions on %ld connections\n", options->shape, options->sessions, options->connections);
    printf("a session     %10.0f bytes   %.3f x its %zu bytes of packed integers\n", session,
           session / (double)packed, packed);
    printf("a connection  %10.0f bytes\n", connection);
    printf("the daemon    %10.1f MB, %.1f MB before the first connection\n", full / 1e6, bare / 1e6);
    if (options->json)
        printf("{\"shape\":\"%c\",\"sessions\":%ld,\"connections\":%ld,\"session_bytes\":%.0f,\"packed_bytes\":%zu,"
               "\"ratio\":%.4f,\"connection_bytes\":%.0f,\"total_bytes\":%.0f}\n",
               options->shape, options->sessions, options->connections, session, packed, session / (double)packed,
               connection, full);
}

static int number(const char *option, long *out)
{
    char *end;
    *out = strtol(optarg, &end, 10);
    if (!*end && end != optarg && *out >= 1 && *out <= 1000000)
        return 0;
    fprintf(stderr, "bel-bench: --%s %s: a number from 1 to 1000000 (see --help)\n", option, optarg);
    return -1;
}

static int read_options(struct options *options, int argc, char **argv)
{
    static const struct option long_options[] = {
        {"shape", required_argument, NULL, 's'},       {"sessions", required_argument, NULL, 'n'},
        {"connections", required_argument, NULL, 'c'}, {"daemon", required_argument, NULL, 'd'},
        {"json", no_argument, NULL, 'j'},              {"help", no_argument, NULL, 'h'}, {0}};
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        switch (option) {
        case 's': options->shape = optarg[1] ? '?' : optarg[0]; break;
        case 'n':
            if (number("sessions", &options->sessions))
                return 2;
            break;
        case 'c':
            if (number("connections", &options->connections))
                return 2;
            break;
        case 'd': options->daemon = optarg; break;
        case 'j': options->json = 1; break;
        case 'h': fputs(usage, stdout); return 0;
        default:
            fprintf(stderr, "bel-bench: %s: unknown, or without its value (see --help)\n", argv[optind - 1]);
            return 2;
        }
    }
    if (optind < argc || !options->shape || !strchr("sml", options->shape)) {
        fprintf(stderr, "bel-bench: %s (see --help)\n", optind < argc ? argv[optind] : "--shape is s, m or l");
        return 2;
    }
    return -1;
}

int bench_memory(int argc, char **argv)
{
    struct options options = {.shape = 'm', .sessions = 10000, .connections = 2000};
    int code = read_options(&options, argc, argv);
    if (code >= 0)
        return code;
    char listen[160], daemon[4096];
    if (!options.daemon && !load_find_daemon(daemon, sizeof daemon))
        load_die("there is no beliefd beside bel-bench; --daemon tells where it is");
    const char *temporary = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%.64s/bel-bench.XXXXXX", temporary ? temporary : "/tmp");
    if (!mkdtemp(directory))
        load_die("%s: %s", directory, strerror(errno));
    atexit(clean_up);
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    snprintf(model_path, sizeof model_path, "%s/model", directory);
    snprintf(config_path, sizeof config_path, "%s/config", directory);
    snprintf(log_path, sizeof log_path, "%s/log", directory);
    snprintf(server.path, sizeof server.path, "%s/socket", directory);
    snprintf(listen, sizeof listen, "unix:%s", server.path);
    save_model(options.shape);
    write_config(&options);
    allow_files(options.connections);
    load_start(&server, -1, log_path,
               (char *[]){options.daemon ? (char *)(uintptr_t)options.daemon : daemon, (char *)(uintptr_t)"--config",
                          config_path, (char *)(uintptr_t)"--listen", listen, (char *)(uintptr_t)"--model",
                          model_path, NULL});
    double bare = memory_of(server.pid);
    open_connections(options.connections);
    settle();
    double connected = memory_of(server.pid);
    for (long i = 0; i < options.sessions; i++)
        open_session(&connections[i % options.connections], i, (uint32_t)(i / options.connections + 1));
    settle();
    report(&options, bare, connected, memory_of(server.pid));
    for (long i = 0; i < options.connections; i++)
        load_disconnect(&connections[i]);
    free(connections);
    return 0;
}
