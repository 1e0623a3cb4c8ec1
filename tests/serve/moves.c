// Sessions as messages: saved, restored, handed over between two daemons in the middle of their life; and a long life in
// which everything happens that can, with the same belief at every step.
#include "world.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/suite.h"

static struct world here, there;
static struct life life;

static void set_up(void)
{
    world_init(&here);
    world_init(&there);
    world_start(&here);
    world_start(&there);
    life_begin(&life, &here, "robot", 7);
}

static void tear_down(void)
{
    life_end(&life);
    world_release(&here);
    world_release(&there);
}

static void live(int steps)
{
    life_act(&life);
    for (int i = 0; i < steps; i++)
        life_step(&life);
}

static struct caller operator_of(struct world *world)
{
    const struct peer who = {.text = "operator", .identity = {.role = WIRE_ROLE_ADMIN}, .is_control = 1};
    return peer_connect_as(world->server, &who);
}

static struct wire_envelope hand_over(enum wire_phase phase, const char *to)
{
    return (struct wire_envelope){.kind = WIRE_HAND_OVER, .hand_over = {life.name, phase, to}};
}

static struct wire_envelope restore_of(const struct wire_session_state *state)
{
    return (struct wire_envelope){.kind = WIRE_RESTORE, .restore = {state}};
}

// The life's session goes to the other world, as beliefctl does it.
static void move(void)
{
    struct world *to = life.world == &here ? &there : &here;
    struct caller from_operator = operator_of(life.world), to_operator = operator_of(to);
    struct wire_envelope frozen = peer_ask(&from_operator, hand_over(WIRE_FREEZE, ""));
    ck_assert_int_eq(frozen.kind, WIRE_SESSION_STATE);
    ck_assert_uint_eq(frozen.session_state.epoch, life.epoch + 1);
    life_check(&life, frozen.session_state.digest);
    peer_refused(&life.caller, robot_step(&life.robot, life.handle, life.seq + 1), WIRE_BUSY, "session");
    struct wire_envelope opened = peer_ask(&to_operator, restore_of(&frozen.session_state));
    if (opened.kind == WIRE_ERROR)
        ck_abort_msg("%s: %s", opened.error.field, opened.error.message);
    life_check(&life, opened.opened.digest);
    ck_assert_int_eq(peer_ask(&from_operator, hand_over(WIRE_CONFIRM, "unix:/there")).kind, WIRE_SESSION_STATE);
    // The client finds out where it went, by handle and by name, and follows with the epoch it had.
    struct wire_envelope step = robot_step(&life.robot, life.handle, life.seq + 1);
    ck_assert_str_eq(peer_refused(&life.caller, step, WIRE_MOVED, "session").address, "unix:/there");
    struct wire_envelope open = {.kind = WIRE_OPEN, .open = {.session = life.name, .model = "small"}};
    peer_refused(&life.caller, open, WIRE_MOVED, "session");
    life_leave(&life);
    life.world = to;
    life.caller = peer_connect(to->server);
    open.open.epoch = life.epoch;
    struct wire_envelope follow = peer_ask(&life.caller, open);
    ck_assert_int_eq(follow.kind, WIRE_OPENED);
    ck_assert_uint_eq(follow.opened.epoch, life.epoch + 2);
    ck_assert_uint_eq(follow.opened.seq, life.seq);
    life.epoch = follow.opened.epoch;
    life.handle = follow.opened.handle;
    peer_free(&from_operator);
    peer_free(&to_operator);
}

START_TEST(a_session_moves_in_the_middle_of_its_life)
{
    life_open(&life);
    live(20);
    struct wire_action told = life_step(&life);
    float action[16];
    memcpy(action, told.action.values, told.action.count * sizeof(float));
    move();
    // The last Step again, the next one without saying what was executed: as if nothing had happened.
    struct wire_action again = life_step_as(&life, life.seq, WIRE_STATUS_DUPLICATE);
    ck_assert_mem_eq(again.action.values, action, again.action.count * sizeof(float));
    struct wire_envelope step = robot_step(&life.robot, life.handle, ++life.seq);
    step.step.action.values = action;
    struct observation_item item = {
        .belief = &life.expected, .observation = life.robot.observation, .action = action,
        .next_observation = life.robot.next, .reward = life.robot.reward};
    agent_observe(life.model, life.scratch, &item, 1);
    step.step.action.count = 0;
    struct wire_envelope reply = peer_ask(&life.caller, step);
    ck_assert_int_eq(reply.kind, WIRE_ACTION);
    life_check(&life, reply.action.digest);
    for (int i = 0; i < 10; i++)
        life_step(&life);
    // And it outlives a death there, and the way back.
    life_forget_caller(&life);
    world_restart(&there);
    life_open(&life);
    move();
    life_step(&life);
    ck_assert_uint_eq(here.server->sessions.count, 1);
    ck_assert_uint_eq(there.server->sessions.count, 0);
}
END_TEST

START_TEST(a_hand_over_that_nobody_ends_ends_itself)
{
    life_open(&life);
    live(5);
    struct caller operator = operator_of(&here);
    peer_refused(&operator, hand_over(WIRE_CONFIRM, "unix:/there"), WIRE_INVALID, "phase");
    ck_assert_int_eq(peer_ask(&operator, hand_over(WIRE_FREEZE, "")).kind, WIRE_SESSION_STATE);
    peer_refused(&operator, hand_over(WIRE_FREEZE, ""), WIRE_BUSY, "session");
    peer_refused(&operator, hand_over(WIRE_CONFIRM, ""), WIRE_INVALID, "to");
    peer_refused(&operator, hand_over((enum wire_phase)9, ""), WIRE_INVALID, "phase");
    struct wire_envelope step = robot_step(&life.robot, life.handle, life.seq + 1);
    peer_refused(&life.caller, step, WIRE_BUSY, "session");
    ck_assert_int_eq(peer_ask(&operator, hand_over(WIRE_THAW, "")).kind, WIRE_SESSION_STATE);
    life_step(&life);
    ck_assert_int_eq(peer_ask(&operator, hand_over(WIRE_FREEZE, "")).kind, WIRE_SESSION_STATE);
    peer_now_us += 10000000;
    life_step(&life);
    peer_refused(&operator, hand_over(WIRE_CONFIRM, "unix:/there"), WIRE_INVALID, "phase");
    struct wire_envelope nobody = {.kind = WIRE_HAND_OVER, .hand_over = {"nobody", WIRE_FREEZE, ""}};
    peer_refused(&operator, nobody, WIRE_UNKNOWN_SESSION, "session");
    peer_free(&operator);
}
END_TEST

START_TEST(for_an_hour_clients_are_told_where_a_session_went)
{
    life_open(&life);
    live(3);
    move();
    struct caller caller = peer_connect(here.server);
    struct wire_envelope open = {.kind = WIRE_OPEN, .open = {.session = "robot", .model = ""}};
    peer_refused(&caller, open, WIRE_MOVED, "session");
    peer_now_us += 3600000000;
    struct wire_opened opened = peer_open(&caller, "robot", "");
    ck_assert_int_eq(opened.resumed, 0);
    peer_free(&caller);
    life_leave(&life);
}
END_TEST

// A copy whose arrays the test may change.
struct copy {
    struct wire_session_state state;
    float observation[64], action[16];
    uint64_t numbers[8];
    struct wire_writer_state writers[3];
    struct wire_bytes sums[HEAD_COUNT];
    uint8_t bytes[HEAD_COUNT][1 << 16];
    uint8_t digest[WIRE_DIGEST_SIZE];
};

static void copy_state(struct copy *copy, struct wire_session_state told)
{
    const struct wire_session_state *state = &told;
    copy->state = *state;
    memcpy(copy->observation, state->observation.values, state->observation.count * sizeof(float));
    memcpy(copy->action, state->action.values, state->action.count * sizeof(float));
    memcpy(copy->numbers, state->writers[0].seen.numbers, state->writers[0].seen.count * sizeof(uint64_t));
    memcpy(copy->digest, state->digest.bytes, WIRE_DIGEST_SIZE);
    copy->writers[0] = (struct wire_writer_state){0, {copy->numbers, state->writers[0].seen.count}};
    for (int h = 0; h < HEAD_COUNT; h++) {
        memcpy(copy->bytes[h], state->sums[h].bytes, state->sums[h].size);
        copy->sums[h] = (struct wire_bytes){copy->bytes[h], state->sums[h].size};
    }
    copy->state.observation.values = copy->observation;
    copy->state.action.values = copy->action;
    copy->state.writers = copy->writers;
    copy->state.sums = copy->sums;
    copy->state.digest.bytes = copy->digest;
    copy->state.session = "robot";
    copy->state.identity = "";
    copy->state.model = "small";
    copy->state.model_digest = life.model->digest;
}

static void put_two_writers(struct copy *copy)
{
    copy->writers[1] = copy->writers[0];
    copy->state.writer_count = 2;
}

static void swap_interval(struct copy *copy) { copy->numbers[0] = copy->numbers[1] + 1; }
static void cut_interval(struct copy *copy) { copy->writers[0].seen.count = 1; }
static void begin_with_nothing(struct copy *copy) { copy->numbers[0] = 0; }
static void put_version(struct copy *copy) { copy->state.version = 2; }
static void put_name(struct copy *copy) { copy->state.session = "a b"; }
static void put_epoch(struct copy *copy) { copy->state.epoch = 0; }
static void put_huge_epoch(struct copy *copy) { copy->state.epoch = UINT64_MAX; }
static void put_task(struct copy *copy) { copy->state.task = 0; }
static void put_seq(struct copy *copy) { copy->state.seq = copy->state.last_transition - 1; }
static void put_count(struct copy *copy) { copy->state.count++; }
static void put_huge_count(struct copy *copy) { copy->state.count = 1000; }
static void put_digest(struct copy *copy) { copy->digest[3] ^= 1; }
static void cut_digest(struct copy *copy) { copy->state.digest.size = 15; }
static void put_nan(struct copy *copy) { copy->observation[1] = NAN; }
static void cut_observation(struct copy *copy) { copy->state.observation.count--; }
static void put_infinity(struct copy *copy) { copy->action[0] = INFINITY; }
static void cut_action(struct copy *copy) { copy->state.action.count--; }
static void cut_sums(struct copy *copy) { copy->state.sums_count = 1; }
static void damage_sums(struct copy *copy) { copy->bytes[1][copy->sums[1].size / 2] ^= 4; }
static void empty_sums(struct copy *copy) { copy->sums[0].size = 0; }
static void put_unknown_model(struct copy *copy) { copy->state.model = "nothing"; copy->state.model_digest = "00"; }
static void put_other_model(struct copy *copy) { copy->state.model_digest = "00"; }

START_TEST(a_state_that_contradicts_itself_is_refused_by_field)
{
    static const struct {
        void (*change)(struct copy *copy);
        enum wire_error_code code;
        const char *field;
    } cases[] = {
        {put_version, WIRE_INVALID, "state.version"},
        {put_name, WIRE_INVALID, "session"},
        {put_epoch, WIRE_INVALID, "state.epoch"},
        {put_huge_epoch, WIRE_INVALID, "state.epoch"},
        {put_task, WIRE_INVALID, "state.task"},
        {put_seq, WIRE_INVALID, "state.seq"},
        {put_count, WIRE_INVALID, "state.sums"},
        {put_huge_count, WIRE_INVALID, "state.count"},
        {put_digest, WIRE_INVALID, "state.digest"},
        {cut_digest, WIRE_INVALID, "state.digest"},
        {put_nan, WIRE_INVALID, "state.observation"},
        {cut_observation, WIRE_INVALID, "state.observation"},
        {put_infinity, WIRE_INVALID, "state.action"},
        {cut_action, WIRE_INVALID, "state.action"},
        {cut_sums, WIRE_INVALID, "state.sums"},
        {damage_sums, WIRE_INVALID, "state.sums"},
        {empty_sums, WIRE_INVALID, "state.sums"},
        {put_two_writers, WIRE_INVALID, "state.writers"},
        {swap_interval, WIRE_INVALID, "state.writers"},
        {cut_interval, WIRE_INVALID, "state.writers"},
        {begin_with_nothing, WIRE_INVALID, "state.writers"},
        {put_unknown_model, WIRE_UNKNOWN_MODEL, "state.model"},
        {put_other_model, WIRE_WRONG_MODEL, "state.model_digest"},
    };
    static struct copy copy;
    life_open(&life);
    live(8);
    struct wire_envelope save = {.kind = WIRE_SAVE, .save = {"robot"}};
    struct caller caller = peer_connect(there.server);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        copy_state(&copy, peer_ask(&life.caller, save).session_state);
        cases[i].change(&copy);
        peer_refused(&caller, restore_of(&copy.state), cases[i].code, cases[i].field);
        ck_assert_uint_eq(there.server->sessions.count, 0);
    }
    static const uint64_t one[] = {5, 5};
    static struct wire_writer_state many[5];
    for (uint32_t i = 0; i < 5; i++)
        many[i] = (struct wire_writer_state){i, {one, 2}};
    copy_state(&copy, peer_ask(&life.caller, save).session_state);
    copy.state.writers = many;
    copy.state.writer_count = 5;
    peer_refused(&caller, restore_of(&copy.state), WIRE_LIMIT, "state.writers");
    peer_refused(&caller, restore_of(NULL), WIRE_INVALID, "state");
    // As it was it is taken, once.
    copy_state(&copy, peer_ask(&life.caller, save).session_state);
    struct wire_envelope reply = peer_ask(&caller, restore_of(&copy.state));
    ck_assert_int_eq(reply.kind, WIRE_OPENED);
    life_check(&life, reply.opened.digest);
    peer_refused(&caller, restore_of(&copy.state), WIRE_FENCED, "state.epoch");
    copy.state.epoch++;
    ck_assert_int_eq(peer_ask(&caller, restore_of(&copy.state)).kind, WIRE_OPENED);
    ck_assert_uint_eq(there.server->sessions.count, 1);
    // Of somebody else it is not taken.
    copy.state.session = "annas";
    copy.state.identity = "anna";
    peer_refused(&caller, restore_of(&copy.state), WIRE_PERMISSION, "state.identity");
    peer_free(&caller);
}
END_TEST

// Everything that can happen to a session, in an order that nobody would think of.
START_TEST(whatever_happens_the_belief_is_the_sum)
{
    struct random_stream dice = random_stream((uint64_t)_i + 1, 2, 3, 4);
    uint64_t late[4] = {0, 0, 0, 0};  // next number of writers 1 .. 3
    int standing = 0, kinds[9] = {0};
    life_open(&life);
    for (int i = 0; i < 300; i++) {
        unsigned kind = (unsigned)random_below(&dice, 20);
        kind = kind < 10 ? 0 : kind - 9;
        struct wire_envelope reply;
        switch (kind) {
        case 0:
            if (standing)
                life_step(&life);
            else
                life_act(&life);
            standing = 1;
            break;
        case 1:
            if (standing && life.seq > 1 && life.robot.seed)
                peer_ask(&life.caller, robot_step(&life.robot, life.handle, life.seq));
            break;
        case 2: {
            uint32_t writer = 1 + (uint32_t)random_below(&dice, 3);
            uint64_t count = 1 + random_below(&dice, 5);
            reply = life_observe(&life, writer, late[writer] + 1, late[writer] + count);
            ck_assert_int_eq(reply.kind, WIRE_OBSERVED);
            for (uint64_t seq = late[writer] + 1; seq <= late[writer] + count; seq++)
                life_expect(&life, writer, seq);
            late[writer] += count;
            life_check(&life, reply.observed.digest);
            // Again, with one that was there before.
            life_check(&life, life_observe(&life, writer, late[writer], late[writer]).observed.digest);
            break;
        }
        case 3:
            life_forget_caller(&life);
            world_restart(life.world);
            life_open(&life);
            break;
        case 4:
            life_leave(&life);
            peer_now_us += 2000000;
            for (int turn = 0; turn < 20000 && life.world->server->sessions.count > 0; turn++) {
                server_tick(life.world->server, peer_now_us);
                usleep(500);
                server_take_mail(life.world->server, peer_now_us);
            }
            ck_assert_uint_eq(life.world->server->sessions.count, 0);
            life_open(&life);
            break;
        case 5:
            move();
            break;
        case 6:
            life_reset(&life);
            standing = 0;
            break;
        case 7: {  // an episode ends and another begins
            if (!standing)
                break;
            struct wire_envelope last = robot_step(&life.robot, life.handle, ++life.seq);
            last.step.last = 1;
            life_expect(&life, 0, life.seq);
            reply = peer_ask(&life.caller, last);
            ck_assert_int_eq(reply.action.status, WIRE_STATUS_ABSORBED);
            standing = 0;
            break;
        }
        default:  // while the daemon was away the robot went on
            reply = life_observe(&life, 0, life.seq + 1, life.seq + 3);
            if (reply.kind == WIRE_ERROR)
                ck_abort_msg("%s: %s", reply.error.field, reply.error.message);
            for (int k = 0; k < 3; k++)
                life_expect(&life, 0, ++life.seq);
            life_check(&life, reply.observed.digest);
            standing = 0;
            break;
        }
        // An Act is in memory alone: after a restart an Act comes again.
        if (kind == 3 && standing && life.world->server->sessions.first->seq != life.seq) {
            life.seq = life.world->server->sessions.first->seq;
            standing = 0;
        }
        kinds[kind < 8 ? kind : 8]++;
        reply = peer_ask(&life.caller, (struct wire_envelope){.kind = WIRE_GET_BELIEF, .get_belief = {.handle = life.handle}});
        ck_assert_int_eq(reply.kind, WIRE_BELIEF);
        life_check(&life, reply.belief.digest);
    }
    for (int k = 0; k < 9; k++)
        ck_assert_int_gt(kinds[k], 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("moves");
    SUITE_TEST_WITH(suite, a_session_moves_in_the_middle_of_its_life, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_hand_over_that_nobody_ends_ends_itself, set_up, tear_down);
    SUITE_TEST_WITH(suite, for_an_hour_clients_are_told_where_a_session_went, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_state_that_contradicts_itself_is_refused_by_field, set_up, tear_down);
    suite_add(suite, "whatever_happens_the_belief_is_the_sum", whatever_happens_the_belief_is_the_sum, 3, set_up,
              tear_down);
    return suite_finish(suite);
}
