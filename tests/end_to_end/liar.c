#include "liar.h"

#include "process.h"
#include "tests/support/suite.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { WORD = 16, PIECE = 1 << 16, PAUSE_MS = 20 };

struct liar {
    int listener, stop[2];
    const char *address;
    pthread_mutex_t lock;
    uint8_t word[WORD];
    int lies;
    uint8_t held[PIECE];         // said by the daemon, not passed on yet: the word may go on in what comes next
    size_t size;
    pthread_t thread;
};

static void change(struct liar *liar)
{
    pthread_mutex_lock(&liar->lock);
    uint8_t *found = liar->lies ? memmem(liar->held, liar->size, liar->word, WORD) : NULL;
    if (found)
        found[0] ^= 1;
    pthread_mutex_unlock(&liar->lock);
}

// All but the last bytes that may begin the word. 0, or -1: nobody listens.
static int pass_on(struct liar *liar, int client, size_t kept)
{
    size_t size = liar->size > kept ? liar->size - kept : 0;
    change(liar);
    if (send(client, liar->held, size, MSG_NOSIGNAL) != (ssize_t)size)
        return -1;
    memmove(liar->held, liar->held + size, liar->size - size);
    liar->size -= size;
    return 0;
}

// Until one of both ends; -1: or until we are to.
static int serve(struct liar *liar, int client, int server)
{
    uint8_t piece[4096];
    liar->size = 0;
    for (;;) {
        struct pollfd waits[] = {{liar->stop[0], POLLIN, 0}, {client, POLLIN, 0}, {server, POLLIN, 0}};
        int ready = poll(waits, 3, liar->size ? PAUSE_MS : -1);
        if (waits[0].revents)
            return -1;
        if (ready == 0 && pass_on(liar, client, 0))
            return 0;
        if (waits[1].revents) {
            ssize_t size = read(client, piece, sizeof piece);
            if (size <= 0 || send(server, piece, (size_t)size, MSG_NOSIGNAL) != size)
                return 0;
        }
        if (waits[2].revents) {
            ssize_t size = read(server, liar->held + liar->size, PIECE - liar->size);
            if (size <= 0)
                return 0;
            liar->size += (size_t)size;
            if (pass_on(liar, client, WORD - 1))
                return 0;
        }
    }
}

static void *run(void *argument)
{
    struct liar *liar = argument;
    for (int goes_on = 1; goes_on;) {
        struct pollfd waits[] = {{liar->stop[0], POLLIN, 0}, {liar->listener, POLLIN, 0}};
        if (poll(waits, 2, -1) > 0 && waits[0].revents)
            break;
        int client = accept4(liar->listener, NULL, NULL, SOCK_CLOEXEC);
        if (client < 0)
            continue;
        int server = connect_to(liar->address);
        goes_on = serve(liar, client, server) == 0;
        close(client);
        close(server);
    }
    return NULL;
}

struct liar *liar_start(const char *path, const char *address)
{
    struct liar *liar = calloc(1, sizeof *liar);
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    liar->address = address;
    snprintf(name.sun_path, sizeof name.sun_path, "%s", path);
    liar->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(liar->listener, (struct sockaddr *)&name, sizeof name), 0);
    ck_assert_int_eq(listen(liar->listener, 4), 0);
    ck_assert_int_eq(pipe(liar->stop), 0);
    ck_assert_int_eq(pthread_mutex_init(&liar->lock, NULL), 0);
    ck_assert_int_eq(pthread_create(&liar->thread, NULL, run, liar), 0);
    return liar;
}

void liar_change(struct liar *liar, const uint8_t bytes[16])
{
    pthread_mutex_lock(&liar->lock);
    memcpy(liar->word, bytes, WORD);
    liar->lies = 1;
    pthread_mutex_unlock(&liar->lock);
}

void liar_stop(struct liar *liar)
{
    ck_assert_int_eq(write(liar->stop[1], "", 1), 1);
    pthread_join(liar->thread, NULL);
    pthread_mutex_destroy(&liar->lock);
    close(liar->listener);
    close(liar->stop[0]);
    close(liar->stop[1]);
    free(liar);
}
