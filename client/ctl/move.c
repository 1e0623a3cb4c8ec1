// The hand-over; the contract is in move.h.
#include "move.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int ask_phase(struct mover *mover, const char *session, enum wire_phase phase, struct wire_envelope *reply)
{
    struct wire_envelope request = {.kind = WIRE_HAND_OVER, .hand_over = {session, phase, mover->address}};
    return control_ask(mover->from, &request, WIRE_SESSION_STATE, reply);
}

static int same_digest(struct wire_bytes a, struct wire_bytes b)
{
    return a.size == WIRE_DIGEST_SIZE && b.size == a.size && memcmp(a.bytes, b.bytes, a.size) == 0;
}

// After an answer that did not come: is the session there as it was sent?
static int is_there(struct mover *mover, const struct wire_session_state *state)
{
    struct wire_envelope request = {.kind = WIRE_SAVE, .save.session = state->session}, reply;
    if (control_ask(mover->to, &request, WIRE_SESSION_STATE, &reply))
        return 0;
    const struct wire_session_state *there = &reply.session_state;
    return there->epoch == state->epoch && there->seq == state->seq && same_digest(there->digest, state->digest);
}

// The other daemon takes the state. A connection that breaks meanwhile is made again once, to ask again.
static int put_there(struct mover *mover, const struct wire_session_state *state, char *why, size_t why_size)
{
    struct wire_envelope request = {.kind = WIRE_RESTORE, .restore.state = state}, reply;
    int error = control_ask(mover->to, &request, WIRE_OPENED, &reply);
    if (error && error != -EREMOTEIO) {
        control_close(mover->to);
        error = control_open(mover->to, mover->address, mover->options);
        if (!error)
            error = control_ask(mover->to, &request, WIRE_OPENED, &reply);
        if (error == -EREMOTEIO && mover->to->code == WIRE_FENCED && is_there(mover, state))
            return 0;
    }
    if (error) {
        snprintf(why, why_size, "%s", mover->to->why);
        return error;
    }
    if (same_digest(reply.opened.digest, state->digest) && reply.opened.count == state->count)
        return 0;
    snprintf(why, why_size, "%s: the belief that arrived has another digest", mover->address);
    return -EILSEQ;
}

// What arrived there is not the session: nobody was told of it.
static int take_back(struct mover *mover, const char *session, uint64_t epoch)
{
    struct wire_envelope request = {
        .kind = WIRE_CLOSE, .close = {.forget = 1, .session = session, .epoch = epoch}}, reply;
    return control_ask(mover->to, &request, WIRE_DONE, &reply);
}

int move_session(struct mover *mover, const char *session, struct moved *moved, char *why, size_t why_size)
{
    struct wire_envelope frozen, reply;
    int error = ask_phase(mover, session, WIRE_FREEZE, &frozen);
    if (error) {
        snprintf(why, why_size, "%s", mover->from->why);
        return error;
    }
    const struct wire_session_state *state = &frozen.session_state;
    *moved = (struct moved){.epoch = state->epoch, .count = state->count};
    if (state->digest.size == WIRE_DIGEST_SIZE)
        memcpy(moved->digest, state->digest.bytes, WIRE_DIGEST_SIZE);

    error = put_there(mover, state, why, why_size);
    if (error) {
        if (error == -EILSEQ)
            take_back(mover, session, moved->epoch);
        if (ask_phase(mover, session, WIRE_THAW, &reply))
            snprintf(why + strlen(why), why_size - strlen(why), "; it thaws by itself in a few seconds");
        return error;
    }
    error = ask_phase(mover, session, WIRE_CONFIRM, &reply);
    if (error == -EREMOTEIO) {
        // It thawed before all was done, and may have gone on since.
        snprintf(why, why_size, "%s", mover->from->why);
        if (take_back(mover, session, moved->epoch))
            snprintf(why + strlen(why), why_size - strlen(why), "; an older copy is left at %s", mover->address);
    } else if (error) {
        snprintf(why, why_size, "%s; %s is at %s, but clients may not have been told", mover->from->why, session,
                 mover->address);
    }
    return error;
}
