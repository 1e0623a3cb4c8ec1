// How long a step takes and what it costs the server, beside an echo server of the same messages (echo.h).
//
// Both servers run all the time; the client asks one, then the other, in short turns, so that what else the
// machine does falls on both. One client: servers and client on one processor, where waking somebody costs least
// and varies least; time from the write to the whole reply. 64 clients: one epoll loop plays them all, each with
// one request at a time, on another processor if there is one, as clients are that do not stop the server whenever
// it answers; what counts is the processor time that the server used, from the kernel's clock of that process.
//
// The client here is bare: it writes a frame and reads a frame, the same code for both servers.
//
// With --door grpc there is one daemon, asked through both of its doors in turn: frames in place of the echo, gRPC in
// place of frames.
#include "serve.h"

#include "call.h"
#include "load.h"

#include "proto/frame.h"
#include "proto/wire.h"
#include "shape.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    CLIENTS = 64, FRAME = 4096, TURN = 200, WARM_UP = 2000, SAMPLES_LIMIT = 1 << 21,
    READY_FD = 3,
};
static const double SLICE = 0.1;  // seconds of one turn with 64 clients

static const char usage[] =
    "bel-bench serve: a step through the daemon beside an echo of the same messages\n"
    "\n"
    "    bel-bench serve [--shape s|m|l] [--seconds N] [--door frames|grpc] [--daemon PATH]\n"
    "                    [--json]\n"
    "\n"
    "  --shape    size of robot and model (m)\n"
    "  --seconds  how long, half with one client, half with 64 (15)\n"
    "  --door     frames: a step over frames beside the echo; grpc: over gRPC beside frames (frames)\n"
    "  --daemon   beliefd; otherwise the one that was built or installed beside bel-bench\n"
    "  --json     one JSON line, last\n";

struct options {
    char shape;
    double seconds;
    const char *daemon;
    int json, is_grpc;
};

struct server {
    const char *name;
    int is_grpc;             // asked through that door
    pid_t pid;
    char path[108];          // of its socket
    clockid_t clock;         // processor time of the process
    double *samples;         // round trips of one client, us
    size_t sample_count;
    double cpu_seconds;      // used while 64 clients asked
    uint64_t requests;       // that they made
};

struct client {
    int fd;
    uint64_t seq, id;
    struct frame_buffer in;
    struct server *server;
    struct bench_call *call; // NULL: frames
    char session[64];
};

static char directory[96], model_path[128], log_path[128];

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double cpu_of(const struct server *server)
{
    struct timespec time = {0};
    clock_gettime(server->clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

// ---- Servers --------------------------------------------------------------------------------------------------

// The servers' last words.
static void show_log(void)
{
    char line[512];
    FILE *log = fopen(log_path, "r");
    while (log && fgets(line, sizeof line, log))
        fputs(line, stderr);
    if (log)
        fclose(log);
}

// Starts a program on a processor and waits until it says READY.
static void start(struct server *server, int cpu, char **argv)
{
    int ready[2];
    char word[8];
    if (pipe2(ready, O_CLOEXEC))
        load_die("no pipe: %s", strerror(errno));
    server->pid = fork();
    if (server->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        load_run_on(cpu);
        dup2(open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600), STDERR_FILENO);
        if (ready[1] == READY_FD)
            fcntl(READY_FD, F_SETFD, 0);
        else
            dup2(ready[1], READY_FD);
        execv(argv[0], argv);
        fprintf(stderr, "bel-bench: %s: %s\n", argv[0], strerror(errno));
        _exit(127);
    }
    close(ready[1]);
    if (server->pid < 0 || read(ready[0], word, sizeof word) < 6 ||
        clock_getcpuclockid(server->pid, &server->clock)) {
        show_log();
        load_die("%s does not start", argv[0]);
    }
    close(ready[0]);
}

// ---- One request ----------------------------------------------------------------------------------------------

static uint8_t arena_memory[1 << 16];

static struct wire_arena fresh_arena(void)
{
    struct wire_arena arena;
    wire_arena_init(&arena, arena_memory, sizeof arena_memory);
    return arena;
}

// The client's next request, *size bytes; its kind is OPEN, ACT or STEP. Over frames a session is named by its handle.
static void next_request(struct client *client, enum wire_kind kind, uint8_t *bytes, size_t *size)
{
    static const float executed[SHAPE_ACTION] = {0.1f, -0.2f, 0.3f, -0.4f, 0.5f, -0.6f};
    struct wire_arena arena = fresh_arena();
    struct wire_floats observation = {load_observation(client->seq), load_dim()};
    struct wire_envelope request = {.request_id = ++client->id, .kind = kind};
    const char *session = client->call ? client->session : NULL;
    uint32_t handle = client->call ? 0 : 1;
    uint64_t epoch = client->call ? 1 : 0;
    if (kind == WIRE_OPEN) {
        request.open.session = client->session;
    } else if (kind == WIRE_ACT) {
        request.act = (struct wire_act){
            .handle = handle, .session = session, .epoch = epoch, .seq = ++client->seq, .observation = observation};
    } else {
        request.step = (struct wire_step){
            .handle = handle, .session = session, .epoch = epoch, .seq = ++client->seq, .task = 1,
            .observation = observation, .reward = load_reward(client->seq), .action = {executed, SHAPE_ACTION}};
    }
    uint8_t frame[FRAME];
    long written = wire_encode(client->call ? frame : bytes, FRAME, &request, &arena);
    if (written < 0 || written > FRAME)
        load_die("a request does not fit");
    *size = (size_t)written;
    if (client->call) {
        const char *method = kind == WIRE_OPEN ? "Open" : kind == WIRE_ACT ? "Act" : "Step";
        *size = bench_call_ask(client->call, method, wire_body(frame, (size_t)written), bytes, FRAME);
    }
    if (*size == 0)
        load_die("a request does not fit");
}

static void check_reply(const struct client *client, const struct wire_envelope *reply)
{
    if (reply->kind == WIRE_ERROR)
        load_die("%s says %s (%s): %s", client->server->name, wire_error_name(reply->error.code), reply->error.field,
            reply->error.message);
    if (reply->kind == WIRE_OPENED && reply->opened.handle != (client->call ? 0 : 1))
        load_die("%s: a handle of %u", client->server->name, reply->opened.handle);
    if (reply->kind == WIRE_ACTION && reply->action.status != WIRE_STATUS_ABSORBED && reply->action.seq > 1)
        load_die("%s: transition %llu was not absorbed: %s", client->server->name, (unsigned long long)reply->action.seq,
            wire_status_name(reply->action.status));
}

static int take_grpc_reply(struct client *client, enum wire_kind kind)
{
    struct wire_bytes body;
    struct wire_envelope reply;
    int whole = bench_call_take(client->call, &client->in, &body);
    if (whole < 0)
        load_die("%s refuses a call: %s", client->server->name, bench_call_why(client->call));
    if (whole == 0)
        return 0;
    struct wire_arena arena = fresh_arena();
    if (wire_decode_body(&reply, kind == WIRE_OPEN ? WIRE_OPENED : WIRE_ACTION, body.bytes, body.size, &arena))
        load_die("%s does not answer what was asked", client->server->name);
    check_reply(client, &reply);
    return 1;
}

// Checks the reply that the client holds and drops it. 0: it is not whole yet.
static int take_reply(struct client *client, enum wire_kind kind)
{
    const uint8_t *body;
    size_t size;
    if (client->call)
        return take_grpc_reply(client, kind);
    int whole = frame_next(&client->in, FRAME, &body, &size);
    if (whole < 0)
        load_die("%s: a reply that is too long", client->server->name);
    if (whole == 0)
        return 0;
    struct wire_arena arena = fresh_arena();
    struct wire_envelope reply;
    if (wire_decode(&reply, body, size, &arena) || reply.request_id != client->id)
        load_die("%s does not answer what was asked", client->server->name);
    check_reply(client, &reply);
    frame_buffer_consume(&client->in, FRAME_HEADER_SIZE + size);
    return 1;
}

static void receive(struct client *client)
{
    uint8_t *room = frame_buffer_reserve(&client->in, FRAME / 2);
    ssize_t got = recv(client->fd, room, client->in.capacity - client->in.end, 0);
    if (got <= 0)
        load_die("%s hung up", client->server->name);
    frame_buffer_append(&client->in, (size_t)got);
}

static void send_all(struct client *client, const uint8_t *frame, size_t size)
{
    if (send(client->fd, frame, size, MSG_NOSIGNAL) != (ssize_t)size)
        load_die("%s does not take a request", client->server->name);
}

// One round trip, microseconds from the write until the reply is whole; over gRPC that is when its last trailer was
// taken apart.
static double ask(struct client *client, enum wire_kind kind)
{
    uint8_t bytes[FRAME];
    size_t size, wanted;
    const uint8_t *body;
    next_request(client, kind, bytes, &size);
    double before = now(), took;
    send_all(client, bytes, size);
    if (client->call) {
        do
            receive(client);
        while (!take_reply(client, kind));
        return (now() - before) * 1e6;
    }
    do
        receive(client);
    while (frame_next(&client->in, FRAME, &body, &wanted) == 0);
    took = (now() - before) * 1e6;
    take_reply(client, kind);
    return took;
}

static void join(struct client *client, struct server *server)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    memcpy(to.sun_path, server->path, sizeof to.sun_path);
    *client = (struct client){.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), .server = server};
    if (client->fd < 0 || frame_buffer_init(&client->in, FRAME, FRAME) ||
        connect(client->fd, (struct sockaddr *)&to, sizeof to))
        load_die("no connection to %s: %s", server->name, strerror(errno));
    if (server->is_grpc && !(client->call = bench_call_new()))
        load_die("no memory");
    static unsigned opened;
    snprintf(client->session, sizeof client->session, "bench-%d-%u", (int)getpid(), ++opened);
    ask(client, WIRE_OPEN);
    ask(client, WIRE_ACT);
}

static void leave(struct client *client)
{
    close(client->fd);
    bench_call_free(client->call);
    frame_buffer_release(&client->in);
}

// ---- Measuring ------------------------------------------------------------------------------------------------

static void one_client(struct server servers[2], double seconds)
{
    struct client clients[2];
    for (int s = 0; s < 2; s++) {
        join(&clients[s], &servers[s]);
        for (int i = 0; i < WARM_UP; i++)
            ask(&clients[s], WIRE_STEP);
    }
    for (double end = now() + seconds; now() < end;)
        for (int s = 0; s < 2; s++)
            for (int i = 0; i < TURN && servers[s].sample_count < SAMPLES_LIMIT; i++)
                servers[s].samples[servers[s].sample_count++] = ask(&clients[s], WIRE_STEP);
    for (int s = 0; s < 2; s++)
        leave(&clients[s]);
}

// All clients of one server ask for a while. Requests that they made.
static uint64_t slice(int poll, struct client *clients, double seconds)
{
    uint8_t frame[FRAME];
    size_t size, waiting = CLIENTS;
    uint64_t requests = CLIENTS;
    for (int i = 0; i < CLIENTS; i++) {
        next_request(&clients[i], WIRE_STEP, frame, &size);
        send_all(&clients[i], frame, size);
    }
    for (double end = now() + seconds; waiting;) {
        struct epoll_event events[CLIENTS];
        int ready = epoll_wait(poll, events, CLIENTS, -1), more = now() < end;
        for (int e = 0; e < ready; e++) {
            struct client *client = events[e].data.ptr;
            receive(client);
            if (!take_reply(client, WIRE_STEP))
                continue;
            if (!more) {
                waiting--;
                continue;
            }
            next_request(client, WIRE_STEP, frame, &size);
            send_all(client, frame, size);
            requests++;
        }
    }
    return requests;
}

static void many_clients(struct server servers[2], double seconds)
{
    static struct client clients[2][CLIENTS];
    int polls[2];
    for (int s = 0; s < 2; s++) {
        polls[s] = epoll_create1(EPOLL_CLOEXEC);
        for (int i = 0; i < CLIENTS; i++) {
            join(&clients[s][i], &servers[s]);
            struct epoll_event event = {.events = EPOLLIN, .data.ptr = &clients[s][i]};
            if (epoll_ctl(polls[s], EPOLL_CTL_ADD, clients[s][i].fd, &event))
                load_die("no epoll: %s", strerror(errno));
        }
        slice(polls[s], clients[s], SLICE);  // warm
    }
    for (double end = now() + seconds; now() < end;) {
        for (int s = 0; s < 2; s++) {
            double before = cpu_of(&servers[s]);
            servers[s].requests += slice(polls[s], clients[s], SLICE);
            servers[s].cpu_seconds += cpu_of(&servers[s]) - before;
        }
    }
    for (int s = 0; s < 2; s++) {
        for (int i = 0; i < CLIENTS; i++)
            leave(&clients[s][i]);
        close(polls[s]);
    }
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(const struct server *server, double share)
{
    return server->samples[(size_t)(share * (double)(server->sample_count - 1))];
}

static void report(const struct options *options, const struct server *echo, const struct server *step)
{
    double echo_cpu = echo->cpu_seconds / (double)echo->requests * 1e6;
    double step_cpu = step->cpu_seconds / (double)step->requests * 1e6;
    double ratio = quantile(step, 0.5) / quantile(echo, 0.5);
    printf(options->is_grpc ? "shape %c                   frames      gRPC     ratio\n"
                            : "shape %c                     echo      step     ratio\n", options->shape);
    printf("one client  p50      %8.2f  %8.2f  %8.2f   us, Unix socket, one processor\n", quantile(echo, 0.5),
           quantile(step, 0.5), ratio);
    printf("            p99      %8.2f  %8.2f  %8.2f\n", quantile(echo, 0.99), quantile(step, 0.99),
           quantile(step, 0.99) / quantile(echo, 0.99));
    printf("            p99.9    %8.2f  %8.2f  %8.2f   %zu and %zu round trips\n", quantile(echo, 0.999),
           quantile(step, 0.999), quantile(step, 0.999) / quantile(echo, 0.999), echo->sample_count,
           step->sample_count);
    printf("%d clients  CPU      %8.2f  %8.2f  %8.2f   us of the server for a request, %llu and %llu requests\n",
           CLIENTS, echo_cpu, step_cpu, step_cpu / echo_cpu, (unsigned long long)echo->requests,
           (unsigned long long)step->requests);
    if (options->is_grpc)
        printf("gRPC over frames      %+8.2f                     us, p50\n", quantile(step, 0.5) - quantile(echo, 0.5));
    if (options->json && options->is_grpc)
        printf("{\"shape\":\"%c\",\"frames_p50_us\":%.3f,\"grpc_p50_us\":%.3f,\"grpc_over_frames_us\":%.3f,"
               "\"grpc_p99_us\":%.3f,\"frames_cpu_us\":%.4f,\"grpc_cpu_us\":%.4f}\n",
               options->shape, quantile(echo, 0.5), quantile(step, 0.5), quantile(step, 0.5) - quantile(echo, 0.5),
               quantile(step, 0.99), echo_cpu, step_cpu);
    else if (options->json)
        printf("{\"shape\":\"%c\",\"echo_p50_us\":%.3f,\"step_p50_us\":%.3f,\"p50_ratio\":%.4f,"
               "\"step_p99_us\":%.3f,\"step_p999_us\":%.3f,"
               "\"echo_cpu_us\":%.4f,\"step_cpu_us\":%.4f,\"cpu_ratio\":%.4f}\n",
               options->shape, quantile(echo, 0.5), quantile(step, 0.5), ratio, quantile(step, 0.99),
               quantile(step, 0.999), echo_cpu, step_cpu, step_cpu / echo_cpu);
}

// ---- Setting up -----------------------------------------------------------------------------------------------

// What must not stay behind.
static struct server servers[2] = {{.name = "the echo server"}, {.name = "beliefd"}};

static void clean_up(void)
{
    for (int s = 0; s < 2; s++) {
        if (servers[s].pid > 0 && (s == 0 || servers[s].pid != servers[0].pid)) {
            kill(servers[s].pid, SIGTERM);
            waitpid(servers[s].pid, NULL, 0);
        }
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

static int read_options(struct options *options, int argc, char **argv)
{
    static const struct option long_options[] = {
        {"shape", required_argument, NULL, 's'}, {"door", required_argument, NULL, 'o'},
        {"seconds", required_argument, NULL, 't'},
        {"daemon", required_argument, NULL, 'd'}, {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'}, {0}};
    int option;
    char *end;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        switch (option) {
        case 's': options->shape = optarg[1] ? '?' : optarg[0]; break;
        case 't':
            options->seconds = strtod(optarg, &end);
            if (*end || end == optarg || !(options->seconds >= 0.1 && options->seconds <= 86400)) {
                fprintf(stderr, "bel-bench: --seconds %s: a number from 0.1 (see --help)\n", optarg);
                return 2;
            }
            break;
        case 'd': options->daemon = optarg; break;
        case 'o':
            options->is_grpc = strcmp(optarg, "grpc") == 0;
            if (!options->is_grpc && strcmp(optarg, "frames")) {
                fprintf(stderr, "bel-bench: --door %s: frames or grpc (see --help)\n", optarg);
                return 2;
            }
            break;
        case 'j': options->json = 1; break;
        case 'h': fputs(usage, stdout); return 0;
        default:
            fprintf(stderr, "bel-bench: %s: unknown, or without its value (see --help)\n", argv[optind - 1]);
            return 2;
        }
    }
    if (optind < argc || !strchr("sml", options->shape)) {
        fprintf(stderr, "bel-bench: %s (see --help)\n", optind < argc ? argv[optind] : "--shape is s, m or l");
        return 2;
    }
    return -1;
}

int bench_serve(int argc, char **argv)
{
    struct options options = {.shape = 'm', .seconds = 15};
    int code = read_options(&options, argc, argv);
    if (code >= 0)
        return code;
    char daemon[4096], listen[160];
    if (options.daemon)
        snprintf(daemon, sizeof daemon, "%s", options.daemon);
    else if (!load_find_daemon(daemon, sizeof daemon))
        load_die("there is no beliefd beside bel-bench; --daemon tells where it is");

    const char *temporary = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%.64s/bel-bench.XXXXXX", temporary ? temporary : "/tmp");
    if (!mkdtemp(directory))
        load_die("%s: %s", directory, strerror(errno));
    atexit(clean_up);
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    snprintf(model_path, sizeof model_path, "%s/model", directory);
    snprintf(log_path, sizeof log_path, "%s/log", directory);
    snprintf(servers[0].path, sizeof servers[0].path, "%s/echo", directory);
    snprintf(servers[1].path, sizeof servers[1].path, "%s/step", directory);
    snprintf(listen, sizeof listen, "unix:%s", servers[1].path);
    for (int s = 0; s < 2; s++)
        if (!(servers[s].samples = malloc(SAMPLES_LIMIT * sizeof *servers[s].samples)))
            load_die("no memory for samples");

    save_model(options.shape);
    int other, cpu = load_processors(&other);
    char *arguments[] = {daemon, "--listen", listen, "--model", model_path, "--ready-fd", "3", NULL};
    start(&servers[1], cpu, arguments);
    if (options.is_grpc) {
        double *samples = servers[0].samples;
        servers[0] = servers[1];
        servers[0].samples = samples;
        servers[1].is_grpc = 1;
    } else {
        start(&servers[0], cpu, (char *[]){"/proc/self/exe", "echo-server", servers[0].path, NULL});
    }
    load_run_on(cpu);
    one_client(servers, options.seconds / 2);
    load_run_on(other);
    many_clients(servers, options.seconds / 2);
    for (int s = 0; s < 2; s++)
        qsort(servers[s].samples, servers[s].sample_count, sizeof *servers[s].samples, ascending);
    report(&options, &servers[0], &servers[1]);
    for (int s = 0; s < 2; s++)
        free(servers[s].samples);
    return 0;
}
