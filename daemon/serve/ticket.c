// Requests that wait; the contract is in ticket.h.
#include "ticket.h"

#include "batch.h"
#include "requests.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { SENTENCE_SIZE = 256 };

struct ticket *ticket_new(const struct request *r, int with_message)
{
    struct server *server = r->server;
    struct connection *connection = r->connection;
    wire_arena_reset(&server->encode_arena);
    long size = with_message ? wire_encode(NULL, 0, r->message, &server->encode_arena) : 0;
    struct ticket *ticket = size >= 0 ? malloc(sizeof *ticket + (size_t)size) : NULL;
    if (!ticket) {
        request_settle(r, NULL);
        request_refuse(r, WIRE_INTERNAL, "", 0, "no memory for a request that has to wait");
        return NULL;
    }
    *ticket = (struct ticket){
        .next = server->tickets, .connection = connection, .identity = connection->identity,
        .request_id = r->message->request_id, .deadline_us = r->deadline_us,
        .promised = request_reply_bound(server, r->message), .kind = r->message->kind, .size = (size_t)size};
    if (with_message) {
        wire_arena_reset(&server->encode_arena);
        wire_encode(ticket->frame, (size_t)size, r->message, &server->encode_arena);
    }
    if (server->tickets)
        server->tickets->previous = ticket;
    server->tickets = ticket;
    connection->parked++;
    connection->promised += ticket->promised;
    return ticket;
}

// Its connection does not wait for it any more.
static struct connection *detach(struct server *server, struct ticket *ticket)
{
    struct connection *connection = ticket->connection;
    if (ticket->previous)
        ticket->previous->next = ticket->next;
    else
        server->tickets = ticket->next;
    if (ticket->next)
        ticket->next->previous = ticket->previous;
    ticket->connection = NULL;
    if (connection) {
        connection->parked--;
        connection->promised -= ticket->promised;
    }
    return connection;
}

void ticket_reply(struct server *server, struct ticket *ticket, struct wire_envelope *reply, uint64_t now_us)
{
    struct connection *connection = detach(server, ticket);
    if (connection) {
        if (connection->waiting > 0)
            batch_run_all(server);
        reply->request_id = ticket->request_id;
        server_reply(server, connection, reply);
        server_waited(server, connection, now_us);
    }
    free(ticket);
}

void ticket_refuse(struct server *server, struct ticket *ticket, enum wire_error_code code, const char *field,
                   uint64_t now_us, const char *format, ...)
{
    char sentence[SENTENCE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    struct wire_envelope reply = {.kind = WIRE_ERROR};
    reply.error = (struct wire_error){.code = code, .field = field, .message = sentence};
    count_add(&server->metrics.refusals[code], 1);
    ticket_reply(server, ticket, &reply, now_us);
}

void ticket_take_again(struct server *server, struct ticket *ticket, uint64_t now_us)
{
    struct connection *connection = detach(server, ticket);
    struct wire_envelope message;
    if (connection && connection->state != CONNECTION_DROPPED) {
        wire_arena_reset(&server->arena);
        int error = wire_decode(&message, ticket->frame + FRAME_HEADER_SIZE, ticket->size - FRAME_HEADER_SIZE,
                                &server->arena);
        struct identity now = connection->identity;
        connection->identity = ticket->identity;
        if (!error)
            request_take_again(server, connection, &message, ticket->deadline_us, now_us);
        connection->identity = now;
        server_waited(server, connection, now_us);
    }
    free(ticket);
}

void ticket_free(struct server *server, struct ticket *ticket)
{
    detach(server, ticket);
    free(ticket);
}

void tickets_drop(struct server *server, const struct connection *connection)
{
    for (struct ticket *ticket = server->tickets; ticket && connection->parked > 0; ticket = ticket->next) {
        if (ticket->connection != connection)
            continue;
        ticket->connection->parked--;
        ticket->connection = NULL;
    }
}
