// How long a step takes and what it costs the server, beside something known that is asked in turns with it (duel.h):
//
//     alone         an echo server of the same messages (echo.h)       a daemon
//     --door grpc   a daemon's frames                                  the same daemon's gRPC
//     --log on      a daemon that keeps nothing                        one that logs all, durability interval
//     --loops N     a daemon of one loop                               one of N
//
// With --log on it also tells how many transitions a second one processor absorbs, answers and brings to disk.
#include "serve.h"

#include "duel.h"
#include "load.h"
#include "shape.h"
#include "sustain.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char usage[] =
    "bel-bench serve: a step through the daemon beside an echo of the same messages\n"
    "\n"
    "    bel-bench serve [--shape s|m|l] [--seconds N] [--door frames|grpc] [--log on|off]\n"
    "                    [--loops N] [--daemon PATH] [--json]\n"
    "\n"
    "  --shape    size of robot and model (m)\n"
    "  --seconds  how long, half with one client, half with 64 (15)\n"
    "  --door     frames: a step over frames beside the echo; grpc: over gRPC beside frames (frames)\n"
    "  --log      on: a daemon with an experience log beside one without, then so many seconds again for what\n"
    "             one processor brings to disk (off)\n"
    "  --loops    a daemon of so many loops beside one of one, on all processors (1)\n"
    "  --daemon   beliefd; otherwise the one that was built or installed beside bel-bench\n"
    "  --json     one JSON line, last\n"
    "\n"
    "One of --door grpc, --log on and --loops at a time.\n";

enum subject { SUBJECT_STEP, SUBJECT_GRPC, SUBJECT_LOG, SUBJECT_LOOPS };

struct options {
    char shape;
    double seconds;
    const char *daemon;
    int json, is_grpc, is_logged;
    long loops;
    enum subject subject;
};

// Titles, and prefixes of the JSON line's fields.
static const struct words {
    const char *base, *subject, *base_key, *key;
} words[] = {
    [SUBJECT_STEP] = {"echo", "step", "echo", "step"},
    [SUBJECT_GRPC] = {"frames", "gRPC", "frames", "grpc"},
    [SUBJECT_LOG] = {"log off", "log on", "off", "on"},
    [SUBJECT_LOOPS] = {"one loop", "loops", "one", "loops"},
};

// ---- Telling --------------------------------------------------------------------------------------------------

static void row(const char *title, double base, double subject, const char *rest)
{
    printf("%-20s  %8.2f  %8.2f  %8.2f   %s\n", title, base, subject, subject / base, rest);
}

static void tell(const struct options *options, const struct duel_server servers[2])
{
    const struct words *w = &words[options->subject];
    const struct duel_server *base = &servers[0], *subject = &servers[1];
    char text[128];
    printf("shape %-14c  %8s  %8s  %8s\n", options->shape, w->base, w->subject, "ratio");
    row("one client  p50", duel_quantile(base, 0.5), duel_quantile(subject, 0.5),
        options->subject == SUBJECT_LOOPS ? "us, Unix socket, any processor" : "us, Unix socket, one processor");
    row("            p99", duel_quantile(base, 0.99), duel_quantile(subject, 0.99), "");
    snprintf(text, sizeof text, "%zu and %zu round trips", base->sample_count, subject->sample_count);
    row("            p99.9", duel_quantile(base, 0.999), duel_quantile(subject, 0.999), text);
    snprintf(text, sizeof text, "us of the server for a request, %llu and %llu requests",
             (unsigned long long)base->requests, (unsigned long long)subject->requests);
    row("64 clients  CPU", duel_cpu_us(base), duel_cpu_us(subject), text);
    if (options->is_grpc)
        printf("gRPC over frames      %+8.2f                       us, p50\n",
               duel_quantile(subject, 0.5) - duel_quantile(base, 0.5));
}

static void tell_sustained(const struct sustain *sustained)
{
    double count = (double)sustained->transitions;
    printf("to disk               %8.0f                       transitions/s of one processor, %.0f in %.2f s,"
           " all durable\n",
           count / sustained->seconds, count, sustained->seconds);
    printf("                      %8.0f                       for a second of processor time: us loop %.2f,"
           " log %.2f\n",
           count / (sustained->loop_seconds + sustained->log_seconds), sustained->loop_seconds / count * 1e6,
           sustained->log_seconds / count * 1e6);
}

static void tell_json(const struct options *options, const struct duel_server servers[2], const struct sustain *sustained)
{
    const struct words *w = &words[options->subject];
    const struct duel_server *base = &servers[0], *subject = &servers[1];
    double p50 = duel_quantile(base, 0.5), subject_p50 = duel_quantile(subject, 0.5);
    printf("{\"shape\":\"%c\",\"%s_p50_us\":%.3f,\"%s_p50_us\":%.3f,\"p50_ratio\":%.4f,\"%s_p99_us\":%.3f,"
           "\"%s_p999_us\":%.3f,\"%s_cpu_us\":%.4f,\"%s_cpu_us\":%.4f,\"cpu_ratio\":%.4f",
           options->shape, w->base_key, p50, w->key, subject_p50, subject_p50 / p50, w->key,
           duel_quantile(subject, 0.99), w->key, duel_quantile(subject, 0.999), w->base_key, duel_cpu_us(base), w->key,
           duel_cpu_us(subject), duel_cpu_us(subject) / duel_cpu_us(base));
    if (options->is_grpc)
        printf(",\"grpc_over_frames_us\":%.3f", subject_p50 - p50);
    if (options->loops > 1)
        printf(",\"loops\":%ld", options->loops);
    if (options->is_logged) {
        double count = (double)sustained->transitions;
        printf(",\"logged\":%.0f,\"logged_per_s\":%.0f,\"logged_per_cpu_s\":%.0f,\"loop_us\":%.3f,\"log_us\":%.3f", count,
               count / sustained->seconds, count / (sustained->loop_seconds + sustained->log_seconds),
               sustained->loop_seconds / count * 1e6, sustained->log_seconds / count * 1e6);
    }
    puts("}");
}

// ---- Setting up -----------------------------------------------------------------------------------------------

// What must not stay behind.
static struct duel_server servers[2];
static char directory[96], model_path[128], log_path[128], data_path[128];

static void remove_data(void)
{
    static const char *const files[] = {"experience.db", "experience.db-wal", "experience.db-shm", "lock"};
    char path[160];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", data_path, files[i]);
        unlink(path);
    }
    rmdir(data_path);
}

static void clean_up(void)
{
    for (int s = 0; s < 2; s++) {
        if (servers[s].pid > 0 && (s == 0 || servers[s].pid != servers[0].pid)) {
            kill(servers[s].pid, SIGTERM);
            waitpid(servers[s].pid, NULL, 0);
        }
        unlink(servers[s].path);
    }
    remove_data();
    unlink(model_path);
    unlink(log_path);
    rmdir(directory);
}

static void on_signal(int number)
{
    (void)number;
    exit(130);
}

static void make_directory(void)
{
    const char *temporary = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%.64s/bel-bench.XXXXXX", temporary ? temporary : "/tmp");
    if (!mkdtemp(directory))
        load_die("%s: %s", directory, strerror(errno));
    atexit(clean_up);
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    snprintf(model_path, sizeof model_path, "%s/model", directory);
    snprintf(log_path, sizeof log_path, "%s/log", directory);
    snprintf(data_path, sizeof data_path, "%s/data", directory);
    snprintf(servers[0].path, sizeof servers[0].path, "%s/base", directory);
    snprintf(servers[1].path, sizeof servers[1].path, "%s/subject", directory);
}

static void save_model(char shape)
{
    char why[256];
    struct model *model = shape_model(shape, why, sizeof why);
    if (!model)
        load_die("%s", why);
    load_prepare(model->observation_dim);  // rewards are noise: a belief without error is refined each time
    int error = model_save(model, model_path);
    if (error)
        load_die("%s: %s", model_path, strerror(-error));
    model_free(model);
}

static void start_daemon(struct duel_server *server, const char *name, int cpu, const struct options *options,
                         long loops, int is_logged)
{
    char listen[160], count[32];
    server->name = name;
    snprintf(listen, sizeof listen, "unix:%s", server->path);
    snprintf(count, sizeof count, "%ld", loops);
    const char *arguments[16] = {options->daemon, "--listen", listen, "--model", model_path, "--ready-fd", "3",
                                 "--loops", count};
    if (is_logged)
        memcpy(&arguments[9], (const char *[]){"--data", data_path, "--durability", "interval"}, 4 * sizeof *arguments);
    duel_start(server, cpu, log_path, (char **)(uintptr_t)arguments);
}

static void start_both(const struct options *options, int cpu)
{
    if (options->subject == SUBJECT_STEP) {
        servers[0].name = "the echo server";
        duel_start(&servers[0], cpu, log_path, (char *[]){"/proc/self/exe", "echo-server", servers[0].path, NULL});
    } else {
        start_daemon(&servers[0], "beliefd", cpu, options, 1, 0);
    }
    if (options->subject == SUBJECT_GRPC) {
        servers[1] = servers[0];
        servers[1].is_grpc = 1;
    } else {
        start_daemon(&servers[1], "beliefd", cpu, options, options->loops, options->is_logged);
    }
    for (int s = 0; s < 2; s++)
        duel_init(&servers[s]);
}

// ---- Options --------------------------------------------------------------------------------------------------

// 1 or 0: the option is the first or the second word; -1 with a sentence.
static int one_of(const char *option, const char *first, const char *second)
{
    if (!strcmp(optarg, first) || !strcmp(optarg, second))
        return !strcmp(optarg, first);
    fprintf(stderr, "bel-bench: --%s %s: %s or %s (see --help)\n", option, optarg, first, second);
    return -1;
}

static int in_range(const char *option, double *out, double least, double most)
{
    char *end;
    *out = strtod(optarg, &end);
    if (!*end && end != optarg && *out >= least && *out <= most)
        return 0;
    fprintf(stderr, "bel-bench: --%s %s: a number from %g to %g (see --help)\n", option, optarg, least, most);
    return -1;
}

static int choose_subject(struct options *options)
{
    if (options->is_grpc + options->is_logged + (options->loops > 1) > 1) {
        fputs("bel-bench: one of --door grpc, --log on and --loops at a time (see --help)\n", stderr);
        return 2;
    }
    options->subject = options->is_grpc     ? SUBJECT_GRPC
                       : options->is_logged ? SUBJECT_LOG
                       : options->loops > 1 ? SUBJECT_LOOPS
                                            : SUBJECT_STEP;
    return -1;
}

static int read_options(struct options *options, int argc, char **argv)
{
    static const struct option long_options[] = {
        {"shape", required_argument, NULL, 's'},   {"door", required_argument, NULL, 'o'},
        {"seconds", required_argument, NULL, 't'}, {"log", required_argument, NULL, 'l'},
        {"loops", required_argument, NULL, 'n'},   {"daemon", required_argument, NULL, 'd'},
        {"json", no_argument, NULL, 'j'},          {"help", no_argument, NULL, 'h'}, {0}};
    int option;
    double loops = 1;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        switch (option) {
        case 's': options->shape = optarg[1] ? '?' : optarg[0]; break;
        case 't':
            if (in_range("seconds", &options->seconds, 0.1, 86400))
                return 2;
            break;
        case 'n':
            if (in_range("loops", &loops, 1, 64))
                return 2;
            options->loops = (long)loops;
            break;
        case 'd': options->daemon = optarg; break;
        case 'o':
            if ((options->is_grpc = one_of("door", "grpc", "frames")) < 0)
                return 2;
            break;
        case 'l':
            if ((options->is_logged = one_of("log", "on", "off")) < 0)
                return 2;
            break;
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
    return choose_subject(options);
}

int bench_serve(int argc, char **argv)
{
    struct options options = {.shape = 'm', .seconds = 15, .loops = 1};
    int other, code = read_options(&options, argc, argv);
    if (code >= 0)
        return code;
    char daemon[4096];
    if (!options.daemon && !load_find_daemon(daemon, sizeof daemon))
        load_die("there is no beliefd beside bel-bench; --daemon tells where it is");
    options.daemon = options.daemon ? options.daemon : daemon;

    make_directory();
    save_model(options.shape);
    int cpu = load_processors(&other), is_pinned = options.subject != SUBJECT_LOOPS;
    start_both(&options, is_pinned ? cpu : -1);
    if (is_pinned)
        load_run_on(cpu);
    duel_one_client(servers, options.seconds / 2);
    if (is_pinned)
        load_run_on(other);
    duel_many_clients(servers, options.seconds / 2);
    tell(&options, servers);
    struct sustain sustained = {0};
    if (options.is_logged) {
        sustain_measure(&sustained, &servers[1], options.seconds);
        tell_sustained(&sustained);
    }
    if (options.json)
        tell_json(&options, servers, &sustained);
    for (int s = 0; s < 2; s++)
        duel_release(&servers[s]);
    return 0;
}
