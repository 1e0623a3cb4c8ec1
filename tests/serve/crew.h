#pragma once
// A house with several servers, pumped by hand in one thread, with clients on any of them. Which server turns next is
// the test's random choice, so that letters cross.

#include "peer.h"

enum { CREW_LIMIT = 4 };

struct crew {
    struct house *house;
    struct server *servers[CREW_LIMIT];
    size_t count;
    struct caller *callers[64];        // all that are connected
    size_t caller_count;
    struct random_stream stream;
};

extern const struct house_options crew_options;  // generous limits, no log; data_directory and so on may be set

// options NULL: crew_options. Serves nothing yet.
void crew_start(struct crew *crew, size_t servers, const struct house_options *options);
void crew_serve(struct crew *crew, struct model *model);  // owned by the house
void crew_stop(struct crew *crew);                        // as a kill: nothing is drained
struct caller *crew_connect(struct crew *crew, size_t server, const struct peer *peer);  // peer NULL: a robot
void crew_disconnect(struct crew *crew, struct caller *caller);

void crew_turn(struct crew *crew);                        // each server once, in any order
// Turns until there is a reply. The caller may have others under way; it is the next one.
struct wire_envelope crew_reply(struct crew *crew, struct caller *caller);
struct wire_envelope crew_ask(struct crew *crew, struct caller *caller, struct wire_envelope request);
void crew_settle(struct crew *crew, int milliseconds);    // turns for so long

size_t crew_pick(struct crew *crew, size_t below);        // 0 .. below - 1
