// Who may ask what; the contract is in permission.h.
#include "permission.h"

#include <stdlib.h>
#include <string.h>

static int is_request(enum wire_kind kind)
{
    return (kind >= WIRE_HELLO && kind <= WIRE_PUBLISH_MODEL) || (kind >= WIRE_LIST_SESSIONS && kind <= WIRE_GET_METRICS);
}

// Made at the first request of an identity that has a rate; there are no more than the file of identities has lines.
static struct guest *guest_named(struct server *server, const char *name, uint64_t now_us)
{
    struct guest **link = &server->guests;
    while (*link && strcmp((*link)->name, name))
        link = &(*link)->next;
    struct guest *guest = *link;
    if (guest) {
        *link = guest->next;  // the busy ones are found first
    } else {
        guest = calloc(1, sizeof *guest);
        if (!guest)
            return NULL;
        strcpy(guest->name, name);
        guest->filled_us = now_us;
        guest->tokens = -1;
    }
    guest->next = server->guests;
    server->guests = guest;
    return guest;
}

// A token for this request?
static int within_rate(const struct request *r, uint32_t rate)
{
    struct guest *guest = guest_named(r->server, r->connection->identity.name, r->now_us);
    if (!guest)
        return 0;
    double earned = (double)(r->now_us - guest->filled_us) * 1e-6 * rate;
    guest->tokens = guest->tokens < 0 || guest->tokens + earned > rate ? rate : guest->tokens + earned;
    guest->filled_us = r->now_us;
    if (guest->tokens < 1)
        return 0;
    guest->tokens -= 1;
    return 1;
}

int permission_given(const struct request *r)
{
    const struct identity *identity = &r->connection->identity;
    enum wire_kind kind = r->message->kind;
    if (kind != WIRE_HELLO && identity->role == WIRE_ROLE_NONE) {
        request_settle(r, NULL);
        request_refuse(r, WIRE_UNAUTHENTICATED, "", 0, "say who you are first, with a token in Hello");
    } else if (!is_request(kind)) {
        request_settle(r, NULL);
        request_refuse(r, WIRE_UNSUPPORTED, "body", 0, "this daemon knows no such request");
    } else if (kind >= WIRE_LIST_SESSIONS && !r->connection->is_control) {
        request_settle(r, NULL);
        request_refuse(r, WIRE_PERMISSION, "", 0, "only operators ask this, on the control socket");
    } else if (!role_may(identity->role, kind)) {
        request_settle(r, NULL);
        request_refuse(r, WIRE_PERMISSION, "", 0, "the role %s may not ask this", role_name(identity->role));
    } else if (identity->rate > 0 && !within_rate(r, identity->rate)) {
        request_settle(r, NULL);
        request_refuse(r, WIRE_RATE, "", identity->rate, "no more than %u requests a second", identity->rate);
    } else {
        return 1;
    }
    return 0;
}

size_t permission_bytes(const struct identity *identity, const struct limits *limits)
{
    int is_stranger = identity->role == WIRE_ROLE_NONE;
    return is_stranger && limits->frame_bytes > STRANGER_BYTES ? STRANGER_BYTES : limits->frame_bytes;
}

int permission_for_session(const struct identity *identity, const char *owner, enum access access)
{
    if (!*owner || identity->role == WIRE_ROLE_ADMIN || !strcmp(identity->name, owner))
        return 1;
    return access == ACCESS_READ && (identity->role == WIRE_ROLE_LEARNER || identity->role == WIRE_ROLE_OBSERVER);
}

void guests_release(struct server *server)
{
    while (server->guests) {
        struct guest *guest = server->guests;
        server->guests = guest->next;
        free(guest);
    }
}
