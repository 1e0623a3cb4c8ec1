// beliefctl move and drain: sessions leave for another daemon; a daemon ends.
#include "move.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 20 };  // of looking for sessions that were opened meanwhile

static struct wire_bytes digest_of(const struct moved *moved)
{
    return (struct wire_bytes){moved->digest, WIRE_DIGEST_SIZE};
}

int move_run(struct ctl *ctl)
{
    struct control from, to;
    if (!ctl->to)
        return ctl_fail(ctl, CTL_USAGE, "move needs --to ADDRESS (see --help)");
    int code = ctl_connect(ctl, &from);
    if (code)
        return code;
    if ((code = ctl_connect_to(ctl, &to))) {
        control_close(&from);
        return code;
    }
    struct mover mover = {&from, &to, &ctl->peer, ctl->to};
    struct moved moved;
    char why[1024], digest[DIGEST_TEXT];
    int error = move_session(&mover, ctl->words[0], &moved, why, sizeof why);
    if (error) {
        code = ctl_fail(ctl, error == -EREMOTEIO || error == -EILSEQ ? CTL_FAILED : CTL_NO_DAEMON,
                        "%s did not move: %s", ctl->words[0], why);
    } else if (ctl->json) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "session", ctl->words[0]);
        cJSON_AddStringToObject(object, "to", ctl->to);
        json_add_number(object, "epoch", moved.epoch);
        json_add_number(object, "count", moved.count);
        json_add_digest(object, "digest", digest_of(&moved));
        ctl_print(object);
    } else {
        printf("%s: %llu transitions, digest %s, now at %s\n", ctl->words[0], (unsigned long long)moved.count,
               digest_text(digest, digest_of(&moved)), ctl->to);
    }
    control_close(&to);
    control_close(&from);
    return code;
}

// ---- drain --to ---------------------------------------------------------------------------------------------------

struct names {
    char (*names)[WIRE_SESSION_LIMIT + 1];
    size_t count, room;
};

static int add_name(struct names *list, const char *name)
{
    if (list->count == list->room) {
        size_t room = list->room ? 2 * list->room : 256;
        void *larger = realloc(list->names, room * sizeof *list->names);
        if (!larger)
            return -ENOMEM;
        list->names = larger;
        list->room = room;
    }
    snprintf(list->names[list->count++], sizeof *list->names, "%s", name);
    return 0;
}

// Every session that is still there, wherever the daemon keeps it.
static int list_names(struct control *control, struct names *list)
{
    char after[WIRE_SESSION_LIMIT + 1] = "";
    int more = 1, error = 0;
    list->count = 0;
    while (more && !error) {
        struct wire_envelope request = {.kind = WIRE_LIST_SESSIONS, .list_sessions.after = after}, reply;
        error = control_ask(control, &request, WIRE_SESSION_LIST, &reply);
        if (error)
            break;
        const struct wire_session_list *page = &reply.session_list;
        for (size_t i = 0; i < page->session_count && !error; i++) {
            snprintf(after, sizeof after, "%s", page->sessions[i].session);
            if (page->sessions[i].place != WIRE_MOVED_PLACE)
                error = add_name(list, after);
        }
        more = page->more && page->session_count;
    }
    return error;
}

struct tally {
    size_t moved, failed;
    char why[1200];   // the first failure's
};

// Moves what is there, again and again until nothing is left: clients may open sessions meanwhile.
static int empty_out(struct mover *mover, struct tally *tally)
{
    struct names list = {0};
    struct moved moved;
    char why[1024];
    int error = 0;
    for (int round = 0; round < ROUNDS && !error; round++) {
        error = list_names(mover->from, &list);
        if (error || list.count == 0)
            break;
        tally->failed = 0;
        for (size_t i = 0; i < list.count; i++) {
            error = move_session(mover, list.names[i], &moved, why, sizeof why);
            if (!error) {
                tally->moved++;
                continue;
            }
            if (tally->failed++ == 0)
                snprintf(tally->why, sizeof tally->why, "%s: %s", list.names[i], why);
            if (error != -EREMOTEIO && error != -EILSEQ)
                break;
            error = 0;
        }
        if (tally->failed == list.count)
            break;  // none of them will
    }
    if (error && !tally->failed)
        snprintf(tally->why, sizeof tally->why, "%s", mover->from->why);
    free(list.names);
    return error;
}

static int hand_over_all(const struct ctl *ctl, struct control *from, struct tally *tally)
{
    struct control to;
    int code = ctl_connect_to(ctl, &to);
    if (code)
        return code;
    struct mover mover = {from, &to, &ctl->peer, ctl->to};
    int error = empty_out(&mover, tally);
    control_close(&to);
    if (error || tally->failed)
        return ctl_fail(ctl, error && error != -EREMOTEIO ? CTL_NO_DAEMON : CTL_FAILED,
                        "%zu sessions moved, %zu did not, so the daemon goes on: %s", tally->moved, tally->failed,
                        tally->why);
    if (!ctl->json)
        printf("%zu sessions moved to %s; clients are told for %g s\n", tally->moved, ctl->to, ctl->linger);
    fflush(stdout);
    struct timespec linger = {(time_t)ctl->linger, (long)((ctl->linger - (double)(time_t)ctl->linger) * 1e9)};
    while (nanosleep(&linger, &linger) && errno == EINTR)
        ;
    return 0;
}

int drain_run(struct ctl *ctl)
{
    struct control control;
    struct tally tally = {0};
    struct wire_envelope reply;
    int code = ctl_connect(ctl, &control);
    if (code)
        return code;
    if (ctl->to)
        code = hand_over_all(ctl, &control, &tally);
    if (!code) {
        int error = control_ask(&control, &(struct wire_envelope){.kind = WIRE_DRAIN}, WIRE_DONE, &reply);
        code = error ? ctl_refused(ctl, &control, error) : 0;
    }
    control_close(&control);
    if (!code && ctl->json) {
        cJSON *object = cJSON_CreateObject();
        json_add_number(object, "moved", tally.moved);
        cJSON_AddBoolToObject(object, "draining", 1);
        ctl_print(object);
    } else if (!code) {
        puts("draining");
    }
    return code;
}
