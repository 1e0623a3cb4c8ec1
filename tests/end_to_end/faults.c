#include "faults.h"

#include "daemon/base/random.h"
#include "process.h"
#include "proto/frame.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { LINKS = 32, FRAME_LIMIT = 1 << 20, READ_AT_ONCE = 16384, DELAY_MOST_MS = 20, OVERTAKE_WAIT_MS = 3 };

// Bytes on their way in one direction.
struct way {
    struct frame_buffer in;   // came, not passed on
    uint8_t *held;            // a frame that another may overtake; or NULL
    size_t held_size;
    int64_t not_before_ms;    // nothing passes until then
    int64_t held_until_ms;
};

struct link {
    int ends[2];              // client, daemon; -1: free
    struct way ways[2];       // from end k to the other
};

struct faults {
    int listener, stop[2];
    char to[108];
    uint32_t one_in;
    struct random_stream dice;
    struct link links[LINKS];
    _Atomic uint64_t counts[FAULT_KINDS];
    pthread_t thread;
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void count(struct faults *faults, enum fault kind)
{
    atomic_fetch_add(&faults->counts[kind], 1);
}

static void cut(struct link *link)
{
    for (int k = 0; k < 2; k++) {
        close(link->ends[k]);
        link->ends[k] = -1;
        frame_buffer_release(&link->ways[k].in);
        free(link->ways[k].held);
        link->ways[k] = (struct way){0};
    }
}

static int dial(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    close(fd);
    return -1;
}

static void take_link(struct faults *faults)
{
    int client = accept4(faults->listener, NULL, NULL, SOCK_CLOEXEC);
    struct link *link = faults->links;
    while (link < faults->links + LINKS && link->ends[0] >= 0)
        link++;
    int daemon = client >= 0 && link < faults->links + LINKS ? dial(faults->to) : -1;
    if (daemon < 0) {
        if (client >= 0)
            close(client);
        return;
    }
    link->ends[0] = client;
    link->ends[1] = daemon;
    for (int k = 0; k < 2; k++)
        ck_assert_int_eq(frame_buffer_init(&link->ways[k].in, READ_AT_ONCE, FRAME_LIMIT), 0);
}

// All of it, in pieces if so chosen. 0, or -1: the other end is gone.
static int pass(struct faults *faults, struct link *link, int from, const uint8_t *bytes, size_t size, int in_pieces)
{
    while (size) {
        size_t piece = in_pieces ? 1 + random_below(&faults->dice, 7) : size;
        piece = piece < size ? piece : size;
        ssize_t sent = send(link->ends[!from], bytes, piece, MSG_NOSIGNAL);
        if (sent <= 0)
            return -1;
        bytes += sent;
        size -= (size_t)sent;
    }
    return 0;
}

// The frame that waited to be overtaken.
static int pass_held(struct faults *faults, struct link *link, int from)
{
    struct way *way = &link->ways[from];
    int result = way->held ? pass(faults, link, from, way->held, way->held_size, 0) : 0;
    free(way->held);
    way->held = NULL;
    return result;
}

// One whole frame. -1: the link is to be cut.
static int pass_frame(struct faults *faults, struct link *link, int from, const uint8_t *frame, size_t size)
{
    struct way *way = &link->ways[from];
    if (random_below(&faults->dice, faults->one_in) != 0)
        return pass(faults, link, from, frame, size, 0) || pass_held(faults, link, from) ? -1 : 0;
    enum fault kind = (enum fault)random_below(&faults->dice, FAULT_KINDS);
    count(faults, kind);
    switch (kind) {
    case FAULT_CUT:
        pass(faults, link, from, frame, random_below(&faults->dice, (uint32_t)size), 0);
        return -1;
    case FAULT_TWICE:
        return pass(faults, link, from, frame, size, 0) || pass(faults, link, from, frame, size, 0) ? -1 : 0;
    case FAULT_OVERTAKE:
        if (pass_held(faults, link, from))
            return -1;
        way->held = malloc(size);
        memcpy(way->held, frame, size);
        way->held_size = size;
        way->held_until_ms = now_ms() + OVERTAKE_WAIT_MS;
        return 0;
    case FAULT_DELAY:
        way->not_before_ms = now_ms() + 1 + random_below(&faults->dice, DELAY_MOST_MS);
        return pass(faults, link, from, frame, size, 0);
    default:
        return pass(faults, link, from, frame, size, 1);
    }
}

// What may pass now.
static void pass_on(struct faults *faults, struct link *link, int from)
{
    struct way *way = &link->ways[from];
    int64_t now = now_ms();
    if (way->held && now >= way->held_until_ms && pass_held(faults, link, from)) {
        cut(link);
        return;
    }
    while (now >= way->not_before_ms) {
        const uint8_t *body;
        size_t size;
        if (frame_next(&way->in, FRAME_LIMIT - FRAME_HEADER_SIZE, &body, &size) != 1)
            return;
        if (pass_frame(faults, link, from, body - FRAME_HEADER_SIZE, FRAME_HEADER_SIZE + size)) {
            cut(link);
            return;
        }
        frame_buffer_consume(&way->in, FRAME_HEADER_SIZE + size);
    }
}

static void take_bytes(struct link *link, int from)
{
    struct way *way = &link->ways[from];
    uint8_t *room = frame_buffer_reserve(&way->in, 1);
    ssize_t size = room ? read(link->ends[from], room, way->in.capacity - way->in.end) : -1;
    if (size <= 0)
        cut(link);
    else
        frame_buffer_append(&way->in, (size_t)size);
}

static void *run(void *argument)
{
    struct faults *faults = argument;
    for (;;) {
        struct pollfd waits[2 + 2 * LINKS] = {{faults->stop[0], POLLIN, 0}, {faults->listener, POLLIN, 0}};
        int timed = 0;
        for (int i = 0; i < LINKS; i++)
            for (int k = 0; k < 2; k++) {
                const struct link *link = &faults->links[i];
                waits[2 + 2 * i + k] = (struct pollfd){link->ends[k], POLLIN, 0};
                timed |= link->ends[0] >= 0 && (link->ways[k].held || now_ms() < link->ways[k].not_before_ms);
            }
        if (poll(waits, 2 + 2 * LINKS, timed ? 1 : -1) < 0 && errno != EINTR)
            break;
        if (waits[0].revents)
            break;
        for (int i = 0; i < LINKS; i++)
            for (int k = 0; k < 2; k++) {
                if (waits[2 + 2 * i + k].revents && faults->links[i].ends[k] >= 0)
                    take_bytes(&faults->links[i], k);
                if (faults->links[i].ends[k] >= 0)
                    pass_on(faults, &faults->links[i], k);
            }
        if (waits[1].revents)
            take_link(faults);
    }
    return NULL;
}

struct faults *faults_start(const char *path, const char *to, uint32_t one_in, uint64_t seed)
{
    struct faults *faults = calloc(1, sizeof *faults);
    snprintf(faults->to, sizeof faults->to, "%s", to);
    faults->one_in = one_in;
    faults->dice = random_stream(seed, 0, 0, 0);
    for (int i = 0; i < LINKS; i++)
        faults->links[i].ends[0] = faults->links[i].ends[1] = -1;
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path, sizeof name.sun_path, "%s", path);
    faults->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(faults->listener, (struct sockaddr *)&name, sizeof name), 0);
    ck_assert_int_eq(listen(faults->listener, LINKS), 0);
    ck_assert_int_eq(pipe(faults->stop), 0);
    ck_assert_int_eq(pthread_create(&faults->thread, NULL, run, faults), 0);
    return faults;
}

void faults_stop(struct faults *faults)
{
    ck_assert_int_eq(write(faults->stop[1], "", 1), 1);
    pthread_join(faults->thread, NULL);
    for (int i = 0; i < LINKS; i++)
        if (faults->links[i].ends[0] >= 0)
            cut(&faults->links[i]);
    close(faults->listener);
    close(faults->stop[0]);
    close(faults->stop[1]);
    free(faults);
}

uint64_t faults_count(struct faults *faults, enum fault kind)
{
    return atomic_load(&faults->counts[kind]);
}
