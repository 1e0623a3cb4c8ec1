// Letters that go round; the contract is in round.h.
#include "round.h"

static void deliver(struct letter *letter, struct server *server, uint64_t now_us)
{
    struct round *round = (struct round *)letter;
    if (!server) {
        round->done(round, NULL, now_us);
        return;
    }
    size_t count = server->house->options.servers;
    if (round->next < count) {
        round->visit(round, server, now_us);
        round->next++;
    }
    size_t to = round->next < count ? round->next : round->home;
    if (to == server->index && round->next == count)
        round->done(round, server, now_us);
    else
        mail_post(server->house, to, letter);
}

void round_start(struct round *round, struct server *server, uint64_t now_us)
{
    round->letter.deliver = deliver;
    round->next = 0;
    round->home = server->index;
    if (server->index == 0)
        deliver(&round->letter, server, now_us);
    else
        mail_post(server->house, 0, &round->letter);
}
