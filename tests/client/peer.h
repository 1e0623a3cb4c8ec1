#pragma once
// A daemon for tests of the client: keeps books of sessions as the wire asks for, and plays one trick on the
// next Step or Close when told to. Its belief is a plain sum over transitions, each counted once, so equal
// digests mean that the same transitions arrived. Its actions tell which observation they answer.

#include <stddef.h>
#include <stdint.h>

enum peer_trick {
    PEER_HONEST,
    PEER_LATE,            // absorbs; the reply leaves only with the next request's
    PEER_SILENT,          // absorbs and never answers
    PEER_DEAF,            // from now on reads nothing and answers nothing on this link
    PEER_WRONG_ID,        // absorbs; answers a request that was never made
    PEER_OLD_ID,          // absorbs; answers an earlier request instead
    PEER_WRONG_SEQ,       // absorbs; the action is for another observation
    PEER_WRONG_KIND,      // absorbs; answers with Done
    PEER_SHORT_ACTION,    // absorbs; one number is missing
    PEER_JUNK,            // answers with bytes that are no Envelope
    PEER_HUGE,            // announces a frame of 4 GB
    PEER_HALF,            // absorbs; half a reply, then closes
    PEER_CLOSE_BEFORE,    // closes without having absorbed
    PEER_CLOSE_AFTER,     // absorbs, then closes
    PEER_DROP_HANDLE,     // says UNKNOWN_SESSION until it is opened again, having absorbed nothing
    PEER_REFUSE,          // says INVALID (observation, limit 77), having absorbed nothing
    PEER_FENCE,           // says FENCED
    PEER_DRAIN,           // says DRAINING and closes; opens again on the next link
    PEER_CONNECTION_ERROR, // says IDLE about the connection and closes
    PEER_BUSY,            // says BUSY, having absorbed nothing
    PEER_RATE,            // says RATE, having absorbed nothing
    PEER_DENY,            // says PERMISSION, having absorbed nothing
    PEER_UNDURABLE_LOST,  // its log takes it not, and the link breaks before the reply
    PEER_LOSE_OPENED,     // closes after the next Open, which was done but not answered
    PEER_TRICKS
};

enum { PEER_OBSERVATION = 5, PEER_ACTION = 3, PEER_TASK = 2, PEER_FEATURES = 4 };

struct peer;

struct peer *peer_start(uint32_t max_in_flight);  // listens on a fresh Unix socket
void peer_stop(struct peer *peer);
const char *peer_address(const struct peer *peer);

void peer_play(struct peer *peer, enum peer_trick trick);  // on the next Step or Close, once
void peer_dribble(struct peer *peer, int on);              // replies leave byte by byte
void peer_forget(struct peer *peer, const char *session);  // its book is burnt
void peer_continue(struct peer *peer, const char *session);  // somebody else makes a step in it
void peer_refuse_links(struct peer *peer, int on);         // closes each new link at once

// What the book of a session says.
struct peer_book {
    uint64_t seq, count, digest, opens, epoch, opener;
    uint32_t task;
};
struct peer_book peer_book(struct peer *peer, const char *session);
void peer_keep_log(struct peer *peer, int on);             // has a disk (not: durability off)
void peer_commit(struct peer *peer);                       // all is on disk now
void peer_crash(struct peer *peer);                        // the link breaks; only what is on disk stays
void peer_fill_disk(struct peer *peer, int full);          // the log takes nothing
void peer_move(struct peer *peer, const char *session, struct peer *to);  // hands the session's book over
void peer_want_token(struct peer *peer, const char *token);  // others are UNAUTHENTICATED; NULL: anybody may come
size_t peer_reads(struct peer *peer);                      // pieces that were read so far

// The sum that the transition (seq, action -> reward, observation) adds to a digest.
uint64_t peer_term(uint64_t seq, const float *action, float reward, const float *observation);
// The first number of the action that answers observation seq.
static inline float peer_action(uint64_t seq) { return (float)(seq % 100000) / 16; }
