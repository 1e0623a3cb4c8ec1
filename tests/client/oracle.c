// An oracle served by the real daemon to the client library and to bel-rollout: every action has the bits of the agent that
// knows the task, through kills and a new task.
//
//     test_client_oracle BELIEFD BEL-ROLLOUT
#include "tests/agent/sample.h"
#include "tests/end_to_end/process.h"
#include "tests/support/json_line.h"
#include "tests/support/suite.h"

#include "client/bel.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { OBS = 2, ACT = 2, TASK = 2 };

static const char *rollout;
static struct daemon daemon_under_test;
static struct model *model;
static struct agent_scratch *scratch;
static struct bel *bel;

static void begin(void)
{
    struct model_shape shape = sample_oracle();
    char why[256] = "";
    shape.observation_dim = OBS;
    shape.action_dim = ACT;
    model = sample_model(&shape, 7);
    ck_assert_uint_eq(model->task_dim, TASK);
    scratch = agent_scratch_new(model);
    daemon_start(&daemon_under_test, &model, 1, "data_directory = @/log\n");
    struct bel_options options = {.deadline_ms = 20000};
    ck_assert_msg(bel_connect(&bel, daemon_under_test.unix_address, &options, why, sizeof why) == 0, "%s", why);
}

static void end(void)
{
    bel_disconnect(bel);
    daemon_release(&daemon_under_test);
    agent_scratch_free(scratch);
    model_free(model);
}

static void kill_and_start(void)
{
    process_signal(&daemon_under_test.process, SIGKILL);
    process_wait(&daemon_under_test.process, 60);
    process_release(&daemon_under_test.process);
    daemon_restart(&daemon_under_test);
}

static void check_action(const float *told, const float *observation, const float *task)
{
    float action[ACT];
    struct agent_belief nothing = {0};
    struct action_item item = {.belief = &nothing, .observation = observation, .task = task, .action = action};
    agent_act(model, scratch, &item, 1);
    ck_assert_int_eq(item.error, 0);
    ck_assert_mem_eq(told, action, sizeof action);
}

// An episode of some steps in that task, the daemon killed in the middle of it.
static void live(struct bel_session *session, const float *task, int steps)
{
    float observation[OBS] = {0.1f, -0.2f}, action[ACT];
    struct bel_report report;
    ck_assert_msg(bel_act(session, observation, action, NULL) == 0, "%s", bel_error(bel));
    check_action(action, observation, task);
    for (int i = 0; i < steps; i++) {
        if (i == steps / 2)
            kill_and_start();
        observation[i % OBS] += 0.05f * (float)i - action[0];
        ck_assert_msg(bel_step(session, NULL, 0.5f, observation, action, &report) == 0, "%s", bel_error(bel));
        check_action(action, observation, task);
    }
}

START_TEST(a_robot_that_told_its_task_gets_an_oracles_actions_through_kills)
{
    static const float first[] = {0.5f, -1}, second[] = {-0.25f, 2};
    float task[TASK];
    struct bel_session *session;
    begin();
    memcpy(task, first, sizeof task);
    struct bel_open open = {.id = "robot", .task = task, .task_dim = TASK};
    ck_assert_msg(bel_open(bel, &open, &session) == 0, "%s", bel_error(bel));
    memset(task, 0, sizeof task);  // the caller's array was only lent
    ck_assert_str_eq(bel_session_model(session)->kind, "oracle");
    live(session, first, 10);
    ck_assert_int_eq(bel_reset_task(session), BEL_INVALID);
    ck_assert_ptr_nonnull(strstr(bel_error(bel), "told the task"));
    ck_assert_msg(bel_reset_task_to(session, second) == 0, "%s", bel_error(bel));
    ck_assert_uint_eq(bel_session_task(session), 2);
    live(session, second, 10);
    kill_and_start();
    live(session, second, 10);
    ck_assert_int_eq(bel_close(session, 0), 0);
    end();
}
END_TEST

START_TEST(a_task_that_is_not_one_is_refused_with_the_reason)
{
    static const float task[] = {1, 2, 3}, bad[] = {NAN, 1};
    const struct {
        const float *task;
        size_t dim;
        const char *says;
    } cases[] = {{NULL, 0, "must be told the task, 2 numbers"}, {task, 3, "3 numbers, not 2"},
                 {task, 1, "1 numbers, not 2"}, {bad, 2, "not finite"}};
    begin();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bel_session *session;
        struct bel_open open = {.id = "robot", .task = cases[i].task, .task_dim = cases[i].dim};
        ck_assert_int_eq(bel_open(bel, &open, &session), BEL_INVALID);
        ck_assert_msg(strstr(bel_error(bel), cases[i].says) && strstr(bel_error(bel), "told_task"), "%s", bel_error(bel));
    }
    end();
}
END_TEST

START_TEST(a_rollout_tells_each_robot_its_task)
{
    begin();
    char picture[96], text[4096] = "";
    snprintf(picture, sizeof picture, "%s/picture.svg", daemon_under_test.directory);
    struct process process;
    process_start(&process, daemon_under_test.directory, (const char *[]){
        rollout, "--world", "point", "--count", "5", "--connect", daemon_under_test.unix_address, "--json", "--svg",
        picture, NULL});
    int code = process_wait(&process, 60);
    ck_assert_msg(code == 0 && strstr(process.output, "told their task"), "exit code %d: %s", code, process_words(&process));
    cJSON *summary = json_last_line(process.output);
    ck_assert_double_eq(json_number(summary, "transitions"), 5 * 100);
    ck_assert_double_eq(json_number(summary, "lost"), 0);
    cJSON_Delete(summary);
    process_release(&process);
    FILE *file = fopen(picture, "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_gt(fread(text, 1, sizeof text - 1, file), 0);
    fclose(file);
    ck_assert_ptr_nonnull(strstr(text, "5 robots are told the goal"));
    process_start(&process, daemon_under_test.directory, (const char *[]){
        rollout, "--world", "point", "--count", "1", "--connect", daemon_under_test.unix_address, "--compare", NULL});
    ck_assert_int_eq(process_wait(&process, 60), 1);
    ck_assert_msg(strstr(process.output, "has no belief to hold at the prior"), "%s", process_words(&process));
    process_release(&process);
    end();
}
END_TEST

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "test_client_oracle BELIEFD BEL-ROLLOUT\n");
        return 2;
    }
    beliefd_path = argv[1];
    rollout = argv[2];
    Suite *suite = suite_create("client of an oracle");
    SUITE_TEST(suite, a_robot_that_told_its_task_gets_an_oracles_actions_through_kills);
    SUITE_TEST(suite, a_task_that_is_not_one_is_refused_with_the_reason);
    SUITE_TEST(suite, a_rollout_tells_each_robot_its_task);
    return suite_finish(suite);
}
