// What a request costs beliefd, beside what people build instead: a Python websocket server with numpy, a Python gRPC
// server with torch, each doing the same work for a step (tests/bench), and beside the smallest thing that a network
// database does, a GET of 300 bytes. All run at the same time and are asked in turns (load.h).
#include "peers.h"

#include "load.h"
#include "shape.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const double SLICE = 0.25;

static const char usage[] =
    "bel-bench peers: a step through the daemon beside servers that people build instead\n"
    "\n"
    "    bel-bench peers [--shape s|m|l] [--seconds N] [--peers DIRECTORY] [--daemon PATH] [--json]\n"
    "\n"
    "  --shape    size of robot and model (m)\n"
    "  --seconds  how long each server is measured (4)\n"
    "  --peers    where peer_websocket.py and peer_grpc.py are (" PEERS_DIRECTORY ")\n"
    "  --daemon   beliefd; otherwise the one that was built or installed beside bel-bench\n"
    "  --json     one JSON line, last\n"
    "\n"
    "What cannot run here (a Python without the packages, no redis-server) is said and left out.\n";

struct options {
    char shape;
    double seconds;
    const char *peers, *daemon;
    int json;
};

enum { OURS, WEBSOCKET, GRPC, REDIS, SERVERS };

static struct load_server servers[SERVERS] = {
    [OURS] = {.name = "beliefd", .wire = &wire_frames},
    [WEBSOCKET] = {.name = "websocket+numpy", .wire = &wire_websocket},
    [GRPC] = {.name = "grpc+torch", .wire = &wire_grpc},
    [REDIS] = {.name = "redis-get-300", .wire = &wire_redis},
};
static char directory[96], model_path[128], log_path[128];

static void clean_up(void)
{
    for (int s = 0; s < SERVERS; s++) {
        load_stop(&servers[s]);
        unlink(servers[s].path);
    }
    unlink(model_path);
    unlink(log_path);
    rmdir(directory);
}

static void on_signal(int number)
{
    (void)number;
    exit(130);
}

// Does a program with these arguments succeed, in silence?
static int succeeds(char *const *argv)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
            _exit(127);
        execvp(argv[0], argv);
        _exit(127);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// A Python that has these packages; the system's first, for that is where Debian's packages are. NULL: none.
static const char *python_with(const char *packages)
{
    static const char *const pythons[] = {"/usr/bin/python3", "python3"};
    char import[128];
    snprintf(import, sizeof import, "import %s", packages);
    for (size_t i = 0; i < 2; i++)
        if (succeeds((char *[]){(char *)(uintptr_t)pythons[i], (char *)(uintptr_t)"-c", import, NULL}))
            return pythons[i];
    fprintf(stderr, "skipped: no Python with %s\n", packages);
    return NULL;
}

static char *words(const char *word) { return (char *)(uintptr_t)word; }

static void start_python(struct load_server *server, int cpu, const struct options *options, const char *file,
                         const char *packages)
{
    char path[4096], shape[] = {options->shape, 0};
    const char *python = python_with(packages);
    snprintf(path, sizeof path, "%s/%s", options->peers, file);
    if (!python)
        return;
    if (access(path, R_OK)) {
        fprintf(stderr, "skipped: %s: %s\n", path, strerror(errno));
        return;
    }
    load_start(server, cpu, log_path, (char *[]){words(python), path, shape, server->path, NULL});
}

static void start_all(const struct options *options, int cpu)
{
    char listen[160], daemon[4096];
    if (!options->daemon && !load_find_daemon(daemon, sizeof daemon))
        load_die("there is no beliefd beside bel-bench; --daemon tells where it is");
    snprintf(listen, sizeof listen, "unix:%s", servers[OURS].path);
    load_start(&servers[OURS], cpu, log_path,
               (char *[]){options->daemon ? words(options->daemon) : daemon, words("--listen"), listen,
                          words("--model"), model_path, NULL});
    start_python(&servers[WEBSOCKET], cpu, options, "peer_websocket.py", "numpy, websockets, msgpack");
    start_python(&servers[GRPC], cpu, options, "peer_grpc.py", "numpy, torch, grpc, google.protobuf");
    if (succeeds((char *[]){words("redis-server"), words("--version"), NULL}))
        load_start(&servers[REDIS], cpu, log_path,
                   (char *[]){words("redis-server"), words("--port"), words("0"), words("--unixsocket"),
                              servers[REDIS].path, words("--save"), words(""), words("--appendonly"), words("no"),
                              words("--dir"), directory, NULL});
    else
        fputs("skipped: no redis-server\n", stderr);
}

static void save_model(char shape)
{
    char why[256];
    struct model *model = shape_model(shape, why, sizeof why);
    if (!model)
        load_die("%s", why);
    load_prepare(model->observation_dim);
    int error = model_save(model, model_path);
    if (error)
        load_die("%s: %s", model_path, strerror(-error));
    model_free(model);
}

static void report(const struct options *options)
{
    double ours = load_cpu_us(&servers[OURS]);
    printf("shape %c, %d connections       CPU of the server for a request, us\n", options->shape, LOAD_CONNECTIONS);
    for (int s = 0; s < SERVERS; s++)
        if (servers[s].pid)
            printf("%-18s %10.2f   %8.2f x ours   (%llu requests)\n", servers[s].name, load_cpu_us(&servers[s]),
                   load_cpu_us(&servers[s]) / ours, (unsigned long long)servers[s].requests);
    if (!options->json)
        return;
    fputs("{\"peers\":[", stdout);
    for (int s = OURS + 1, many = 0; s < SERVERS; s++)
        if (servers[s].pid)
            printf("%s{\"name\":\"%s\",\"cpu_us\":%.3f,\"ours_cpu_us\":%.3f,\"ratio\":%.3f}", many++ ? "," : "",
                   servers[s].name, load_cpu_us(&servers[s]), ours, load_cpu_us(&servers[s]) / ours);
    puts("]}");
}

static int read_options(struct options *options, int argc, char **argv)
{
    static const struct option long_options[] = {
        {"shape", required_argument, NULL, 's'}, {"seconds", required_argument, NULL, 't'},
        {"peers", required_argument, NULL, 'p'}, {"daemon", required_argument, NULL, 'd'},
        {"json", no_argument, NULL, 'j'},        {"help", no_argument, NULL, 'h'}, {0}};
    int option;
    char *end;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        switch (option) {
        case 's': options->shape = optarg[1] ? '?' : optarg[0]; break;
        case 't':
            options->seconds = strtod(optarg, &end);
            if (*end || end == optarg || !(options->seconds >= 0.1 && options->seconds <= 3600)) {
                fprintf(stderr, "bel-bench: --seconds %s: a number from 0.1 to 3600 (see --help)\n", optarg);
                return 2;
            }
            break;
        case 'p': options->peers = optarg; break;
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

int bench_peers(int argc, char **argv)
{
    struct options options = {.shape = 'm', .seconds = 4, .peers = PEERS_DIRECTORY};
    int code = read_options(&options, argc, argv), other;
    if (code >= 0)
        return code;
    // One thread each, and BLAS as it chooses by itself: the peers at their best on one processor.
    setenv("OPENBLAS_NUM_THREADS", "1", 1);
    setenv("OMP_NUM_THREADS", "1", 1);
    unsetenv("OPENBLAS_CORETYPE");
    const char *temporary = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%.64s/bel-bench.XXXXXX", temporary ? temporary : "/tmp");
    if (!mkdtemp(directory))
        load_die("%s: %s", directory, strerror(errno));
    atexit(clean_up);
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    snprintf(model_path, sizeof model_path, "%s/model", directory);
    snprintf(log_path, sizeof log_path, "%s/log", directory);
    for (int s = 0; s < SERVERS; s++)
        snprintf(servers[s].path, sizeof servers[s].path, "%s/%d", directory, s);

    save_model(options.shape);
    int cpu = load_processors(&other);
    start_all(&options, cpu);
    load_run_on(other);
    for (int s = 0; s < SERVERS; s++)
        if (servers[s].pid) {
            load_join(&servers[s]);
            load_slice(&servers[s], SLICE, 0);  // warm
        }
    for (double done = 0; done < options.seconds; done += SLICE)
        for (int s = 0; s < SERVERS; s++)
            if (servers[s].pid)
                load_slice(&servers[s], SLICE, 1);
    report(&options);
    for (int s = 0; s < SERVERS; s++)
        if (servers[s].pid)
            load_leave(&servers[s]);
    return 0;
}
