// The daemon as a process: it starts, serves, suffers, stops and starts again.
//
//     test_daemon PATH-OF-BELIEFD

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proto/frame.h"
#include "proto/wire.h"
#include "tests/agent/sample.h"
#include "tests/support/suite.h"

enum { READY_MS = 60000, REPLY_MS = 30000, BUFFER = 1 << 20 };

static const char *program;
static char directory[64], socket_path[96], model_path[96], log_path[96];
static struct model *model;
static pid_t daemon_pid;

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// Runs beliefd with arguments up to NULL; its standard error goes to the log. ready_fd -1: none wanted.
static pid_t spawn(int ready_fd, rlim_t files, const char *const *arguments)
{
    char descriptor[16];
    const char *argv[32] = {program};
    int argc = 1;
    while (*arguments)
        argv[argc++] = *arguments++;
    if (ready_fd >= 0) {
        snprintf(descriptor, sizeof descriptor, "%d", ready_fd);
        argv[argc++] = "--ready-fd";
        argv[argc++] = descriptor;
    }
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        int log = open(log_path, O_WRONLY | O_CREAT | O_APPEND, 0600);
        dup2(log, 2);
        dup2(log, 1);
        if (files) {
            const struct rlimit limit = {files, files};
            setrlimit(RLIMIT_NOFILE, &limit);
        }
        execv(program, (char *const *)argv);
        _exit(127);
    }
    return pid;
}

static int wait_for(pid_t pid)
{
    int status;
    int64_t limit = now_ms() + READY_MS;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        ck_assert_msg(now_ms() < limit, "it does not end");
        usleep(5000);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int run(const char *const *arguments)
{
    return wait_for(spawn(-1, 0, arguments));
}

static const char *read_log(void)
{
    static char text[1 << 20];
    FILE *file = fopen(log_path, "r");
    size_t size = file ? fread(text, 1, sizeof text - 1, file) : 0;
    text[size] = '\0';
    if (file)
        fclose(file);
    return text;
}

// Starts with --listen and --model and the further arguments, and waits for READY.
static void start(const char *first, ...)
{
    const char *arguments[24] = {"--listen", NULL, "--model", model_path};
    char address[128];
    snprintf(address, sizeof address, "unix:%s", socket_path);
    arguments[1] = address;
    int count = 4;
    va_list more;
    va_start(more, first);
    for (const char *argument = first; argument; argument = va_arg(more, const char *))
        arguments[count++] = argument;
    va_end(more);
    int ready[2];
    ck_assert_int_eq(pipe(ready), 0);
    daemon_pid = spawn(ready[1], 0, arguments);
    close(ready[1]);
    char word[8] = "";
    struct pollfd wait = {ready[0], POLLIN, 0};
    ck_assert_int_eq(poll(&wait, 1, READY_MS), 1);
    ssize_t size = read(ready[0], word, sizeof word - 1);
    ck_assert_msg(size == 6 && !strcmp(word, "READY\n"), "%s", read_log());
    close(ready[0]);
}

static int stop(int signal_number)
{
    kill(daemon_pid, signal_number);
    int status = wait_for(daemon_pid);
    daemon_pid = 0;
    return status;
}

static void set_up(void)
{
    strcpy(directory, "/tmp/test-beliefd-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(socket_path, sizeof socket_path, "%s/socket", directory);
    snprintf(model_path, sizeof model_path, "%s/model", directory);
    snprintf(log_path, sizeof log_path, "%s/log", directory);
    model = sample_model(&sample_small, 1);
    ck_assert_int_eq(model_save(model, model_path), 0);
    signal(SIGPIPE, SIG_IGN);
}

static void tear_down(void)
{
    if (daemon_pid) {
        kill(daemon_pid, SIGKILL);
        waitpid(daemon_pid, NULL, 0);
    }
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    ck_assert_int_eq(system(command), 0);
    model_free(model);
}

// A client with a blocking socket.
struct link {
    int fd;
    struct frame_buffer in;
    struct wire_arena arena;
    uint64_t next_id;
};

static struct link link_of(int fd)
{
    struct link link = {.fd = fd};
    ck_assert_int_eq(frame_buffer_init(&link.in, 4096, BUFFER), 0);
    wire_arena_init(&link.arena, malloc(BUFFER), BUFFER);
    return link;
}

static int connect_unix(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    strcpy(to.sun_path, socket_path);
    ck_assert_msg(connect(fd, (struct sockaddr *)&to, sizeof to) == 0, "%s", strerror(errno));
    return fd;
}

static struct link link_open(void)
{
    return link_of(connect_unix());
}

static void link_close(struct link *link)
{
    close(link->fd);
    frame_buffer_release(&link->in);
    free(link->arena.memory);
}

static void link_send(struct link *link, struct wire_envelope request)
{
    uint8_t bytes[4096];
    request.request_id = ++link->next_id;
    wire_arena_reset(&link->arena);
    long size = wire_encode(bytes, sizeof bytes, &request, &link->arena);
    ck_assert(size > 0 && size <= (long)sizeof bytes);
    ck_assert_int_eq(send(link->fd, bytes, (size_t)size, MSG_NOSIGNAL), size);
}

// The next reply, of kind WIRE_NONE at the end of the connection.
static struct wire_envelope link_receive(struct link *link)
{
    struct wire_envelope reply = {.kind = WIRE_NONE};
    const uint8_t *body;
    size_t size;
    while (frame_next(&link->in, BUFFER, &body, &size) == 0) {
        struct pollfd wait = {link->fd, POLLIN, 0};
        ck_assert_msg(poll(&wait, 1, REPLY_MS) == 1, "no reply; log:\n%s", read_log());
        uint8_t *to = frame_buffer_reserve(&link->in, 4096);
        ck_assert_ptr_nonnull(to);
        ssize_t got = recv(link->fd, to, 4096, 0);
        if (got <= 0)
            return reply;
        frame_buffer_append(&link->in, (size_t)got);
    }
    wire_arena_reset(&link->arena);
    ck_assert_int_eq(wire_decode(&reply, body, size, &link->arena), 0);
    frame_buffer_consume(&link->in, FRAME_HEADER_SIZE + size);
    return reply;
}

static struct wire_envelope link_ask(struct link *link, struct wire_envelope request)
{
    link_send(link, request);
    struct wire_envelope reply = link_receive(link);
    ck_assert_uint_eq(reply.request_id, link->next_id);
    return reply;
}

static uint32_t link_session(struct link *link, const char *name)
{
    struct wire_envelope reply = link_ask(link, (struct wire_envelope){.kind = WIRE_OPEN, .open = {.session = name}});
    ck_assert_int_eq(reply.kind, WIRE_OPENED);
    return reply.opened.handle;
}

static struct wire_envelope step_request(uint32_t handle, uint64_t seq)
{
    static float observation[16], action[4];
    for (int i = 0; i < 16; i++)
        observation[i] = (float)((seq * 7 + (uint64_t)i * 3) % 11) / 11;
    for (int i = 0; i < 4; i++)
        action[i] = (float)((seq + (uint64_t)i) % 5) / 5 - 0.5f;
    if (seq == 1)
        return (struct wire_envelope){
            .kind = WIRE_ACT,
            .act = {.handle = handle, .seq = 1, .observation = {observation, model->observation_dim}}};
    return (struct wire_envelope){
        .kind = WIRE_STEP,
        .step = {.handle = handle, .seq = seq, .observation = {observation, model->observation_dim},
                 .reward = observation[1], .action = {action, model->action_dim}}};
}

// Steps first .. last; the digest after them.
static void link_live(struct link *link, uint32_t handle, uint64_t first, uint64_t last, uint8_t *digest)
{
    for (uint64_t seq = first; seq <= last; seq++) {
        struct wire_envelope reply = link_ask(link, step_request(handle, seq));
        ck_assert_msg(reply.kind == WIRE_ACTION, "%d %s", reply.kind,
                      reply.kind == WIRE_ERROR ? reply.error.message : "");
        ck_assert_uint_eq(reply.action.seq, seq);
        ck_assert_uint_eq(reply.action.action.count, model->action_dim);
        if (digest)
            memcpy(digest, reply.action.digest.bytes, WIRE_DIGEST_SIZE);
    }
}

static const struct wire_envelope ping = {.kind = WIRE_PING};

START_TEST(it_serves_on_unix_sockets_and_tcp)
{
    start("--listen", "tcp:127.0.0.1:0", NULL);
    struct stat file;
    ck_assert_int_eq(stat(socket_path, &file), 0);
    ck_assert_uint_eq(file.st_mode & 0777, 0600);
    uint8_t over_unix[WIRE_DIGEST_SIZE], over_tcp[WIRE_DIGEST_SIZE];
    struct link link = link_open();
    link_live(&link, link_session(&link, "unix"), 1, 50, over_unix);
    link_close(&link);

    const char *found = strstr(read_log(), "address=tcp:127.0.0.1:0 port=");
    ck_assert_ptr_nonnull(found);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)atoi(strstr(found, "port=") + 5))};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    link = link_of(fd);
    link_live(&link, link_session(&link, "tcp"), 1, 50, over_tcp);
    ck_assert_mem_eq(over_unix, over_tcp, sizeof over_tcp);
    link_close(&link);
    ck_assert_int_eq(stop(SIGTERM), 0);
    ck_assert_ptr_nonnull(strstr(read_log(), "event=ready"));
}
END_TEST

// One robot whose connection breaks again and again, each time dealt to another loop, beside others that stay.
START_TEST(loops_share_sessions_and_restarts_bring_them_back)
{
    enum { LINKS = 9, LIVES = 8, STEPS = 12 };
    char data[96];
    snprintf(data, sizeof data, "%s/data", directory);
    uint8_t digest[WIRE_DIGEST_SIZE], expected[WIRE_DIGEST_SIZE];
    start("--loops", "3", "--data", data, NULL);
    struct link alone = link_open();
    link_live(&alone, link_session(&alone, "alone"), 1, LIVES * STEPS, expected);
    link_close(&alone);
    for (int life = 0; life < LIVES; life++) {
        struct link links[LINKS];
        for (int i = 0; i < LINKS; i++) {
            char name[16];
            snprintf(name, sizeof name, "other-%d", i);
            links[i] = link_open();
            uint32_t other = link_session(&links[i], name);
            ck_assert_int_eq(link_ask(&links[i], step_request(other, life == 0 ? 1 : (uint64_t)life + 1)).kind, WIRE_ACTION);
        }
        struct link *link = &links[life];
        struct wire_envelope reply =
            link_ask(link, (struct wire_envelope){.kind = WIRE_OPEN, .open = {.session = "robot"}});
        ck_assert_int_eq(reply.kind, WIRE_OPENED);
        ck_assert_int_eq(reply.opened.resumed, life > 0);
        ck_assert_uint_eq(reply.opened.seq, (unsigned)life * STEPS);
        link_live(link, reply.opened.handle, (unsigned)life * STEPS + 1, (unsigned)(life + 1) * STEPS, digest);
        for (int i = 0; i < LINKS; i++)
            link_close(&links[i]);
        if (life % 3 == 2) {
            ck_assert_int_eq(stop(SIGTERM), 0);
            start("--loops", life == 2 ? "2" : "4", "--data", data, NULL);
        }
    }
    ck_assert_mem_eq(digest, expected, sizeof digest);
    ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST

START_TEST(a_hangup_reads_models_again_and_keeps_the_good_ones)
{
    char before[65], after[65];
    start("--loops", "2", NULL);
    struct link link = link_open();
    struct wire_envelope reply = link_ask(&link, (struct wire_envelope){.kind = WIRE_HELLO, .hello = {.client = "test"}});
    snprintf(before, sizeof before, "%s", reply.welcome.models[0].digest);
    FILE *file = fopen(model_path, "w");
    fputs("not a model", file);
    fclose(file);
    kill(daemon_pid, SIGHUP);
    int64_t limit = now_ms() + REPLY_MS;
    while (!strstr(read_log(), "event=model_refused") && now_ms() < limit)
        usleep(5000);
    reply = link_ask(&link, (struct wire_envelope){.kind = WIRE_HELLO, .hello = {.client = "test"}});
    ck_assert_str_eq(reply.welcome.models[0].digest, before);
    struct model *other = sample_model(&sample_small, 2);
    ck_assert_int_eq(model_save(other, model_path), 0);
    model_free(other);
    kill(daemon_pid, SIGHUP);
    do {
        ck_assert_msg(now_ms() < limit, "%s", read_log());
        usleep(5000);
        reply = link_ask(&link, (struct wire_envelope){.kind = WIRE_HELLO, .hello = {.client = "test"}});
        snprintf(after, sizeof after, "%s", reply.welcome.models[0].digest);
    } while (!strcmp(after, before));
    link_close(&link);
    ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST

START_TEST(a_signal_answers_what_was_sent_and_says_farewell)
{
    static const int signals[] = {SIGTERM, SIGINT};
    for (size_t s = 0; s < 2; s++) {
        start(NULL);
        struct link link = link_open();
        uint32_t handle = link_session(&link, "robot");
        for (uint64_t seq = 1; seq <= 40; seq++)
            link_send(&link, step_request(handle, seq));
        kill(daemon_pid, signals[s]);
        for (uint64_t seq = 1; seq <= 40; seq++) {
            struct wire_envelope reply = link_receive(&link);
            ck_assert_int_eq(reply.kind, WIRE_ACTION);
            ck_assert_uint_eq(reply.action.seq, seq);
        }
        struct wire_envelope reply = link_receive(&link);
        ck_assert_int_eq(reply.kind, WIRE_ERROR);
        ck_assert_int_eq(reply.error.code, WIRE_DRAINING);
        ck_assert_int_eq(link_receive(&link).kind, WIRE_NONE);
        link_close(&link);
        ck_assert_int_eq(wait_for(daemon_pid), 0);
        daemon_pid = 0;
        ck_assert_int_eq(access(socket_path, F_OK), -1);
    }
}
END_TEST

START_TEST(a_client_that_does_not_leave_delays_the_end_by_its_limit_only)
{
    start(NULL);
    int silent = connect_unix();  // never closes, never reads
    struct link link = link_open();
    ck_assert_int_eq(link_ask(&link, ping).kind, WIRE_DONE);
    int64_t begun = now_ms();
    ck_assert_int_eq(stop(SIGTERM), 0);
    ck_assert_int_lt(now_ms() - begun, 20000);
    close(silent);
    link_close(&link);
}
END_TEST

START_TEST(a_second_signal_ends_at_once)
{
    start(NULL);
    int silent = connect_unix();
    struct link link = link_open();
    ck_assert_int_eq(link_ask(&link, ping).kind, WIRE_DONE);
    kill(daemon_pid, SIGTERM);
    while (!strstr(read_log(), "event=draining"))
        usleep(1000);
    kill(daemon_pid, SIGTERM);
    ck_assert_int_eq(wait_for(daemon_pid), 1);
    daemon_pid = 0;
    ck_assert_int_eq(access(socket_path, F_OK), -1);
    close(silent);
    link_close(&link);
}
END_TEST

START_TEST(killed_and_started_again_it_serves_on_the_same_path)
{
    uint8_t first[WIRE_DIGEST_SIZE], second[WIRE_DIGEST_SIZE];
    start(NULL);
    struct link link = link_open();
    link_live(&link, link_session(&link, "robot"), 1, 20, first);
    ck_assert_int_eq(stop(SIGKILL), 1000 + SIGKILL);
    ck_assert_int_eq(access(socket_path, F_OK), 0);
    ck_assert_int_eq(link_receive(&link).kind, WIRE_NONE);
    link_close(&link);
    start(NULL);
    link = link_open();
    link_live(&link, link_session(&link, "robot"), 1, 20, second);
    ck_assert_mem_eq(first, second, sizeof first);
    link_close(&link);
    ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST

START_TEST(a_path_that_is_taken_stays_taken)
{
    start(NULL);
    char address[128];
    snprintf(address, sizeof address, "unix:%s", socket_path);
    const char *const again[] = {"--listen", address, "--model", model_path, NULL};
    ck_assert_int_eq(run(again), 1);
    ck_assert_ptr_nonnull(strstr(read_log(), "another daemon listens"));
    struct link link = link_open();
    ck_assert_int_eq(link_ask(&link, ping).kind, WIRE_DONE);
    link_close(&link);
    ck_assert_int_eq(stop(SIGTERM), 0);
    FILE *file = fopen(socket_path, "w");
    fputs("precious", file);
    fclose(file);
    ck_assert_int_eq(run(again), 1);
    ck_assert_ptr_nonnull(strstr(read_log(), "is not a socket"));
    struct stat kept;
    ck_assert_int_eq(stat(socket_path, &kept), 0);
    ck_assert_int_eq(kept.st_size, 8);
}
END_TEST

START_TEST(what_is_wrong_at_the_start_is_said)
{
    char address[128], config_path[128];
    snprintf(address, sizeof address, "unix:%s", socket_path);
    snprintf(config_path, sizeof config_path, "%s/conf", directory);
    FILE *file = fopen(config_path, "w");
    fprintf(file, "listen = %s\nmodel = %s\nsessoins = 4\n", address, model_path);
    fclose(file);
    const struct {
        const char *arguments[8], *said;
        int status;
    } cases[] = {
        {{"--config", config_path}, "conf:3: sessoins: unknown key", 1},
        {{"--listen", "tcp:0.0.0.0:7447", "--model", model_path}, "other machines", 1},
        {{"--listen", "tcp:", "--model", model_path}, "\"tcp:\": tcp: needs HOST:PORT", 1},
        {{"--listen", "localhost", "--model", model_path}, "\"localhost\": an address is unix:PATH, tcp:", 1},
        {{"--listen", address}, "at least one --listen and one --model", 1},
        {{"--listen", address, "--model", "/nonexistent"}, "/nonexistent: ", 1},
        {{"--listen", address, "--model", log_path}, "log: ", 1},
        {{"--lisen", address}, "--lisen: unknown option", 1},
        {{"--listen", address, "--model", model_path, "--ready-fd", "x"}, "--ready-fd", 1},
        {{"--listen", address, "--model", model_path, "more"}, "more: unexpected", 1},
        {{"--listen", address, "--model", model_path, "--check"}, "are good", 0},
        {{"--version"}, "beliefd 0.", 0},
        {{"--help"}, "--ready-fd N", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_int_eq(truncate(log_path, 0) == 0 || errno == ENOENT, 1);
        ck_assert_int_eq(run(cases[i].arguments), cases[i].status);
        ck_assert_msg(strstr(read_log(), cases[i].said) != NULL, "%s", read_log());
        ck_assert_int_eq(access(socket_path, F_OK), -1);
    }
    const char *const good[] = {"--listen", address, "--model", model_path, NULL};
    ck_assert_int_eq(wait_for(spawn(-1, 100, good)), 1);
    ck_assert_ptr_nonnull(strstr(read_log(), "file descriptors"));
}
END_TEST

START_TEST(garbage_for_a_second_harms_nobody)
{
    start(NULL);
    struct link link = link_open();
    uint32_t handle = link_session(&link, "good");
    struct random_stream stream = random_stream(1, 2, 3, 4);
    uint64_t seq = 0, attacks = 0;
    for (int64_t end = now_ms() + 1000; now_ms() < end; attacks++) {
        uint8_t bytes[512];
        size_t size = 1 + random_below(&stream, sizeof bytes);
        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)random_bits(&stream);
        if (attacks % 2 && size > 4)
            frame_write_header(bytes, (uint32_t)size - 4);
        int fd = connect_unix();
        send(fd, bytes, size, MSG_NOSIGNAL);
        if (attacks % 3 == 0)
            recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
        close(fd);
        seq++;
        link_live(&link, handle, seq, seq, NULL);
    }
    ck_assert_uint_gt(attacks, 10);
    uint8_t harassed[WIRE_DIGEST_SIZE], quiet[WIRE_DIGEST_SIZE];
    link_live(&link, handle, seq + 1, seq + 1, harassed);
    link_live(&link, link_session(&link, "quiet"), 1, seq + 1, quiet);
    ck_assert_mem_eq(harassed, quiet, sizeof quiet);
    link_close(&link);
    ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST

START_TEST(a_slow_reader_is_let_go_of)
{
    char config_path[128];
    snprintf(config_path, sizeof config_path, "%s/conf", directory);
    FILE *file = fopen(config_path, "w");
    fprintf(file, "slow_reader_seconds = 1\n");
    fclose(file);
    start("--config", config_path, NULL);
    struct link slow = link_open(), good = link_open();
    uint32_t handle = link_session(&good, "good");
    link_live(&good, handle, 1, 1, NULL);
    // Asks until the socket takes no more, and reads nothing.
    uint8_t bytes[64];
    struct wire_envelope hello = {.request_id = 1, .kind = WIRE_HELLO};
    long size = wire_encode(bytes, sizeof bytes, &hello, &slow.arena);
    for (int stuck = 0; stuck < 50;) {
        if (send(slow.fd, bytes, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL) == size) {
            stuck = 0;
        } else {
            stuck++;
            usleep(1000);
        }
    }
    uint64_t seq = 1;
    for (int64_t limit = now_ms() + READY_MS; !strstr(read_log(), "event=slow_reader");) {
        ck_assert_int_lt(now_ms(), limit);
        seq++;
        link_live(&good, handle, seq, seq, NULL);
        usleep(10000);
    }
    link_live(&good, handle, seq + 1, seq + 10, NULL);
    link_close(&slow);
    link_close(&good);
    ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST

START_TEST(two_hundred_connections_are_served_and_one_more_is_told)
{
    enum { LINKS = 200, ROUNDS = 10 };
    char config_path[128];
    snprintf(config_path, sizeof config_path, "%s/conf", directory);
    FILE *file = fopen(config_path, "w");
    fprintf(file, "connections = %d\n", LINKS);
    fclose(file);
    start("--config", config_path, NULL);
    static struct link links[LINKS];
    uint32_t handles[LINKS];
    uint8_t digest[WIRE_DIGEST_SIZE];
    for (int i = 0; i < LINKS; i++) {
        char name[16];
        snprintf(name, sizeof name, "s%d", i);
        links[i] = link_open();
        handles[i] = link_session(&links[i], name);
    }
    struct link extra = link_open();
    struct wire_envelope reply = link_receive(&extra);
    ck_assert_int_eq(reply.kind, WIRE_ERROR);
    ck_assert_int_eq(reply.error.code, WIRE_LIMIT);
    ck_assert_uint_eq(reply.error.limit, LINKS);
    ck_assert_int_eq(link_receive(&extra).kind, WIRE_NONE);
    link_close(&extra);
    for (uint64_t seq = 1; seq <= ROUNDS; seq++) {
        for (int i = 0; i < LINKS; i++)
            link_send(&links[i], step_request(handles[i], seq));
        for (int i = 0; i < LINKS; i++) {
            reply = link_receive(&links[i]);
            ck_assert_int_eq(reply.kind, WIRE_ACTION);
            ck_assert_uint_eq(reply.action.seq, seq);
            if (i == 0)
                memcpy(digest, reply.action.digest.bytes, sizeof digest);
            ck_assert_mem_eq(reply.action.digest.bytes, digest, sizeof digest);
        }
    }
    for (int i = 0; i < LINKS; i++)
        link_close(&links[i]);
    ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    program = argv[1];
    Suite *suite = suite_create("daemon");
    SUITE_TEST_WITH(suite, it_serves_on_unix_sockets_and_tcp, set_up, tear_down);
    SUITE_TEST_WITH(suite, loops_share_sessions_and_restarts_bring_them_back, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_hangup_reads_models_again_and_keeps_the_good_ones, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_signal_answers_what_was_sent_and_says_farewell, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_client_that_does_not_leave_delays_the_end_by_its_limit_only, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_second_signal_ends_at_once, set_up, tear_down);
    SUITE_TEST_WITH(suite, killed_and_started_again_it_serves_on_the_same_path, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_path_that_is_taken_stays_taken, set_up, tear_down);
    SUITE_TEST_WITH(suite, what_is_wrong_at_the_start_is_said, set_up, tear_down);
    SUITE_TEST_WITH(suite, garbage_for_a_second_harms_nobody, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_slow_reader_is_let_go_of, set_up, tear_down);
    SUITE_TEST_WITH(suite, two_hundred_connections_are_served_and_one_more_is_told, set_up, tear_down);
    return suite_finish(suite);
}
