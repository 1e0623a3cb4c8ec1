// The client with the real daemon, and the programs that stand on it.
//
//     test_client_daemon BELIEFD BEL-ROLLOUT BEL-BENCH
#include "tests/agent/sample.h"
#include "tests/support/json_line.h"
#include "tests/support/suite.h"

#include "client/bel.h"

#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OBS = 2, ACT = 2, TASK = 2, TRANSITIONS = 60, READY_MS = 60000 };

static const char *beliefd, *rollout, *bench;
static char directory[64], address[128], model_path[128];
static pid_t daemon_pid;
static struct model *model;
static struct bel *bel;

// ---- Set-up ---------------------------------------------------------------------------------------------------

static void start_daemon(void)
{
    int ready[2];
    ck_assert_int_eq(pipe(ready), 0);
    daemon_pid = fork();
    if (daemon_pid == 0) {
        char number[16];
        snprintf(number, sizeof number, "%d", ready[1]);
        dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
        execl(beliefd, beliefd, "--listen", address, "--model", model_path, "--ready-fd", number, (char *)NULL);
        _exit(127);
    }
    close(ready[1]);
    char word[8];
    ck_assert_int_eq(poll(&(struct pollfd){ready[0], POLLIN, 0}, 1, READY_MS), 1);
    ck_assert_msg(read(ready[0], word, sizeof word) == 6, "%s does not start", beliefd);
    close(ready[0]);
}

// Continued first, if it was stopped: a SIGCONT that comes while it ends would take back the stop by which the leak
// checker of a sanitized build holds it, and both would wait for ever.
static void stop_daemon(int number)
{
    kill(daemon_pid, SIGCONT);
    kill(daemon_pid, number);
    waitpid(daemon_pid, NULL, 0);
}

static struct bel *join(uint32_t deadline_ms)
{
    char why[256] = "";
    struct bel *joined;
    struct bel_options options = {.deadline_ms = deadline_ms};
    ck_assert_msg(bel_connect(&joined, address, &options, why, sizeof why) == 0, "%s", why);
    return joined;
}

static void begin(void)
{
    snprintf(directory, sizeof directory, "/tmp/bel-test.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(address, sizeof address, "unix:%s/socket", directory);
    snprintf(model_path, sizeof model_path, "%s/model", directory);
    struct model_shape shape = sample_small;
    shape.observation_dim = OBS;
    shape.action_dim = ACT;
    model = sample_model(&shape, 7);
    model->provenance = strdup("{\"evaluation\":{\"oracle\":[-3.5,-4.5]}}");
    ck_assert_int_eq(model_save(model, model_path), 0);
    start_daemon();
    bel = join(20000);
}

static void end(void)
{
    char command[128];
    bel_disconnect(bel);
    stop_daemon(SIGTERM);
    model_free(model);
    snprintf(command, sizeof command, "rm -rf %s", directory);
    ck_assert_int_eq(system(command), 0);
}

#define ck_ok(call)                                                                                       \
    do {                                                                                                  \
        int ok_result = (call);                                                                           \
        ck_assert_msg(ok_result == 0, "%s is %s: %s", #call, bel_result_name(ok_result), bel_error(bel)); \
    } while (0)

static struct bel_session *open_session(struct bel *at, const char *id)
{
    struct bel_session *session;
    int result = bel_open(at, &(struct bel_open){.id = id}, &session);
    ck_assert_msg(result == 0, "%s", bel_error(at));
    return session;
}

// A walk: observation i follows observation i - 1.
static float walk[TRANSITIONS + 1][OBS], executed[TRANSITIONS + 1][ACT], rewards[TRANSITIONS + 1];

static void make_walk(void)
{
    struct random_stream stream = random_stream(3, 0, 0, 0);
    for (int t = 1; t <= TRANSITIONS; t++) {
        for (int i = 0; i < OBS; i++)
            walk[t][i] = walk[t - 1][i] + (float)(0.3 * random_normal(&stream));
        for (int i = 0; i < ACT; i++)
            executed[t][i] = (float)random_between(&stream, -0.4, 0.4);
        rewards[t] = (float)random_normal(&stream);
    }
}

static int step(struct bel_session *session, int t, float *action, struct bel_report *report)
{
    return bel_step(session, executed[t], rewards[t], walk[t], action, report);
}

// ---- Facts ----------------------------------------------------------------------------------------------------

START_TEST(steps_in_order_and_transitions_in_reverse_give_one_digest)
{
    begin();
    struct bel_session *one = open_session(bel, "one"), *other = open_session(bel, "other");
    float action[ACT];
    struct bel_report report, observed;
    ck_ok(bel_act(one, walk[0], action, &report));
    ck_assert_int_eq(report.status, BEL_STATUS_NONE);
    for (int t = 1; t <= TRANSITIONS; t++) {
        ck_ok(step(one, t, action, &report));
        ck_assert_int_eq(report.status, BEL_STATUS_ABSORBED);
        ck_assert_uint_eq(report.count, t);
        ck_assert(report.reward_p >= 0 && report.reward_p <= 1);
        ck_assert(report.transition_p >= 0 && report.transition_p <= 1);
        for (int i = 0; i < ACT; i++)
            ck_assert(action[i] >= model->action_low[i] && action[i] <= model->action_high[i]);
    }
    struct bel_transition list[TRANSITIONS];
    enum bel_status status[TRANSITIONS];
    for (int t = 1; t <= TRANSITIONS; t++)
        list[TRANSITIONS - t] = (struct bel_transition){
            .seq = (uint64_t)t, .observation = walk[t - 1], .action = executed[t], .reward = rewards[t],
            .next_observation = walk[t]};
    for (int twice = 0; twice < 2; twice++) {
        ck_ok(bel_observe(other, 5, list, TRANSITIONS, status, &observed));
        for (int t = 0; t < TRANSITIONS; t++)
            ck_assert_int_eq(status[t], twice ? BEL_STATUS_DUPLICATE : BEL_STATUS_ABSORBED);
        ck_assert_uint_eq(observed.count, TRANSITIONS);
        ck_assert_mem_eq(observed.digest, report.digest, sizeof report.digest);
    }

    // Whole beliefs agree too, to the last bit.
    struct bel_belief beliefs[2];
    double estimate[2][TASK], spread[2][TASK], mean[2][256], variance[2][64], noise[2][64];
    uint8_t sums[2][8192];
    for (int b = 0; b < 2; b++) {
        beliefs[b] = (struct bel_belief){
            .estimate_mean = estimate[b], .estimate_sd = spread[b],
            .heads[BEL_TRANSITION] = {.mean = mean[b], .variance = variance[b], .noise = noise[b]},
            .heads[BEL_REWARD] = {.sums = sums[b], .sums_room = sizeof sums[b]}};
        ck_ok(bel_get_belief(b ? other : one, &beliefs[b]));
        ck_assert_int_eq(beliefs[b].heads[BEL_TRANSITION].features, bel_session_model(one)->transition_features);
        ck_assert_int_eq(beliefs[b].heads[BEL_TRANSITION].targets, OBS);
        ck_assert(isfinite(beliefs[b].heads[BEL_REWARD].log_evidence));
    }
    size_t D = beliefs[0].heads[BEL_TRANSITION].features;
    ck_assert_mem_eq(mean[0], mean[1], D * OBS * sizeof(double));
    ck_assert_mem_eq(variance[0], variance[1], D * sizeof(double));
    ck_assert_mem_eq(noise[0], noise[1], OBS * sizeof(double));
    ck_assert_mem_eq(estimate[0], estimate[1], sizeof estimate[0]);
    ck_assert_mem_eq(spread[0], spread[1], sizeof spread[0]);
    ck_assert_uint_gt(beliefs[0].heads[BEL_REWARD].sums_size, 0);
    ck_assert_uint_eq(beliefs[0].heads[BEL_REWARD].sums_size, beliefs[1].heads[BEL_REWARD].sums_size);
    ck_assert_mem_eq(sums[0], sums[1], beliefs[0].heads[BEL_REWARD].sums_size);
    end();
}
END_TEST

START_TEST(many_together_get_the_actions_that_each_gets_alone)
{
    enum { N = 20 };
    begin();
    struct bel_step steps[N] = {0};
    float together[N][ACT], alone[ACT];
    struct bel_session *single = open_session(bel, "single");
    ck_ok(bel_act(single, walk[0], alone, NULL));
    for (int i = 0; i < N; i++) {
        char id[16];
        snprintf(id, sizeof id, "robot-%d", i);
        steps[i] = (struct bel_step){
            .session = open_session(bel, id), .observation = walk[0], .action = together[i]};
    }
    ck_ok(bel_act_many(bel, steps, N));
    for (int t = 1; t <= 20; t++) {
        struct bel_report report;
        ck_ok(step(single, t, alone, &report));
        for (int i = 0; i < N; i++) {
            steps[i].observation = walk[t];
            steps[i].executed = executed[t];
            steps[i].reward = rewards[t];
        }
        ck_ok(bel_step_many(bel, steps, N));
        for (int i = 0; i < N; i++) {
            ck_assert_mem_eq(together[i], alone, sizeof alone);
            ck_assert_mem_eq(steps[i].report.digest, report.digest, sizeof report.digest);
        }
    }
    end();
}
END_TEST

START_TEST(a_stopped_daemon_times_out_and_its_late_replies_are_thrown_away)
{
    begin();
    struct bel_session *stopped = open_session(bel, "stopped"), *steady = open_session(bel, "steady");
    float action[ACT], expected[ACT];
    struct bel_report report, wanted;
    ck_ok(bel_act(stopped, walk[0], action, NULL));
    ck_ok(bel_act(steady, walk[0], expected, NULL));
    for (int t = 1; t <= TRANSITIONS; t++) {
        ck_ok(step(steady, t, expected, &wanted));
        int pause = t % 20 == 0;
        if (pause) {
            kill(daemon_pid, SIGSTOP);
            bel_set_deadline(bel, 50);
            ck_assert_int_eq(step(stopped, t, action, &report), BEL_TIMEOUT);
            kill(daemon_pid, SIGCONT);
            bel_set_deadline(bel, 20000);
        } else {
            ck_ok(step(stopped, t, action, &report));
            ck_assert_mem_eq(action, expected, sizeof expected);
            ck_assert_mem_eq(report.digest, wanted.digest, sizeof wanted.digest);
        }
    }
    struct bel_belief belief = {0};
    ck_ok(bel_get_belief(stopped, &belief));
    ck_assert_uint_eq(belief.count, TRANSITIONS);
    ck_assert_mem_eq(belief.digest, wanted.digest, sizeof wanted.digest);
    ck_assert_uint_eq(bel_counters(bel).late_replies, TRANSITIONS / 20);
    end();
}
END_TEST

START_TEST(a_daemon_that_comes_back_empty_is_an_error_and_a_new_session_begins_from_the_prior)
{
    begin();
    struct bel_session *session = open_session(bel, "robot"), *fresh = open_session(bel, "fresh");
    float action[ACT];
    ck_ok(bel_act(session, walk[0], action, NULL));
    for (int t = 1; t <= 5; t++)
        ck_ok(step(session, t, action, NULL));
    stop_daemon(SIGKILL);
    start_daemon();
    ck_assert_int_eq(step(session, 6, action, NULL), BEL_LOST);
    ck_assert_ptr_nonnull(strstr(bel_error(bel), "0 transitions instead of 5"));
    ck_ok(bel_act(fresh, walk[0], action, NULL));  // had nothing to lose
    ck_ok(bel_close(session, 0));
    session = open_session(bel, "robot");
    ck_ok(bel_act(session, walk[5], action, NULL));
    ck_ok(step(session, 6, action, NULL));
    ck_assert_uint_eq(bel_session_count(session), 1);
    end();
}
END_TEST

START_TEST(who_opens_last_has_the_session)
{
    begin();
    struct bel *second = join(20000);
    struct bel_session *mine = open_session(bel, "robot");
    float action[ACT];
    ck_ok(bel_act(mine, walk[0], action, NULL));
    ck_ok(step(mine, 1, action, NULL));
    struct bel_session *theirs = open_session(second, "robot");
    ck_assert_int_eq(bel_session_resumed(theirs), 1);
    ck_assert_uint_eq(bel_session_count(theirs), 1);
    ck_assert_int_eq(step(mine, 2, action, NULL), BEL_FENCED);
    ck_assert_int_eq(bel_act(theirs, walk[1], action, NULL), 0);
    ck_assert_int_eq(step(theirs, 2, action, NULL), 0);
    ck_assert_int_eq(step(mine, 2, action, NULL), BEL_FENCED);
    ck_assert_int_eq(step(theirs, 3, action, NULL), 0);
    bel_disconnect(second);
    end();
}
END_TEST

START_TEST(resets_keep_or_drop_the_belief)
{
    begin();
    struct bel_session *session = open_session(bel, "robot");
    float action[ACT], at_prior[ACT];
    struct bel_report report;
    ck_ok(bel_act(session, walk[0], at_prior, &report));
    for (int t = 1; t <= 5; t++)
        ck_ok(step(session, t, action, NULL));
    ck_ok(bel_reset_episode(session));
    ck_assert_int_eq(step(session, 6, action, NULL), BEL_OUT_OF_STEP);
    ck_ok(bel_act(session, walk[0], action, &report));
    ck_assert_uint_eq(report.count, 5);
    ck_ok(bel_reset_task(session));
    ck_ok(bel_act(session, walk[0], action, &report));
    ck_assert_uint_eq(report.count, 0);
    ck_assert_uint_eq(report.task, 2);
    ck_assert_mem_eq(action, at_prior, sizeof action);
    ck_ok(step(session, 1, action, &report));
    ck_assert_int_eq(report.status, BEL_STATUS_ABSORBED);
    end();
}
END_TEST

START_TEST(a_reset_without_answer_happens_once)
{
    begin();
    struct bel_session *session = open_session(bel, "robot");
    float action[ACT];
    struct bel_report report;
    ck_ok(bel_act(session, walk[0], action, NULL));
    ck_ok(step(session, 1, action, NULL));
    kill(daemon_pid, SIGSTOP);
    bel_set_deadline(bel, 50);
    ck_assert_int_eq(bel_reset_task(session), BEL_TIMEOUT);
    ck_assert_int_eq(bel_reset_task(session), BEL_TIMEOUT);
    kill(daemon_pid, SIGCONT);
    bel_set_deadline(bel, 20000);
    ck_ok(bel_act(session, walk[0], action, &report));
    ck_assert_uint_eq(report.task, 2);
    ck_ok(step(session, 1, action, &report));
    ck_assert_int_eq(report.status, BEL_STATUS_ABSORBED);
    ck_assert_uint_eq(report.count, 1);
    end();
}
END_TEST

START_TEST(a_held_prior_acts_as_if_nothing_had_happened_and_learns_all_the_same)
{
    begin();
    struct bel_session *held, *fresh = open_session(bel, "fresh");
    ck_ok(bel_open(bel, &(struct bel_open){.id = "held", .hold_prior = 1}, &held));
    float action[ACT], at_prior[ACT];
    ck_ok(bel_act(held, walk[0], action, NULL));
    for (int t = 1; t <= 10; t++) {
        ck_ok(step(held, t, action, NULL));
        ck_ok(bel_act(fresh, walk[t], at_prior, NULL));
        ck_assert_mem_eq(action, at_prior, sizeof action);
    }
    ck_assert_uint_eq(bel_session_count(held), 10);
    end();
}
END_TEST

START_TEST(refusals_name_what_is_wrong)
{
    begin();
    struct bel_session *session, *robot = open_session(bel, "robot");
    ck_assert_int_eq(bel_open(bel, &(struct bel_open){.id = "x", .model = "nobody"}, &session), BEL_UNKNOWN_MODEL);
    ck_assert_ptr_nonnull(strstr(bel_error(bel), "model"));
    ck_assert_int_eq(bel_open(bel, &(struct bel_open){.id = "no spaces"}, &session), BEL_INVALID);
    ck_assert_ptr_nonnull(strstr(bel_error(bel), "limit 64"));
    float bad[OBS] = {NAN, 0}, action[ACT];
    ck_assert_int_eq(bel_act(robot, bad, action, NULL), BEL_INVALID);
    ck_assert_ptr_nonnull(strstr(bel_error(bel), "observation"));
    ck_ok(bel_act(robot, walk[0], action, NULL));
    ck_assert_int_eq(bel_step(robot, action, 0, bad, action, NULL), BEL_INVALID);
    ck_assert_ptr_nonnull(strstr(bel_error(bel), "observation"));
    ck_assert_int_eq(bel_step(robot, action, INFINITY, walk[1], action, NULL), BEL_INVALID);
    ck_assert_ptr_nonnull(strstr(bel_error(bel), "reward"));
    ck_ok(step(robot, 1, action, NULL));  // a refused step can be put right
    ck_assert_uint_eq(bel_session_count(robot), 1);
    ck_assert_str_eq(bel_session_model(robot)->provenance, "{\"evaluation\":{\"oracle\":[-3.5,-4.5]}}");
    end();
}
END_TEST

// ---- Programs -------------------------------------------------------------------------------------------------

// The last line that a command prints, which must be a JSON object with these keys in this order.
static cJSON *last_line(const char *command, const char *const *keys)
{
    char text[65536];
    FILE *pipe = popen(command, "r");
    ck_assert_ptr_nonnull(pipe);
    size_t size = fread(text, 1, sizeof text - 1, pipe);
    text[size] = 0;
    ck_assert_msg(pclose(pipe) == 0, "%s:\n%s", command, text);
    cJSON *object = json_last_line(text);
    const cJSON *value = object->child;
    for (; *keys; keys++, value = value->next)
        ck_assert_msg(value && strcmp(value->string, *keys) == 0, "%s instead of %s",
                      value ? value->string : "an end", *keys);
    ck_assert_ptr_null(value);
    return object;
}

START_TEST(a_rollout_tells_its_summary_and_draws_its_picture)
{
    static const char *const keys[] = {
        "world", "model", "tasks", "return_first_episode", "return_second_episode", "return_prior",
        "return_oracle", "p50_us", "transitions", "lost", NULL};
    begin();
    char command[1024];
    snprintf(command, sizeof command,
             "%s --world point --count 5 --episodes 2 --seed 4 --connect %s --compare --json --svg %s/belief.svg",
             rollout, address, directory);
    cJSON *summary = last_line(command, keys), *again;
    ck_assert_double_eq(json_number(summary, "tasks"), 5);
    ck_assert_double_eq(json_number(summary, "transitions"), 5 * 2 * 100);
    ck_assert_double_eq(json_number(summary, "lost"), 0);
    ck_assert_double_eq(json_number(summary, "return_oracle"), -4);  // of begin()'s provenance
    again = last_line(command, keys);  // same seed, same tasks, same starts, same answers
    for (int k = 3; k < 6; k++)
        ck_assert_double_eq(json_number(summary, keys[k]), json_number(again, keys[k]));
    cJSON_Delete(summary);
    cJSON_Delete(again);

    // The picture is XML with a panel for each robot; its words are escaped.
    snprintf(command, sizeof command,
             "python3 -c \"import sys, xml.dom.minidom as m; d = m.parse(sys.argv[1]);"
             "assert sum(r.getAttribute('class') == 'panel' for r in d.getElementsByTagName('rect')) == 5;"
             "assert sum(c.getAttribute('class') == 'truth' for c in d.getElementsByTagName('ellipse')) == 6\""
             " %s/belief.svg", directory);
    ck_assert_int_eq(system(command), 0);

    // Nobody's sessions are left.
    snprintf(command, sizeof command,
             "%s --world point --count 1 --episodes 1 --hold-prior --connect %s --json", rollout, address);
    cJSON *held = last_line(command, keys);
    ck_assert(cJSON_IsNull(cJSON_GetObjectItem(held, "return_second_episode")));
    ck_assert(cJSON_IsNull(cJSON_GetObjectItem(held, "return_prior")));
    cJSON_Delete(held);
    end();
}
END_TEST

START_TEST(an_interrupted_rollout_tells_its_summary_so_far)
{
    begin();
    char command[1024], text[65536];
    for (int tenths = 3; tenths < 6; tenths++) {  // after an odd number of steps or an even one
        snprintf(command, sizeof command,
                 "%s --world point --count 3 --pace 5 --json --compare --svg %s/part.svg --connect %s & "
                 "sleep 0.%d; kill -INT $!; wait $!", rollout, directory, address, tenths);
        FILE *pipe = popen(command, "r");
        text[fread(text, 1, sizeof text - 1, pipe)] = 0;
        int status = pclose(pipe);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 130, "ends with %d:\n%s", status, text);
        cJSON *summary = json_last_line(text);
        ck_assert(cJSON_IsNull(cJSON_GetObjectItem(summary, "return_first_episode")));
        ck_assert_double_gt(json_number(summary, "transitions"), 0);
        ck_assert_double_lt(json_number(summary, "transitions"), 3 * 100);
        ck_assert_double_eq(json_number(summary, "lost"), 0);
        cJSON_Delete(summary);
    }
    end();
}
END_TEST

START_TEST(a_rollout_that_cannot_be_says_why_and_with_which_code)
{
    begin();
    static const struct { const char *arguments, *word; int code; } wrong[] = {
        {"--world moon --connect unix:x", "--world list", 2}, {"--world point", "both are needed", 2},
        {"--world point --connect unix:/nonexistent/x", "no connection", 1}, {"--count 0", "1 to 1024", 2},
        {"--world half-cheetah-vel --connect ADDRESS", "for point", 1}, {"--pace -1", "above 0", 2},
        {"--what", "unknown", 2},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char command[1024], text[4096];
        const char *at = strstr(wrong[i].arguments, "ADDRESS");
        snprintf(command, sizeof command, "%s %.*s%s 2>&1", rollout,
                 at ? (int)(at - wrong[i].arguments) : (int)strlen(wrong[i].arguments), wrong[i].arguments,
                 at ? address : "");
        FILE *pipe = popen(command, "r");
        text[fread(text, 1, sizeof text - 1, pipe)] = 0;
        int status = pclose(pipe);
        ck_assert_msg(WEXITSTATUS(status) == wrong[i].code, "%s ends with %d", command, WEXITSTATUS(status));
        ck_assert_msg(strstr(text, wrong[i].word) != NULL, "%s says %s", command, text);
    }
    end();
}
END_TEST

START_TEST(the_benchmark_of_serving_tells_what_it_measured)
{
    static const char *const keys[] = {
        "shape", "echo_p50_us", "step_p50_us", "p50_ratio", "step_p99_us", "step_p999_us", "echo_cpu_us",
        "step_cpu_us", "cpu_ratio", NULL};
    char command[1024];
    snprintf(command, sizeof command, "%s serve --shape s --seconds 0.5 --daemon %s --json", bench, beliefd);
    cJSON *result = last_line(command, keys);
    ck_assert_double_gt(json_number(result, "echo_p50_us"), 0);
    ck_assert_double_ge(json_number(result, "step_p999_us"), json_number(result, "step_p99_us"));
    ck_assert_double_ge(json_number(result, "step_p99_us"), json_number(result, "step_p50_us"));
    double p50 = json_number(result, "step_p50_us") / json_number(result, "echo_p50_us");
    double cpu = json_number(result, "step_cpu_us") / json_number(result, "echo_cpu_us");
    ck_assert_double_eq_tol(json_number(result, "p50_ratio"), p50, 1e-3);
    ck_assert_double_eq_tol(json_number(result, "cpu_ratio"), cpu, 1e-2);
    cJSON_Delete(result);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "test_client_daemon BELIEFD BEL-ROLLOUT BEL-BENCH\n");
        return 2;
    }
    beliefd = argv[1];
    rollout = argv[2];
    bench = argv[3];
    make_walk();
    Suite *suite = suite_create("client and daemon");
    SUITE_TEST(suite, steps_in_order_and_transitions_in_reverse_give_one_digest);
    SUITE_TEST(suite, many_together_get_the_actions_that_each_gets_alone);
    SUITE_TEST(suite, a_stopped_daemon_times_out_and_its_late_replies_are_thrown_away);
    SUITE_TEST(suite, a_daemon_that_comes_back_empty_is_an_error_and_a_new_session_begins_from_the_prior);
    SUITE_TEST(suite, who_opens_last_has_the_session);
    SUITE_TEST(suite, resets_keep_or_drop_the_belief);
    SUITE_TEST(suite, a_reset_without_answer_happens_once);
    SUITE_TEST(suite, a_held_prior_acts_as_if_nothing_had_happened_and_learns_all_the_same);
    SUITE_TEST(suite, refusals_name_what_is_wrong);
    SUITE_TEST(suite, a_rollout_tells_its_summary_and_draws_its_picture);
    SUITE_TEST(suite, an_interrupted_rollout_tells_its_summary_so_far);
    SUITE_TEST(suite, a_rollout_that_cannot_be_says_why_and_with_which_code);
    SUITE_TEST(suite, the_benchmark_of_serving_tells_what_it_measured);
    return suite_finish(suite);
}
