// Snapshot: the states of all sessions in memory, of every loop, into the log. The contract is in request.h.
#include "batch.h"
#include "durable.h"
#include "round.h"
#include "ticket.h"

#include <stdlib.h>

struct snapshot {
    struct round round;
    struct ticket *ticket;
};

static void put_states(struct round *round, struct server *server, uint64_t now_us)
{
    (void)round, (void)now_us;
    batch_run_all(server);
    server_snapshot(server, 0, SIZE_MAX);
}

// All loops have put theirs. The answer waits for this one's; one commit takes what all loops have put.
static void all_put(struct round *round, struct server *server, uint64_t now_us)
{
    struct snapshot *snapshot = (struct snapshot *)round;
    struct connection *connection = server ? snapshot->ticket->connection : NULL;
    if (connection) {
        const struct wire_envelope done = {.request_id = snapshot->ticket->request_id, .kind = WIRE_DONE};
        durable_reply(server, connection, &done, server->position, 0, now_us);
    }
    if (server)
        ticket_free(server, snapshot->ticket);
    if (connection)
        server_waited(server, connection, now_us);
    free(snapshot);
}

void request_take_snapshot(const struct request *r)
{
    struct snapshot *snapshot = calloc(1, sizeof *snapshot);
    if (!snapshot) {
        request_refuse(r, WIRE_LIMIT, "", 0, "no memory for this request");
        return;
    }
    snapshot->round.visit = put_states;
    snapshot->round.done = all_put;
    if ((snapshot->ticket = ticket_new(r, 0)))
        round_start(&snapshot->round, r->server, r->now_us);
    else
        free(snapshot);
}
