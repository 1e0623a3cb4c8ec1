// Models come and go while sessions live: swapped under load, broken files, sessions that keep the model they began
// with, across restarts too, and sessions that are rebuilt for a new one.
#include "crew.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/serve/log.h"
#include "tests/support/suite.h"

enum { SWAPS = 100, LIFE = 40 };

static struct crew crew;
static struct house_options options;
static char directory[64], models_directory[96], data_directory[96], model_path[128];
static const char *model_paths[] = {model_path};
static struct caller *operator, *client;

static const struct peer control = {.text = "control", .identity = {.role = WIRE_ROLE_ADMIN}, .is_control = 1};

// What a model makes of a robot's life: our own belief of it.
struct witness {
    struct model *model;
    struct agent_scratch *scratch;
    struct agent_belief belief;
    void *memory;
};

// The file of the sample model with that seed, and the model as read from it.
static struct model *write_model_of(enum model_kind kind, const char *path, uint64_t seed)
{
    char why[256];
    struct model_shape shape = sample_kind(kind);
    struct model *made = sample_model(&shape, seed), *read;
    ck_assert_int_eq(model_save(made, path), 0);
    model_free(made);
    ck_assert_msg(model_load(&read, path, why, sizeof why) == 0, "%s", why);
    return read;
}

static struct model *write_model(const char *path, uint64_t seed) { return write_model_of(MODEL_GLIBRL, path, seed); }

static struct witness witness_of_kind(enum model_kind kind, const char *path, uint64_t seed)
{
    struct witness witness = {.model = write_model_of(kind, path, seed)};
    witness.scratch = agent_scratch_new(witness.model);
    witness.belief = sample_belief(witness.model, &witness.memory);
    return witness;
}

static struct witness witness_of(const char *path, uint64_t seed) { return witness_of_kind(MODEL_GLIBRL, path, seed); }

static void witness_free(struct witness *witness)
{
    agent_scratch_free(witness->scratch);
    free(witness->memory);
    model_free(witness->model);
}

static void see(struct witness *witness, uint64_t seed, uint64_t first, uint64_t last)
{
    struct robot robot = {.model = witness->model, .seed = seed};
    for (uint64_t seq = first; seq <= last; seq++) {
        robot_live(&robot, seq);
        struct observation_item item = {.belief = &witness->belief, .observation = robot.observation,
                                        .action = robot.action, .next_observation = robot.next, .reward = robot.reward,
                                        .number = seq};
        agent_observe(witness->model, witness->scratch, &item, 1);
        ck_assert_int_eq(item.status, OBSERVE_ABSORBED);
    }
}

static void check_digest_by(const struct witness *witness, struct wire_bytes digest)
{
    uint8_t expected[WIRE_DIGEST_SIZE];
    digest_bytes(expected, agent_belief_digest(&witness->belief));
    ck_assert_uint_eq(digest.size, sizeof expected);
    ck_assert_mem_eq(digest.bytes, expected, sizeof expected);
}

static void serve(size_t servers)
{
    crew_start(&crew, servers, &options);
    operator = crew_connect(&crew, servers - 1, &control);
    client = crew_connect(&crew, 0, NULL);
}

static void set_up(void)
{
    log_set_level(LOG_ERROR);
    strcpy(directory, "/tmp/test-models-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(models_directory, sizeof models_directory, "%s/models", directory);
    snprintf(data_directory, sizeof data_directory, "%s/data", directory);
    snprintf(model_path, sizeof model_path, "%s/small.safetensors", directory);
    char command[128];
    snprintf(command, sizeof command, "mkdir %s", models_directory);
    ck_assert_int_eq(system(command), 0);
    options = crew_options;
    options.model_paths = model_paths;
    options.model_count = 1;
    options.model_directory = models_directory;
    options.data_directory = data_directory;
    options.durability = WIRE_DURABILITY_INTERVAL;
}

static void tear_down(void)
{
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    ck_assert_int_eq(system(command), 0);
}

static struct wire_opened open_named(struct caller *caller, const char *name, const char *model)
{
    struct wire_envelope reply =
        crew_ask(&crew, caller, (struct wire_envelope){.kind = WIRE_OPEN, .open = {.session = name, .model = model}});
    ck_assert_msg(reply.kind == WIRE_OPENED, "%s", reply.error.message);
    return reply.opened;
}

static struct wire_action tell(uint32_t handle, struct robot *robot, uint64_t seq)
{
    struct wire_envelope reply =
        crew_ask(&crew, client, seq == 1 ? robot_act(robot, handle, 1) : robot_step(robot, handle, seq));
    ck_assert_msg(reply.kind == WIRE_ACTION, "%s", reply.error.message);
    return reply.action;
}

static struct wire_model_list list_models(struct wire_envelope request)
{
    struct wire_envelope reply = crew_ask(&crew, operator, request);
    ck_assert_msg(reply.kind == WIRE_MODEL_LIST, "%s", reply.error.message);
    return reply.model_list;
}

static uint8_t *read_file(const char *path, size_t *size)
{
    static uint8_t bytes[1 << 17];
    FILE *file = fopen(path, "rb");
    *size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    return bytes;
}

static struct wire_envelope loading(const char *path)
{
    struct wire_envelope request = {.kind = WIRE_LOAD_MODEL};
    request.load_model.file.bytes = read_file(path, &request.load_model.file.size);
    return request;
}

static const struct wire_use *use_of(const struct wire_model_list *list, const char *digest)
{
    for (size_t i = 0; i < list->use_count; i++)
        if (!strcmp(list->uses[i].digest, digest))
            return &list->uses[i];
    return NULL;
}

static void refused(struct caller *caller, struct wire_envelope request, enum wire_error_code code, const char *field)
{
    struct wire_envelope reply = crew_ask(&crew, caller, request);
    ck_assert_int_eq(reply.kind, WIRE_ERROR);
    ck_assert_msg(reply.error.code == code, "%s, not %s: %s", wire_error_name(reply.error.code), wire_error_name(code),
                  reply.error.message);
    ck_assert_str_eq(reply.error.field, field);
    ck_assert_str_ne(reply.error.message, "");
}

// A session goes on with the model it began with; who begins after a swap has the new one.
START_TEST(a_model_is_swapped_a_hundred_times_under_load)
{
    struct witness old = witness_of(model_path, 1);
    serve(2);
    char other[160];
    snprintf(other, sizeof other, "%s/other", directory);
    struct robot robot = {.model = old.model, .seed = 7};
    uint32_t handle = open_named(client, "robot", "").handle;
    tell(handle, &robot, 1);
    uint64_t seq = 1;
    for (uint64_t swap = 2; swap < 2 + SWAPS; swap++) {
        struct model *new = write_model(other, swap);
        peer_send(operator, loading(other));
        struct wire_envelope reply;
        do {  // a Step is answered at every moment of the swap
            struct wire_action told = tell(handle, &robot, ++seq);
            ck_assert_int_eq(told.status, WIRE_STATUS_ABSORBED);
            see(&old, 7, seq, seq);
            check_digest_by(&old, told.digest);
        } while (!peer_reply(operator, &reply));
        ck_assert_msg(reply.kind == WIRE_MODEL_LIST, "%s", reply.error.message);
        ck_assert_uint_eq(reply.model_list.model_count, 1);
        ck_assert_str_eq(reply.model_list.models[0].digest, new->digest);
        ck_assert_uint_eq(use_of(&reply.model_list, old.model->digest)->sessions, 1);
        crew_turn(&crew);
        struct wire_opened opened = open_named(client, "brief", "small");
        ck_assert_str_eq(opened.model->digest, new->digest);
        ck_assert_int_eq(crew_ask(&crew, client, (struct wire_envelope){
            .kind = WIRE_CLOSE, .close = {.handle = opened.handle, .forget = 1}}).kind, WIRE_DONE);
        model_free(new);
    }
    // When its last session is gone, a model that is not served goes as well.
    ck_assert_int_eq(crew_ask(&crew, client, (struct wire_envelope){
        .kind = WIRE_CLOSE, .close = {.handle = handle, .forget = 1}}).kind, WIRE_DONE);
    struct wire_model_list list = list_models((struct wire_envelope){.kind = WIRE_LIST_MODELS});
    ck_assert_ptr_null(use_of(&list, old.model->digest));
    ck_assert_uint_eq(list.use_count, 1);
    crew_stop(&crew);
    witness_free(&old);
}
END_TEST

START_TEST(a_broken_file_never_replaces_a_good_one)
{
    struct model *good = write_model(model_path, 1);
    char other[160];
    snprintf(other, sizeof other, "%s/other", directory);
    serve(2);
    // Every prefix of a file, and bytes that are none.
    size_t size;
    uint8_t *bytes = read_file(model_path, &size);
    for (size_t cut = 0; cut < size; cut += size / 13) {
        FILE *file = fopen(other, "wb");
        ck_assert_uint_eq(fwrite(bytes, 1, cut, file), cut);
        fclose(file);
        ck_assert_int_eq(rename(other, model_path), 0);
        struct wire_model_list list = list_models((struct wire_envelope){.kind = WIRE_RELOAD});
        ck_assert_uint_eq(list.refused_count, 1);
        ck_assert_msg(strstr(list.refused[0], model_path) != NULL, "%s", list.refused[0]);
        ck_assert_str_eq(list.models[0].digest, good->digest);
        struct wire_envelope load = {.kind = WIRE_LOAD_MODEL, .load_model.file = {bytes, cut}};
        refused(operator, load, WIRE_INVALID, "file");
    }
    ck_assert_str_eq(open_named(client, "robot", "").model->digest, good->digest);
    // A good file again: it is taken.
    struct model *better = write_model(model_path, 2);
    struct wire_model_list list = list_models((struct wire_envelope){.kind = WIRE_RELOAD});
    ck_assert_uint_eq(list.refused_count, 0);
    ck_assert_str_eq(list.models[0].digest, better->digest);
    model_free(better);
    model_free(good);
    crew_stop(&crew);
}
END_TEST

START_TEST(a_session_comes_back_with_its_model_after_the_file_was_replaced)
{
    struct witness old = witness_of(model_path, 1);
    struct robot robot = {.model = old.model, .seed = 7};
    serve(2);
    uint32_t handle = open_named(client, "robot", "").handle;
    for (uint64_t seq = 1; seq <= LIFE; seq++)
        tell(handle, &robot, seq);
    crew_stop(&crew);
    see(&old, 7, 2, LIFE);
    struct model *new = write_model(model_path, 2);
    serve(2);
    struct wire_opened opened = open_named(client, "robot", "");
    ck_assert_int_eq(opened.resumed, 1);
    ck_assert_uint_eq(opened.seq, LIFE);
    ck_assert_str_eq(opened.model->digest, old.model->digest);
    check_digest_by(&old, opened.digest);
    handle = opened.handle;
    ck_assert_str_eq(open_named(client, "newcomer", "").model->digest, new->digest);
    check_digest_by(&old, tell(handle, &robot, LIFE).digest);  // a retry
    see(&old, 7, LIFE + 1, LIFE + 1);
    check_digest_by(&old, tell(handle, &robot, LIFE + 1).digest);
    struct wire_model_list list = list_models((struct wire_envelope){.kind = WIRE_LIST_MODELS});
    ck_assert_int_eq(use_of(&list, old.model->digest)->serving, 0);
    ck_assert_int_eq(use_of(&list, new->digest)->serving, 1);
    crew_stop(&crew);
    model_free(new);
    witness_free(&old);
}
END_TEST

START_TEST(a_rebuilt_session_has_the_bits_of_a_life_with_the_new_model)
{
    static const enum model_kind kinds[][2] = {
        {MODEL_GLIBRL, MODEL_GLIBRL}, {MODEL_GLIBRL, MODEL_VARIBAD}, {MODEL_RL2, MODEL_RL2}, {MODEL_VARIBAD, MODEL_PEARL}};
    struct model *old = write_model_of(kinds[_i / 2][0], model_path, 1);
    struct robot robot = {.model = old, .seed = 7};
    size_t servers = _i % 2 + 1u;
    serve(servers);
    uint32_t handle = open_named(client, "robot", "").handle;
    uint64_t seq = 0;
    while (seq < LIFE)
        tell(handle, &robot, ++seq);
    // The task before is not in the belief, and will not be in the new one.
    ck_assert_int_eq(crew_ask(&crew, client, (struct wire_envelope){
        .kind = WIRE_RESET, .reset = {.handle = handle, .scope = WIRE_TASK, .task = 1}}).kind, WIRE_DONE);
    uint64_t first = ++seq;
    robot_live(&robot, first);
    ck_assert_int_eq(crew_ask(&crew, client, robot_act(&robot, handle, first)).kind, WIRE_ACTION);
    while (seq < 2 * LIFE + 1200)
        tell(handle, &robot, ++seq);
    struct witness new = witness_of_kind(kinds[_i / 2][1], model_path, 2);
    see(&new, 7, first + 1, seq);
    ck_assert_uint_eq(list_models((struct wire_envelope){.kind = WIRE_RELOAD}).refused_count, 0);
    // It steps on while it is rebuilt. With two servers the operator has it rebuilt on the other one, and its robot may
    // take it back at once.
    peer_send(operator, (struct wire_envelope){.kind = WIRE_REBUILD, .rebuild = {.session = "robot"}});
    struct wire_envelope reply;
    for (int turns = 0; !peer_reply(operator, &reply); turns++) {
        struct wire_action told = tell(handle, &robot, ++seq);
        ck_assert_int_eq(told.status, WIRE_STATUS_ABSORBED);
        see(&new, 7, seq, seq);
        ck_assert_int_lt(turns, 20000);
        if (turns > 100)
            usleep(500);  // a busy machine: the log's thread wants to run too
    }
    if (servers == 2 && reply.kind == WIRE_ERROR && reply.error.code == WIRE_BUSY)
        reply = crew_ask(&crew, operator, (struct wire_envelope){.kind = WIRE_REBUILD, .rebuild = {.session = "robot"}});
    ck_assert_msg(reply.kind == WIRE_DONE, "%s", reply.error.message);
    check_digest_by(&new, reply.done.digest);
    see(&new, 7, seq + 1, seq + 1);
    struct wire_action told = tell(handle, &robot, ++seq);
    check_digest_by(&new, told.digest);
    float action[16];
    struct action_item item = {.belief = &new.belief, .observation = robot.next, .action = action};
    agent_act(new.model, new.scratch, &item, 1);
    ck_assert_mem_eq(told.action.values, action, old->action_dim * sizeof(float));
    crew_stop(&crew);
    serve(servers);
    struct wire_opened opened = open_named(client, "robot", "");
    ck_assert_str_eq(opened.model->digest, new.model->digest);
    check_digest_by(&new, opened.digest);
    crew_stop(&crew);
    witness_free(&new);
    model_free(old);
}
END_TEST

START_TEST(a_session_is_rebuilt_with_a_model_without_a_belief_and_back_but_not_with_one_that_must_be_told_the_task)
{
    struct model *old = write_model(model_path, 1);
    struct robot robot = {.model = old, .seed = 7};
    serve(1);
    uint32_t handle = open_named(client, "robot", "").handle;
    for (uint64_t seq = 1; seq <= LIFE; seq++)
        tell(handle, &robot, seq);
    const struct wire_envelope reload = {.kind = WIRE_RELOAD};
    const struct wire_envelope rebuild = {.kind = WIRE_REBUILD, .rebuild.session = "robot"};
    model_free(write_model_of(MODEL_ORACLE, model_path, 1));
    ck_assert_uint_eq(list_models(reload).refused_count, 0);
    refused(operator, rebuild, WIRE_WRONG_MODEL, "session");
    model_free(write_model_of(MODEL_NONE, model_path, 1));
    ck_assert_uint_eq(list_models(reload).refused_count, 0);
    struct wire_envelope reply = crew_ask(&crew, operator, rebuild);
    ck_assert_msg(reply.kind == WIRE_DONE, "%s", reply.error.message);
    ck_assert_uint_eq(reply.done.count, 0);
    ck_assert_uint_eq(tell(handle, &robot, LIFE + 1).count, 0);
    model_free(write_model(model_path, 1));
    ck_assert_uint_eq(list_models(reload).refused_count, 0);
    reply = crew_ask(&crew, operator, rebuild);
    ck_assert_msg(reply.kind == WIRE_DONE, "%s", reply.error.message);
    ck_assert_uint_eq(reply.done.count, LIFE);
    ck_assert_uint_eq(tell(handle, &robot, LIFE + 2).count, LIFE + 1);
    crew_stop(&crew);
    model_free(old);
}
END_TEST

START_TEST(aliases_follow_their_model_and_go_with_it)
{
    char other[160];
    snprintf(other, sizeof other, "%s/other", directory);
    struct model *first = write_model(model_path, 1);
    serve(2);
    struct model_shape shape = sample_small;
    shape.name = "another";
    struct model *another = sample_model(&shape, 3);
    ck_assert_int_eq(model_save(another, other), 0);
    model_free(another);
    list_models(loading(other));
    struct wire_envelope alias = {.kind = WIRE_ALIAS_MODEL, .alias_model = {"best", "another"}};
    struct wire_model_list list = list_models(alias);
    ck_assert_uint_eq(list.model_count, 2);
    ck_assert_uint_eq(list.alias_count, 1);
    ck_assert_str_eq(list.aliases[0].model, "another");
    crew_turn(&crew);
    ck_assert_str_eq(open_named(client, "a", "best").model->name, "another");
    refused(operator, (struct wire_envelope){.kind = WIRE_ALIAS_MODEL, .alias_model = {"small", "another"}},
            WIRE_INVALID, "alias");
    refused(operator, (struct wire_envelope){.kind = WIRE_ALIAS_MODEL, .alias_model = {"best", "none"}},
            WIRE_UNKNOWN_MODEL, "alias");
    refused(operator, (struct wire_envelope){.kind = WIRE_ALIAS_MODEL, .alias_model = {"../best", "small"}},
            WIRE_INVALID, "alias");
    refused(operator, (struct wire_envelope){.kind = WIRE_UNLOAD_MODEL, .unload_model = {"none"}}, WIRE_UNKNOWN_MODEL,
            "model");
    // What was loaded is there after a restart.
    crew_stop(&crew);
    serve(2);
    list = list_models((struct wire_envelope){.kind = WIRE_LIST_MODELS});
    ck_assert_uint_eq(list.model_count, 2);
    ck_assert_uint_eq(list.alias_count, 1);
    ck_assert_str_eq(list.aliases[0].alias, "best");
    list = list_models((struct wire_envelope){.kind = WIRE_UNLOAD_MODEL, .unload_model = {"another"}});
    ck_assert_uint_eq(list.model_count, 1);
    ck_assert_uint_eq(list.alias_count, 0);
    crew_turn(&crew);
    refused(client, (struct wire_envelope){.kind = WIRE_OPEN, .open = {.session = "b", .model = "best"}},
            WIRE_UNKNOWN_MODEL, "model");
    ck_assert_str_eq(open_named(client, "a", "").model->name, "another");  // who has it keeps it
    refused(operator, (struct wire_envelope){.kind = WIRE_UNLOAD_MODEL, .unload_model = {"small"}}, WIRE_INVALID,
            "model");
    refused(client, (struct wire_envelope){.kind = WIRE_LIST_MODELS}, WIRE_PERMISSION, "");
    crew_stop(&crew);
    model_free(first);
}
END_TEST

START_TEST(sessions_are_listed_from_all_servers_and_from_the_log)
{
    enum { COUNT = 300 };
    model_free(write_model(model_path, 1));
    serve(4);
    char name[16];
    struct caller *callers[4];
    for (size_t i = 0; i < 4; i++)
        callers[i] = crew_connect(&crew, i, NULL);
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "s%03d", (i * 7) % COUNT);
        open_named(callers[i % 4], name, "");
    }
    crew_stop(&crew);
    serve(4);
    for (size_t i = 0; i < 4; i++)
        callers[i] = crew_connect(&crew, i, NULL);
    for (int i = 0; i < COUNT; i += 3) {
        snprintf(name, sizeof name, "s%03d", i);
        open_named(callers[i % 4], name, "");
    }
    char after[16] = "";
    int next = 0, more = 1;
    while (more) {
        struct wire_envelope reply = crew_ask(&crew, operator, (struct wire_envelope){
            .kind = WIRE_LIST_SESSIONS, .list_sessions = {.after = after, .limit = 77}});
        ck_assert_msg(reply.kind == WIRE_SESSION_LIST, "%s", reply.error.message);
        for (size_t i = 0; i < reply.session_list.session_count; i++, next++) {
            const struct wire_session_info *info = &reply.session_list.sessions[i];
            snprintf(after, sizeof after, "s%03d", next);
            ck_assert_str_eq(info->session, after);
            ck_assert_int_eq(info->place, next % 3 == 0 ? WIRE_LIVE : WIRE_SPILLED);
            ck_assert_uint_eq(info->epoch, next % 3 == 0 ? 2 : 1);
            ck_assert_str_eq(info->model, "small");
            if (next % 3 == 0)
                ck_assert_uint_eq(info->loop, (unsigned)next % 4);
        }
        more = reply.session_list.more;
        ck_assert_int_eq(more, next < COUNT);
    }
    ck_assert_int_eq(next, COUNT);
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "s%03d", i);
        struct wire_envelope reply = crew_ask(&crew, operator, (struct wire_envelope){
            .kind = WIRE_LIST_SESSIONS, .list_sessions = {.session = name}});
        ck_assert_uint_eq(reply.session_list.session_count, 1);
        ck_assert_str_eq(reply.session_list.sessions[0].session, name);
    }
    crew_stop(&crew);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("models");
    SUITE_TEST_WITH(suite, a_model_is_swapped_a_hundred_times_under_load, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_broken_file_never_replaces_a_good_one, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_session_comes_back_with_its_model_after_the_file_was_replaced, set_up, tear_down);
    suite_add(suite, "a_rebuilt_session_has_the_bits_of_a_life_with_the_new_model",
              a_rebuilt_session_has_the_bits_of_a_life_with_the_new_model, 8, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_session_is_rebuilt_with_a_model_without_a_belief_and_back_but_not_with_one_that_must_be_told_the_task,
                    set_up, tear_down);
    SUITE_TEST_WITH(suite, aliases_follow_their_model_and_go_with_it, set_up, tear_down);
    SUITE_TEST_WITH(suite, sessions_are_listed_from_all_servers_and_from_the_log, set_up, tear_down);
    return suite_finish(suite);
}
