// The daemon for tests; the contract is in peer.h. One thread, one link at a time; the books are under a lock
// because the test reads and burns them.
#include "peer.h"

#include "proto/frame.h"
#include "proto/wire.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { BOOKS = 128, FRAME = 1 << 20, SEQS = 8192 };

// A belief and which of writer 0's transitions are in it.
struct pages {
    struct peer_book is;
    uint64_t top;               // highest of them
    uint8_t seen[SEQS / 8];
};

struct book {
    char id[WIRE_SESSION_LIMIT + 1];
    int handed;                 // its handle is good
    char moved_to[128];         // empty: it is here
    struct peer_book is;
    uint64_t top;
    uint8_t seen[SEQS / 8];
    struct pages disk;
};

struct peer {
    pthread_t thread;
    pthread_mutex_t lock;
    int listener, link;
    int bell[2];                // tells the thread to end
    char directory[64], address[128];
    uint32_t max_in_flight;
    enum peer_trick trick;
    int dribble, refuse, deaf, mute, log, full;
    char token[64];             // empty: none is needed
    size_t reads;
    struct book books[BOOKS];
    size_t book_count;
    struct frame_buffer in;
    uint8_t late[4096];         // a reply that waits for the next request
    size_t late_size;
    uint64_t last_id;           // of the last request that was answered
    uint8_t arena[FRAME];
};

// ---- Books ----------------------------------------------------------------------------------------------------

static uint64_t mix(uint64_t h, const void *bytes, size_t size)
{
    const uint8_t *b = bytes;
    for (size_t i = 0; i < size; i++)
        h = (h ^ b[i]) * 0x100000001b3;  // FNV-1a
    return h;
}

uint64_t peer_term(uint64_t seq, const float *action, float reward, const float *observation)
{
    uint64_t h = mix(0xcbf29ce484222325, &seq, sizeof seq);
    h = mix(h, action, PEER_ACTION * sizeof(float));
    h = mix(h, &reward, sizeof reward);
    return mix(h, observation, PEER_OBSERVATION * sizeof(float));
}

static struct book *find(struct peer *peer, const char *id)
{
    for (size_t i = 0; i < peer->book_count; i++)
        if (strcmp(peer->books[i].id, id) == 0)
            return &peer->books[i];
    return NULL;
}

struct peer_book peer_book(struct peer *peer, const char *session)
{
    pthread_mutex_lock(&peer->lock);
    struct book *book = find(peer, session);
    struct peer_book is = book ? book->is : (struct peer_book){0};
    pthread_mutex_unlock(&peer->lock);
    return is;
}

void peer_forget(struct peer *peer, const char *session)
{
    pthread_mutex_lock(&peer->lock);
    struct book *book = find(peer, session);
    if (book)
        book->id[0] = 0;
    pthread_mutex_unlock(&peer->lock);
}

void peer_continue(struct peer *peer, const char *session)
{
    pthread_mutex_lock(&peer->lock);
    struct book *book = find(peer, session);
    if (book)
        book->is.seq += 7, book->is.count += 7, book->is.epoch++, book->is.opener = 0;
    pthread_mutex_unlock(&peer->lock);
}

void peer_play(struct peer *peer, enum peer_trick trick)
{
    pthread_mutex_lock(&peer->lock);
    peer->trick = trick;
    pthread_mutex_unlock(&peer->lock);
}

void peer_dribble(struct peer *peer, int on)
{
    pthread_mutex_lock(&peer->lock);
    peer->dribble = on;
    pthread_mutex_unlock(&peer->lock);
}

void peer_refuse_links(struct peer *peer, int on)
{
    pthread_mutex_lock(&peer->lock);
    peer->refuse = on;
    pthread_mutex_unlock(&peer->lock);
}

// ---- The disk -------------------------------------------------------------------------------------------------

static int has_seen(const struct book *book, uint64_t seq)
{
    return seq < SEQS && book->seen[seq / 8] >> (seq % 8) & 1;
}

static void absorb(struct book *book, uint64_t seq, uint64_t term)
{
    if (seq >= SEQS)
        abort();
    book->seen[seq / 8] |= (uint8_t)(1 << (seq % 8));
    book->top = seq > book->top ? seq : book->top;
    book->is.count++;
    book->is.digest += term;
}

static void commit(struct book *book)
{
    book->disk = (struct pages){.is = book->is, .top = book->top};
    memcpy(book->disk.seen, book->seen, sizeof book->seen);
}

static uint64_t durable_seq(const struct peer *peer, const struct book *book)
{
    return peer->log ? book->disk.top : 0;
}

void peer_keep_log(struct peer *peer, int on)
{
    pthread_mutex_lock(&peer->lock);
    peer->log = on;
    pthread_mutex_unlock(&peer->lock);
}

void peer_commit(struct peer *peer)
{
    pthread_mutex_lock(&peer->lock);
    for (size_t i = 0; i < peer->book_count; i++)
        commit(&peer->books[i]);
    pthread_mutex_unlock(&peer->lock);
}

void peer_crash(struct peer *peer)
{
    pthread_mutex_lock(&peer->lock);
    for (size_t i = 0; i < peer->book_count; i++) {
        struct book *book = &peer->books[i];
        book->is = book->disk.is;
        book->is.seq = book->top = book->disk.top;  // a first observation is on no disk
        memcpy(book->seen, book->disk.seen, sizeof book->seen);
        book->handed = 0;
    }
    if (peer->link >= 0)
        shutdown(peer->link, SHUT_RDWR);  // the thread closes it
    pthread_mutex_unlock(&peer->lock);
}

void peer_fill_disk(struct peer *peer, int full)
{
    pthread_mutex_lock(&peer->lock);
    peer->full = full;
    pthread_mutex_unlock(&peer->lock);
}

void peer_want_token(struct peer *peer, const char *token)
{
    pthread_mutex_lock(&peer->lock);
    snprintf(peer->token, sizeof peer->token, "%s", token ? token : "");
    pthread_mutex_unlock(&peer->lock);
}

void peer_move(struct peer *peer, const char *session, struct peer *to)
{
    pthread_mutex_lock(&peer->lock);
    struct book *book = find(peer, session);
    struct book copy = *book;
    snprintf(book->moved_to, sizeof book->moved_to, "%s", to->address);
    pthread_mutex_unlock(&peer->lock);
    copy.handed = 0;
    copy.is.epoch++;
    pthread_mutex_lock(&to->lock);
    struct book *at = find(to, session);
    if (!at)
        at = &to->books[to->book_count++];
    copy.moved_to[0] = 0;
    *at = copy;
    pthread_mutex_unlock(&to->lock);
}

size_t peer_reads(struct peer *peer)
{
    pthread_mutex_lock(&peer->lock);
    size_t reads = peer->reads;
    pthread_mutex_unlock(&peer->lock);
    return reads;
}

// ---- Replies --------------------------------------------------------------------------------------------------

static const float low[PEER_ACTION] = {-1, -1, -1}, high[PEER_ACTION] = {1, 1, 1};

static struct wire_model model(void)
{
    return (struct wire_model){
        .name = "peer", .world = "test", .digest = "00", .provenance = "{}",
        .observation_dim = PEER_OBSERVATION, .action_dim = PEER_ACTION, .task_dim = PEER_TASK,
        .action_low = {low, PEER_ACTION}, .action_high = {high, PEER_ACTION}, .reward_features = PEER_FEATURES,
    };
}

static void send_bytes(struct peer *peer, const uint8_t *bytes, size_t size)
{
    size_t piece = peer->dribble ? 1 : size;
    for (size_t at = 0; at < size && peer->link >= 0 && !peer->mute;) {
        ssize_t sent = send(peer->link, bytes + at, size - at < piece ? size - at : piece, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        at += (size_t)sent;
    }
}

static size_t encode(struct peer *peer, uint8_t *out, size_t room, const struct wire_envelope *reply)
{
    struct wire_arena arena;
    wire_arena_init(&arena, peer->arena + FRAME / 2, FRAME / 2);
    long size = wire_encode(out, room, reply, &arena);
    if (size < 0 || (size_t)size > room)
        abort();
    return (size_t)size;
}

static void answer(struct peer *peer, const struct wire_envelope *reply)
{
    uint8_t out[4096];
    send_bytes(peer, out, encode(peer, out, sizeof out, reply));
    peer->last_id = reply->request_id;
}

static void complain(struct peer *peer, uint64_t id, enum wire_error_code code, const char *field, uint64_t limit)
{
    answer(peer, &(struct wire_envelope){
        .request_id = id, .kind = WIRE_ERROR,
        .error = {.code = code, .field = field, .message = "so it is", .limit = limit}});
}

static void hang_up(struct peer *peer)
{
    if (peer->link >= 0)
        close(peer->link);
    peer->link = -1;
    peer->deaf = 0;
    peer->late_size = 0;
    frame_buffer_consume(&peer->in, frame_buffer_size(&peer->in));
}

static void moved(struct peer *peer, uint64_t id, const struct book *book)
{
    answer(peer, &(struct wire_envelope){
        .request_id = id, .kind = WIRE_ERROR,
        .error = {.code = WIRE_MOVED, .message = "it went", .address = book->moved_to}});
}

static void open_book(struct peer *peer, uint64_t id, const struct wire_open *open)
{
    struct book *book = find(peer, open->session);
    int resumed = book != NULL;
    if (book && book->moved_to[0]) {
        moved(peer, id, book);
        return;
    }
    if (open->epoch && (!book || (open->epoch < book->is.epoch && open->opener != book->is.opener))) {
        complain(peer, id, book ? WIRE_FENCED : WIRE_UNKNOWN_SESSION, "epoch", 0);
        return;
    }
    if (!book) {
        book = &peer->books[peer->book_count++];
        *book = (struct book){.is.task = 1};
        snprintf(book->id, sizeof book->id, "%s", open->session);
    }
    book->is.opens++;
    book->is.epoch = (open->epoch > book->is.epoch ? open->epoch : book->is.epoch) + 1;
    book->is.opener = open->opener;
    book->handed = 1;
    if (!peer->full)
        commit(book);
    struct wire_model m = model();
    uint64_t digest[2] = {book->is.digest, 0};
    answer(peer, &(struct wire_envelope){
        .request_id = id, .kind = WIRE_OPENED,
        .opened = {.handle = (uint32_t)(book - peer->books) + 1, .epoch = book->is.epoch, .resumed = resumed,
                   .task = book->is.task, .seq = book->is.seq, .count = book->is.count,
                   .digest = {(uint8_t *)digest, sizeof digest}, .model = &m,
                   .durable_seq = durable_seq(peer, book),
                   .durability = peer->log ? WIRE_DURABILITY_INTERVAL : WIRE_DURABILITY_OFF}});
}

// Step and Act. What is done with the reply depends on the trick.
static void act(struct peer *peer, const struct wire_envelope *request, struct book *book, enum peer_trick trick)
{
    const struct wire_step *step = &request->step;
    int acting = request->kind == WIRE_ACT;
    uint64_t seq = acting ? request->act.seq : step->seq;
    enum wire_status status = acting ? WIRE_STATUS_NONE : WIRE_STATUS_ABSORBED;
    int repeated = !acting && seq <= book->is.seq, last = seq == book->is.seq;
    int wanted = acting || (!step->last && (!repeated || last));
    int full = peer->full || trick == PEER_UNDURABLE_LOST;
    if (!acting && !has_seen(book, seq) && seq != book->is.seq + 1 && !last) {
        complain(peer, request->request_id, WIRE_OUT_OF_STEP, "seq", 0);
        return;
    }
    if (!acting && has_seen(book, seq))
        status = WIRE_STATUS_DUPLICATE;
    else if (!acting && full)
        status = WIRE_STATUS_UNDURABLE;
    else if (!acting)
        absorb(book, seq, peer_term(seq, step->action.values, step->reward, step->observation.values));
    book->is.seq = seq > book->is.seq ? seq : book->is.seq;

    float action[PEER_ACTION] = {peer_action(seq), 1, 2};
    uint64_t digest[2] = {book->is.digest, 0};
    struct wire_envelope reply = {
        .request_id = request->request_id, .kind = WIRE_ACTION,
        .action = {.seq = seq, .action = {action, wanted ? PEER_ACTION : 0}, .status = status,
                   .count = book->is.count, .digest = {(uint8_t *)digest, sizeof digest}, .task = book->is.task,
                   .reward_p = 0.5, .transition_p = 1, .queue_us = 3, .compute_us = 4,
                   .durable_seq = durable_seq(peer, book)},
    };
    uint8_t out[4096];
    switch (trick) {
    case PEER_SILENT:
        return;
    case PEER_LATE:
        peer->late_size = encode(peer, peer->late, sizeof peer->late, &reply);
        return;
    case PEER_WRONG_ID: reply.request_id += 1000000; break;
    case PEER_OLD_ID: reply.request_id = peer->last_id; break;
    case PEER_WRONG_SEQ: reply.action.seq++; break;
    case PEER_SHORT_ACTION: reply.action.action.count = PEER_ACTION - 1; break;
    case PEER_WRONG_KIND:
        reply.kind = WIRE_DONE;
        reply.done = (struct wire_done){0};
        break;
    case PEER_HALF:
        send_bytes(peer, out, encode(peer, out, sizeof out, &reply) / 2);
        hang_up(peer);
        return;
    case PEER_CLOSE_AFTER: case PEER_UNDURABLE_LOST:
        hang_up(peer);
        return;
    default:
        break;
    }
    answer(peer, &reply);
}

static void tell_belief(struct peer *peer, const struct wire_envelope *request, const struct book *book)
{
    static const double mean[PEER_FEATURES] = {1, 2, 3, 4}, variance[PEER_FEATURES] = {4, 3, 2, 1},
        noise[1] = {0.5};
    static const double estimate[PEER_TASK] = {0.25, -0.5}, spread[PEER_TASK] = {0.125, 1};
    static const uint8_t sums[3] = {7, 8, 9};
    const struct wire_get_belief *wanted = &request->get_belief;
    struct wire_head head = {.name = "reward", .features = PEER_FEATURES, .targets = 1, .log_evidence = -12.5};
    if (wanted->weights) {
        head.mean = (struct wire_doubles){mean, PEER_FEATURES};
        head.variance = (struct wire_doubles){variance, PEER_FEATURES};
        head.noise = (struct wire_doubles){noise, 1};
    }
    if (wanted->sums)
        head.sums = (struct wire_bytes){sums, sizeof sums};
    struct wire_envelope reply = {
        .request_id = request->request_id, .kind = WIRE_BELIEF,
        .belief = {.count = book->is.count, .task = book->is.task, .heads = &head, .head_count = 1}};
    if (wanted->estimate) {
        reply.belief.estimate_mean = (struct wire_doubles){estimate, PEER_TASK};
        reply.belief.estimate_sd = (struct wire_doubles){spread, PEER_TASK};
    }
    answer(peer, &reply);
}

static void observe(struct peer *peer, const struct wire_envelope *request, struct book *book)
{
    enum wire_status status[64];
    const struct wire_observe *o = &request->observe;
    for (size_t i = 0; i < o->transition_count; i++) {
        const struct wire_transition *t = &o->transitions[i];
        status[i] = peer->full ? WIRE_STATUS_UNDURABLE : WIRE_STATUS_ABSORBED;
        uint64_t term = peer_term(t->seq, t->action.values, t->reward, t->next_observation.values);
        if (o->writer == 0 && has_seen(book, t->seq))
            status[i] = WIRE_STATUS_DUPLICATE;
        else if (!peer->full && o->writer == 0)
            absorb(book, t->seq, term);
        else if (!peer->full)
            book->is.count++, book->is.digest += term;
    }
    if (!peer->full)
        commit(book);
    answer(peer, &(struct wire_envelope){
        .request_id = request->request_id, .kind = WIRE_OBSERVED,
        .observed = {.status = status, .status_count = o->transition_count, .count = book->is.count}});
}

static void reset(struct peer *peer, const struct wire_envelope *request, struct book *book)
{
    if (request->reset.scope == WIRE_TASK && request->reset.task == book->is.task) {
        book->is.task++;
        book->is.count = book->is.digest = 0;
    }
    answer(peer, &(struct wire_envelope){
        .request_id = request->request_id, .kind = WIRE_DONE,
        .done = {.task = book->is.task, .count = book->is.count}});
}

static void greet(struct peer *peer, uint64_t id)
{
    struct wire_model m = model();
    answer(peer, &(struct wire_envelope){
        .request_id = id, .kind = WIRE_WELCOME,
        .welcome = {.server = "peer 1", .protocol = WIRE_PROTOCOL, .models = &m, .model_count = 1,
                    .max_frame_bytes = FRAME, .max_in_flight = peer->max_in_flight,
                    .durability = peer->log ? WIRE_DURABILITY_INTERVAL : WIRE_DURABILITY_OFF}});
}

// What happens to a Step or a Close before its book is opened. 1: that was all.
static int played(struct peer *peer, uint64_t id, enum peer_trick trick)
{
    static const uint8_t junk[] = {0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff}, huge[] = {0xff, 0xff, 0xff, 0xff};
    switch (trick) {
    case PEER_DEAF: peer->deaf = 1; return 1;
    case PEER_JUNK: send_bytes(peer, junk, sizeof junk); return 1;
    case PEER_HUGE: send_bytes(peer, huge, sizeof huge); return 1;
    case PEER_CLOSE_BEFORE: hang_up(peer); return 1;
    case PEER_REFUSE: complain(peer, id, WIRE_INVALID, "observation", 77); return 1;
    case PEER_FENCE: complain(peer, id, WIRE_FENCED, "", 0); return 1;
    case PEER_BUSY: complain(peer, id, WIRE_BUSY, "session", 0); return 1;
    case PEER_RATE: complain(peer, id, WIRE_RATE, "", 5); return 1;
    case PEER_DENY: complain(peer, id, WIRE_PERMISSION, "session", 0); return 1;
    case PEER_DRAIN: complain(peer, id, WIRE_DRAINING, "", 0); hang_up(peer); return 1;
    case PEER_CONNECTION_ERROR: complain(peer, 0, WIRE_IDLE, "", 0); hang_up(peer); return 1;
    default: return 0;
    }
}

static void handle(struct peer *peer, const struct wire_envelope *request)
{
    uint64_t id = request->request_id;
    if (request->kind == WIRE_HELLO) {
        if (peer->token[0] && strcmp(peer->token, request->hello.token) != 0)
            complain(peer, id, WIRE_UNAUTHENTICATED, "token", 0);
        else
            greet(peer, id);
        return;
    }
    if (request->kind == WIRE_OPEN) {
        peer->mute = peer->trick == PEER_LOSE_OPENED;
        open_book(peer, id, &request->open);
        if (peer->mute) {
            peer->trick = PEER_HONEST;
            peer->mute = 0;
            hang_up(peer);
        }
        return;
    }
    if (request->kind == WIRE_PING) {
        for (size_t i = 0; i < peer->book_count && request->ping.durable && !peer->full; i++)
            commit(&peer->books[i]);
        if (request->ping.durable && peer->full)
            complain(peer, id, WIRE_UNDURABLE, "", 0);
        else
            answer(peer, &(struct wire_envelope){.request_id = id, .kind = WIRE_DONE});
        return;
    }
    enum peer_trick trick = PEER_HONEST;
    if (request->kind == WIRE_STEP || request->kind == WIRE_CLOSE) {
        trick = peer->trick;
        peer->trick = trick == PEER_LOSE_OPENED ? trick : PEER_HONEST;
    }
    if (played(peer, id, trick))
        return;
    if (peer->late_size) {
        send_bytes(peer, peer->late, peer->late_size);
        peer->late_size = 0;
    }
    uint32_t number = request->step.handle - 1;  // all that follow begin with their handle
    if (number < peer->book_count && trick == PEER_DROP_HANDLE)
        peer->books[number].handed = 0;
    if (number >= peer->book_count || !peer->books[number].id[0] || !peer->books[number].handed) {
        complain(peer, id, WIRE_UNKNOWN_SESSION, "handle", 0);
        return;
    }
    struct book *book = &peer->books[number];
    if (book->moved_to[0]) {
        moved(peer, id, book);
        return;
    }
    switch (request->kind) {
    case WIRE_STEP: case WIRE_ACT: act(peer, request, book, trick); break;
    case WIRE_OBSERVE: observe(peer, request, book); break;
    case WIRE_GET_BELIEF: tell_belief(peer, request, book); break;
    case WIRE_RESET: reset(peer, request, book); break;
    case WIRE_CLOSE:
        book->id[0] = 0;
        if (trick == PEER_CLOSE_AFTER)
            hang_up(peer);
        else
            answer(peer, &(struct wire_envelope){.request_id = id, .kind = WIRE_DONE});
        break;
    default: complain(peer, id, WIRE_UNSUPPORTED, "body", 0);
    }
}

// ---- The thread -----------------------------------------------------------------------------------------------

static void read_some(struct peer *peer)
{
    uint8_t *room = frame_buffer_reserve(&peer->in, 4096);
    ssize_t got = room ? recv(peer->link, room, peer->in.capacity - peer->in.end, 0) : 0;
    if (got <= 0) {
        hang_up(peer);
        return;
    }
    peer->reads++;
    frame_buffer_append(&peer->in, (size_t)got);
    const uint8_t *body;
    size_t size;
    while (peer->link >= 0 && !peer->deaf && frame_next(&peer->in, FRAME, &body, &size) == 1) {
        struct wire_arena arena;
        struct wire_envelope request;
        wire_arena_init(&arena, peer->arena, FRAME / 2);
        if (wire_decode(&request, body, size, &arena))
            abort();  // the client must never send such a thing
        frame_buffer_consume(&peer->in, FRAME_HEADER_SIZE + size);
        handle(peer, &request);
    }
}

static void *run(void *context)
{
    struct peer *peer = context;
    for (;;) {
        int link = peer->deaf ? -1 : peer->link;  // the deaf one waits for a new link only
        struct pollfd polls[] = {{peer->bell[0], POLLIN, 0}, {peer->listener, POLLIN, 0}, {link, POLLIN, 0}};
        poll(polls, 3, -1);
        pthread_mutex_lock(&peer->lock);
        if (polls[0].revents) {
            pthread_mutex_unlock(&peer->lock);
            return NULL;
        }
        if (polls[2].revents)
            read_some(peer);
        if (polls[1].revents) {
            hang_up(peer);
            peer->link = accept(peer->listener, NULL, NULL);
            if (peer->refuse)
                hang_up(peer);
        }
        pthread_mutex_unlock(&peer->lock);
    }
}

struct peer *peer_start(uint32_t max_in_flight)
{
    struct peer *peer = calloc(1, sizeof *peer);
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    const char *temporary = getenv("TMPDIR");
    snprintf(peer->directory, sizeof peer->directory, "%s/peer.XXXXXX", temporary ? temporary : "/tmp");
    if (!mkdtemp(peer->directory))
        abort();
    snprintf(to.sun_path, sizeof to.sun_path, "%s/socket", peer->directory);
    snprintf(peer->address, sizeof peer->address, "unix:%s", to.sun_path);
    peer->max_in_flight = max_in_flight;
    peer->link = -1;
    peer->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pthread_mutex_init(&peer->lock, NULL);
    if (frame_buffer_init(&peer->in, 1 << 16, FRAME) || pipe(peer->bell) ||
        bind(peer->listener, (struct sockaddr *)&to, sizeof to) || listen(peer->listener, 16) ||
        pthread_create(&peer->thread, NULL, run, peer))
        abort();
    return peer;
}

void peer_stop(struct peer *peer)
{
    if (write(peer->bell[1], "", 1) != 1)
        abort();
    pthread_join(peer->thread, NULL);
    hang_up(peer);
    close(peer->listener);
    close(peer->bell[0]);
    close(peer->bell[1]);
    unlink(peer->address + strlen("unix:"));
    rmdir(peer->directory);
    frame_buffer_release(&peer->in);
    pthread_mutex_destroy(&peer->lock);
    free(peer);
}

const char *peer_address(const struct peer *peer)
{
    return peer->address;
}
