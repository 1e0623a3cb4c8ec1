// One message of each kind with every field set; see messages.h.

#include "messages.h"

#include <math.h>
#include <stdlib.h>

static const float floats[] = {1.5f, -0.25f, INFINITY, 1e-30f, 7};
static const double doubles[] = {1e300, -1e-300, 0.1};
static const uint8_t digest[WIRE_DIGEST_SIZE] = {1, 2, 3, 0, 255, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
static const uint64_t numbers[] = {1, 127, 129, 1ull << 40, UINT64_MAX - 1, UINT64_MAX};

#define FLOATS(first, number) {floats + (first), (number)}
#define DOUBLES(number) {doubles, (number)}
#define DIGEST {digest, sizeof digest}
#define LIST(list) list, sizeof list / sizeof *list

static const struct wire_model models[] = {
    {"cheetah", "half-cheetah-vel", "abc", 20, 6, 1, FLOATS(0, 2), FLOATS(1, 2), FLOATS(2, 1), 33, 17,
     "{\"seed\":1}", UINT64_MAX, "glibrl", 1},
    {"b", "", "", 1, 2, UINT32_MAX, FLOATS(0, 0), FLOATS(0, 0), FLOATS(0, 0), 0, 0, "", 0, "", 0}};
static const struct wire_transition transitions[] = {
    {1, FLOATS(0, 3), FLOATS(1, 2), 2.5f, FLOATS(2, 3), 0, 0, 0, WIRE_STATUS_NONE},
    {UINT64_MAX, FLOATS(0, 0), FLOATS(0, 0), 0, FLOATS(0, 0), 0, 0, 0, WIRE_STATUS_NONE}};
static const struct wire_transition told[] = {
    {3, FLOATS(0, 3), FLOATS(1, 2), 2.5f, FLOATS(2, 3), 1, 0, UINT32_MAX, WIRE_STATUS_ABSORBED},
    {4, FLOATS(0, 0), FLOATS(1, 2), 0.5f, FLOATS(1, 3), 0, 1, 2, (enum wire_status)200}};
static const enum wire_status statuses[] = {
    WIRE_STATUS_OTHER_TASK, WIRE_STATUS_NONE, WIRE_STATUS_UNDURABLE, (enum wire_status)200};
static const struct wire_head heads[] = {
    {"transition", 3, 2, -12.5, DOUBLES(3), DOUBLES(1), DOUBLES(2), DIGEST},
    {"reward", 1, 1, 0, DOUBLES(0), DOUBLES(0), DOUBLES(0), {NULL, 0}}};
static const struct wire_writer_state writers[] = {{0, {LIST(numbers)}}, {UINT32_MAX, {NULL, 0}}, {7, {numbers, 2}}};
static const struct wire_bytes sums[] = {DIGEST, {NULL, 0}, {digest, 3}};
static const struct wire_session_state state = {
    .version = UINT32_MAX, .session = "robot-7", .identity = "plant-3", .model = "cheetah", .model_digest = "abc",
    .epoch = UINT64_MAX, .task = UINT32_MAX, .seq = UINT64_MAX, .last_transition = UINT64_MAX - 1,
    .standing = 1, .hold_prior = 1, .observation = FLOATS(0, 5), .action = FLOATS(1, 3),
    .writers = writers, .writer_count = 3, .sums = sums, .sums_count = 3,
    .count = UINT64_MAX, .digest = DIGEST, .duplicates = UINT64_MAX, .refused = UINT64_MAX - 2, .opener = UINT64_MAX - 4,
    .hand_overs = UINT32_MAX, .told_task = FLOATS(0, 2)};
static const struct wire_session_info sessions[] = {
    {.session = "robot-7", .model = "cheetah", .model_digest = "abc", .identity = "plant-3",
     .place = WIRE_MOVED_PLACE, .epoch = UINT64_MAX, .task = UINT32_MAX, .seq = 3, .count = 4, .digest = DIGEST,
     .durable_seq = 5, .duplicates = 6, .gaps = 7, .refused = 8, .silent_ms = UINT64_MAX, .peer = "unix:17",
     .last_reward_p = 1e-300, .loop = UINT32_MAX, .kind = "pearl",
     .told_task = FLOATS(1, 3)},
    {.session = "b"}};
static const struct wire_alias aliases[] = {{"best", "cheetah"}, {"", ""}};
static const struct wire_use uses[] = {{"abc", UINT64_MAX, 1}, {"", 0, 0}};
static const char *const refused[] = {"half.safetensors: not a model", ""};

const struct wire_envelope messages[] = {
    {1, WIRE_HELLO, .hello = {"client 1", "s3cret"}},
    {2, WIRE_OPEN, .open = {"robot-7", "cheetah", 1, UINT64_MAX, UINT64_MAX - 3, 1, FLOATS(1, 2)}},
    {3, WIRE_STEP, .step = {70000, UINT64_MAX, 3, FLOATS(0, 5), -2.5f, FLOATS(1, 2), 1, "robot-7", UINT64_MAX}},
    {4, WIRE_OBSERVE, .observe = {5, 6, 7, transitions, 2, "robot-7", 8}},
    {5, WIRE_ACT, .act = {1, 2, FLOATS(0, 4), "robot-7", 3}},
    {6, WIRE_RESET, .reset = {1, WIRE_TASK, 9, "robot-7", UINT64_MAX, FLOATS(2, 3)}},
    {7, WIRE_GET_BELIEF, .get_belief = {1, 1, 0, 1, "robot-7", 2}},
    {8, WIRE_CLOSE, .close = {1, 1, "robot-7", 2, 1}},
    {9, WIRE_PING, .ping = {1}},
    {10, WIRE_SAVE, .save = {"robot-7"}},
    {11, WIRE_RESTORE, .restore = {&state}},
    {33, WIRE_GET_MODEL, .get_model = {"online", UINT32_MAX, UINT64_MAX}},
    {34, WIRE_EXPERIENCE, .experience = {"online", "trainer", 1, UINT64_MAX, UINT64_MAX - 1, 1, UINT32_MAX, 7}},
    {35, WIRE_PUBLISH_MODEL, .publish_model = {DIGEST, "online", "trainer"}},
    {12, WIRE_LIST_SESSIONS, .list_sessions = {"robot-6", UINT32_MAX, "robot-7"}},
    {.request_id = 13, .kind = WIRE_LIST_MODELS},
    {14, WIRE_LOAD_MODEL, .load_model = {DIGEST}},
    {15, WIRE_UNLOAD_MODEL, .unload_model = {"cheetah"}},
    {16, WIRE_ALIAS_MODEL, .alias_model = {"best", "cheetah"}},
    {.request_id = 17, .kind = WIRE_RELOAD},
    {18, WIRE_REBUILD, .rebuild = {"robot-7"}},
    {.request_id = 19, .kind = WIRE_SNAPSHOT},
    {20, WIRE_HAND_OVER, .hand_over = {"robot-7", WIRE_CONFIRM, "tls:plant-4:7700"}},
    {.request_id = 21, .kind = WIRE_DRAIN},
    {.request_id = 22, .kind = WIRE_GET_METRICS},
    {23, WIRE_ERROR, .error = {WIRE_MOVED, "field", "A sentence.", UINT64_MAX, "tls:plant-4:7700"}},
    {24, WIRE_WELCOME, .welcome = {"beliefd 0.1.0", 1, models, 2, 4096, 8, "plant-3", WIRE_ROLE_OBSERVER,
                                   WIRE_DURABILITY_INTERVAL}},
    {25, WIRE_OPENED, .opened = {1, UINT64_MAX, 1, 3, 4, 5, DIGEST, &models[0], 6, WIRE_DURABILITY_ALWAYS}},
    {26, WIRE_ACTION, .action = {UINT64_MAX, FLOATS(0, 4), WIRE_STATUS_DUPLICATE, 5, DIGEST, 6, 0.25, 1e-12, 7, 8,
                                 UINT64_MAX}},
    {27, WIRE_OBSERVED, .observed = {statuses, 4, 9, DIGEST}},
    {28, WIRE_DONE, .done = {1, 2, DIGEST}},
    {29, WIRE_BELIEF, .belief = {1, DIGEST, 2, heads, 2, DOUBLES(2), DOUBLES(1)}},
    {30, WIRE_SESSION_STATE, .session_state = {
        .version = 1, .session = "robot-7", .observation = FLOATS(0, 5), .writers = writers, .writer_count = 2,
        .sums = sums, .sums_count = 1, .count = 9, .digest = DIGEST}},
    {31, WIRE_SESSION_LIST, .session_list = {sessions, 2, 1}},
    {32, WIRE_MODEL_LIST, .model_list = {models, 2, aliases, 2, uses, 2, refused, 2}},
    {36, WIRE_EXPERIENCED, .experienced = {UINT64_MAX, "robot-7", "abc", 5, DIGEST, told, 2, 1}},
    {UINT64_MAX, WIRE_METRICS, .metrics = {"beliefd_sessions 3\n"}},
};
const size_t message_count = sizeof messages / sizeof *messages;

const struct wire_envelope *message_of(enum wire_kind kind)
{
    for (size_t i = 0; i < message_count; i++)
        if (messages[i].kind == kind)
            return &messages[i];
    abort();
}

long message_encode(uint8_t *out, size_t room, const struct wire_envelope *envelope)
{
    static uint8_t memory[MESSAGE_ARENA];
    struct wire_arena arena;
    wire_arena_init(&arena, memory, sizeof memory);
    return wire_encode(out, room, envelope, &arena);
}

int message_decode(struct wire_envelope *envelope, const uint8_t *body, size_t size)
{
    static uint8_t memory[MESSAGE_ARENA];
    struct wire_arena arena;
    wire_arena_init(&arena, memory, sizeof memory);
    return wire_decode(envelope, body, size, &arena);
}
