// How clients of bel-bench peers talk: our frames, Redis, and websockets with msgpack.
#include "load.h"

#include "proto/wire.h"
#include "shape.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const float executed[SHAPE_ACTION] = {0.1f, -0.2f, 0.3f, -0.4f, 0.5f, -0.6f};

static void put(struct load_connection *connection, const void *bytes, size_t size)
{
    uint8_t *room = frame_buffer_reserve(&connection->out, size);
    if (!room)
        load_die("a request does not fit");
    memcpy(room, bytes, size);
    frame_buffer_append(&connection->out, size);
}

// ---- Frames -------------------------------------------------------------------------------------------------------

static uint8_t arena_memory[1 << 16];

void load_put_frame(struct load_connection *connection, struct wire_envelope *request)
{
    struct wire_arena arena;
    wire_arena_init(&arena, arena_memory, sizeof arena_memory);
    uint8_t *room = frame_buffer_reserve(&connection->out, LOAD_FRAME / 2);
    request->request_id = connection->seq;
    long size = room ? wire_encode(room, LOAD_FRAME / 2, request, &arena) : -1;
    if (size < 0)
        load_die("a request does not fit");
    frame_buffer_append(&connection->out, (size_t)size);
}

int load_take_frame(struct load_connection *connection)
{
    const uint8_t *body;
    size_t size;
    struct wire_arena arena;
    struct wire_envelope reply;
    if (frame_next(&connection->in, LOAD_FRAME, &body, &size) != 1)
        return 0;
    wire_arena_init(&arena, arena_memory, sizeof arena_memory);
    if (wire_decode(&reply, body, size, &arena))
        load_die("beliefd does not answer what was asked");
    if (reply.kind == WIRE_ERROR)
        load_die("beliefd says %s (%s): %s", wire_error_name(reply.error.code), reply.error.field, reply.error.message);
    if (reply.kind == WIRE_ACTION && reply.action.status > WIRE_STATUS_ABSORBED)
        load_die("beliefd does not absorb: %s", wire_status_name(reply.action.status));
    frame_buffer_consume(&connection->in, FRAME_HEADER_SIZE + size);
    return 1;
}

static struct wire_floats observation_of(const struct load_connection *connection)
{
    return (struct wire_floats){load_observation(connection->seq), load_dim()};
}

static void begin_frames(struct load_connection *connection)
{
    char name[64];
    snprintf(name, sizeof name, "bench-%d-%d", (int)getpid(), (int)connection->session);
    load_put_frame(connection, &(struct wire_envelope){.kind = WIRE_OPEN, .open.session = name});
    load_round_trip(connection, load_take_frame);
    connection->seq = 1;
    load_put_frame(connection, &(struct wire_envelope){
        .kind = WIRE_ACT, .act = {.handle = 1, .seq = 1, .observation = observation_of(connection)}});
    load_round_trip(connection, load_take_frame);
}

static void ask_frames(struct load_connection *connection)
{
    connection->seq++;
    load_put_frame(connection, &(struct wire_envelope){
        .kind = WIRE_STEP,
        .step = {.handle = 1, .seq = connection->seq, .task = 1, .observation = observation_of(connection),
                 .reward = load_reward(connection->seq), .action = {executed, SHAPE_ACTION}}});
}

const struct load_wire wire_frames = {"beliefd", begin_frames, ask_frames, load_take_frame, NULL};

// ---- Redis: GET of one value of 300 bytes -------------------------------------------------------------------------

enum { REDIS_VALUE = 300 };

static int take_redis(struct load_connection *connection)
{
    static const char get[] = "$300\r\n", ok[] = "+OK\r\n";
    const uint8_t *in = frame_buffer_data(&connection->in);
    size_t size = frame_buffer_size(&connection->in), whole = sizeof get - 1 + REDIS_VALUE + 2;
    if (size && in[0] == '+')
        whole = sizeof ok - 1;
    if (size < whole)
        return 0;
    if (memcmp(in, get, sizeof get - 1) != 0 && memcmp(in, ok, sizeof ok - 1) != 0)
        load_die("Redis says %.*s", (int)(size < 60 ? size : 60), (const char *)in);
    frame_buffer_consume(&connection->in, whole);
    return 1;
}

static void begin_redis(struct load_connection *connection)
{
    char command[REDIS_VALUE + 64];
    int size = snprintf(command, sizeof command, "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$%d\r\n%0*d\r\n", REDIS_VALUE,
                        REDIS_VALUE, 7);
    put(connection, command, (size_t)size);
    load_round_trip(connection, take_redis);
}

static void ask_redis(struct load_connection *connection)
{
    static const char command[] = "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n";
    put(connection, command, sizeof command - 1);
}

const struct load_wire wire_redis = {"redis-server", begin_redis, ask_redis, take_redis, NULL};

// ---- Websockets: RFC 6455, binary messages of msgpack -------------------------------------------------------------

static int take_upgrade(struct load_connection *connection)
{
    static const char switching[] = "HTTP/1.1 101";
    const uint8_t *in = frame_buffer_data(&connection->in);
    size_t size = frame_buffer_size(&connection->in);
    const uint8_t *end = memmem(in, size, "\r\n\r\n", 4);
    if (!end)
        return 0;
    if (memcmp(in, switching, sizeof switching - 1) != 0)
        load_die("the websocket server does not switch protocols: %.60s", (const char *)in);
    frame_buffer_consume(&connection->in, (size_t)(end + 4 - in));
    return 1;
}

static void begin_websocket(struct load_connection *connection)
{
    static const char upgrade[] =
        "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: YmVsLWJlbmNoIHBlZXJzIQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    put(connection, upgrade, sizeof upgrade - 1);
    load_round_trip(connection, take_upgrade);
}

struct pack {
    uint8_t bytes[512];
    size_t size;
};

static void pack_bytes(struct pack *pack, const void *bytes, size_t size)
{
    memcpy(pack->bytes + pack->size, bytes, size);
    pack->size += size;
}

static void pack_key(struct pack *pack, const char *key)
{
    pack->bytes[pack->size++] = (uint8_t)(0xa0 | strlen(key));
    pack_bytes(pack, key, strlen(key));
}

static void pack_number(struct pack *pack, const char *key, uint32_t number)
{
    pack_key(pack, key);
    pack->bytes[pack->size++] = 0xce;
    frame_write_header(pack->bytes + pack->size, number);
    pack->size += 4;
}

static void pack_floats(struct pack *pack, const char *key, const float *values, size_t count)
{
    pack_key(pack, key);
    pack->bytes[pack->size++] = 0xc4;
    pack->bytes[pack->size++] = (uint8_t)(count * sizeof *values);
    pack_bytes(pack, values, count * sizeof *values);
}

static void ask_websocket(struct load_connection *connection)
{
    struct pack pack = {.bytes = {0x85}, .size = 1};
    uint32_t reward;
    connection->seq++;
    memcpy(&reward, (const float[]){load_reward(connection->seq)}, sizeof reward);
    pack_number(&pack, "session", (uint32_t)connection->session);
    pack_number(&pack, "seq", (uint32_t)connection->seq);
    pack_floats(&pack, "obs", load_observation(connection->seq), load_dim());
    pack_floats(&pack, "action", executed, SHAPE_ACTION);
    pack_key(&pack, "reward");
    pack.bytes[pack.size++] = 0xca;
    frame_write_header(pack.bytes + pack.size, reward);
    pack.size += 4;
    // Binary, final; a length of 16 bits; masked, with zeros: that leaves the bytes as they are.
    const uint8_t header[] = {0x82, 0x80 | 126, (uint8_t)(pack.size >> 8), (uint8_t)pack.size, 0, 0, 0, 0};
    put(connection, header, sizeof header);
    put(connection, pack.bytes, pack.size);
}

static int take_websocket(struct load_connection *connection)
{
    const uint8_t *in = frame_buffer_data(&connection->in);
    size_t size = frame_buffer_size(&connection->in), header = 2;
    if (size < 2)
        return 0;
    size_t length = in[1] & 0x7f;
    if (length == 126) {
        header = 4;
        length = size < 4 ? 0 : (size_t)in[2] << 8 | in[3];
    }
    if (in[0] != 0x82)
        load_die("the websocket server sends no answer (frame %02x)", in[0]);
    if (size < header + length || size < header)
        return 0;
    frame_buffer_consume(&connection->in, header + length);
    return 1;
}

const struct load_wire wire_websocket = {"the websocket server", begin_websocket, ask_websocket, take_websocket, NULL};
