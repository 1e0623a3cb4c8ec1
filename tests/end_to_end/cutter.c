#include "cutter.h"

#include "daemon/base/random.h"
#include "process.h"
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
#include <unistd.h>

enum { LINKS = 16, PIECE = 3000 };

struct link {
    int ends[2];         // client, daemon; -1: free
    uint32_t left;       // bytes until it is cut
};

struct cutter {
    int listener, stop[2];
    const char *address;
    uint32_t mean_bytes;
    struct random_stream stream;
    struct link links[LINKS];
    atomic_uint cuts;
    pthread_t thread;
};

static void cut(struct link *link)
{
    for (int k = 0; k < 2; k++) {
        close(link->ends[k]);
        link->ends[k] = -1;
    }
}

static void take_link(struct cutter *cutter)
{
    int client = accept4(cutter->listener, NULL, NULL, SOCK_CLOEXEC);
    struct link *link = cutter->links;
    while (link < cutter->links + LINKS && link->ends[0] >= 0)
        link++;
    if (client < 0 || link == cutter->links + LINKS) {
        close(client);
        return;
    }
    link->ends[0] = client;
    link->ends[1] = connect_to(cutter->address);
    link->left = 1 + random_below(&cutter->stream, 2 * cutter->mean_bytes);
}

// One piece from an end to the other.
static void pass_on(struct cutter *cutter, struct link *link, int from)
{
    char piece[PIECE];
    size_t room = 1 + random_below(&cutter->stream, PIECE);
    ssize_t size = read(link->ends[from], piece, room < link->left ? room : link->left);
    // Links are closed by either side too; a daemon's socket buffer takes what a waiting client sends.
    if (size <= 0 || send(link->ends[!from], piece, (size_t)size, MSG_NOSIGNAL) != size) {
        cut(link);
        return;
    }
    link->left -= (uint32_t)size;
    if (link->left == 0) {
        cut(link);
        atomic_fetch_add(&cutter->cuts, 1);
    }
}

static void *run(void *argument)
{
    struct cutter *cutter = argument;
    for (;;) {
        struct pollfd waits[2 + 2 * LINKS] = {{cutter->stop[0], POLLIN, 0}, {cutter->listener, POLLIN, 0}};
        for (int i = 0; i < LINKS; i++)
            for (int k = 0; k < 2; k++)
                waits[2 + 2 * i + k] = (struct pollfd){cutter->links[i].ends[k], POLLIN, 0};
        if (poll(waits, 2 + 2 * LINKS, -1) < 0 && errno != EINTR)
            break;
        if (waits[0].revents)
            break;
        for (int i = 0; i < LINKS; i++)
            for (int k = 0; k < 2; k++)
                if (waits[2 + 2 * i + k].revents && cutter->links[i].ends[k] >= 0)
                    pass_on(cutter, &cutter->links[i], k);
        if (waits[1].revents)
            take_link(cutter);
    }
    return NULL;
}

struct cutter *cutter_start(const char *path, const char *address, uint32_t mean_bytes, uint64_t seed)
{
    struct cutter *cutter = calloc(1, sizeof *cutter);
    cutter->address = address;
    cutter->mean_bytes = mean_bytes;
    cutter->stream = random_stream(seed, 0, 0, 0);
    for (int i = 0; i < LINKS; i++)
        cutter->links[i].ends[0] = cutter->links[i].ends[1] = -1;
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path, sizeof name.sun_path, "%s", path);
    cutter->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(cutter->listener, (struct sockaddr *)&name, sizeof name), 0);
    ck_assert_int_eq(listen(cutter->listener, LINKS), 0);
    ck_assert_int_eq(pipe(cutter->stop), 0);
    ck_assert_int_eq(pthread_create(&cutter->thread, NULL, run, cutter), 0);
    return cutter;
}

void cutter_stop(struct cutter *cutter)
{
    ck_assert_int_eq(write(cutter->stop[1], "", 1), 1);
    pthread_join(cutter->thread, NULL);
    for (int i = 0; i < LINKS; i++)
        if (cutter->links[i].ends[0] >= 0)
            cut(&cutter->links[i]);
    close(cutter->listener);
    close(cutter->stop[0]);
    close(cutter->stop[1]);
    free(cutter);
}

unsigned cutter_cuts(struct cutter *cutter)
{
    return atomic_load(&cutter->cuts);
}
