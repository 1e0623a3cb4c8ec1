// Experiments: what a file expands to and what is said of a bad one; and, with the real program, that cells are
// trained once, go on after a kill with the same numbers, and fail alone.

#include "learner/study/experiment.h"
#include "tests/support/suite.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *bel_learn, *experiments;
static char directory[64];

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

static void enter_directory(void)
{
    strcpy(directory, "/tmp/experiment-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert_int_eq(chdir(directory), 0);
}

static void leave_directory(void)
{
    char command[100];
    ck_assert_int_eq(chdir("/"), 0);
    snprintf(command, sizeof command, "rm -r %s", directory);
    ck_assert_int_eq(system(command), 0);
}

static char *file_text(const char *path)
{
    static char text[1 << 20];
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "%s: %s", path, strerror(errno));
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    return text;
}

// ---- Files ----------------------------------------------------------------------------------------------------

static struct experiment *read_text(const char *text)
{
    struct experiment *experiment;
    char why[600] = "";
    write_file("one.ini", text);
    ck_assert_msg(experiment_read(&experiment, "one.ini", why, sizeof why) == 0, "%s", why);
    return experiment;
}

START_TEST(a_section_is_the_product_of_its_lists_seed_by_seed)
{
    struct experiment *x = read_text("[cells]\nworlds = point gridworld\nmodels = glibrl, none\nseeds = 7 2..3\n"
                                     "[cells wide basis]\nworlds = point\nseeds = 2\nfeatures = 32\nframes = 2e5\n");
    static const char *const names[] = {
        "point.glibrl.ppo.2", "point.none.ppo.2", "gridworld.glibrl.ppo.2", "gridworld.none.ppo.2",
        "point.glibrl.ppo.wide-basis.2",
        "point.glibrl.ppo.3", "point.none.ppo.3", "gridworld.glibrl.ppo.3", "gridworld.none.ppo.3",
        "point.glibrl.ppo.7", "point.none.ppo.7", "gridworld.glibrl.ppo.7", "gridworld.none.ppo.7"};
    ck_assert_str_eq(x->name, "one");
    ck_assert_uint_eq(x->count, sizeof names / sizeof *names);
    for (size_t i = 0; i < x->count; i++)
        ck_assert_str_eq(x->cells[i].name, names[i]);
    ck_assert_str_eq(x->cells[4].variant, "wide basis");
    ck_assert_uint_eq(x->cells[4].frames, 200000);
    experiment_free(x);
}
END_TEST

START_TEST(a_section_goes_before_what_every_cell_has)
{
    struct experiment *x = read_text("[every cell]\nworlds = point\nframes = 1e5\nrate = 1e-3\n"
                                     "[cells]\nrate = 2e-3\n[cells other]\nseeds = 4\n");
    char *first = cell_describe(&x->cells[0]), *second = cell_describe(&x->cells[1]);
    const char *begins = "world = point\nmodel = glibrl\nalgorithm = ppo\nseed = 1\nvariant = \nframes = 100000\n";
    ck_assert_mem_eq(first, begins, strlen(begins));
    begins = "world = point\nmodel = glibrl\nalgorithm = ppo\nseed = 4\nvariant = other\nframes = 100000\n";
    ck_assert_mem_eq(second, begins, strlen(begins));
    ck_assert_ptr_nonnull(strstr(first, "\nrate = 0.002"));
    ck_assert_ptr_nonnull(strstr(second, "\nrate = 0.001"));
    // What nobody said is there too, and what the model does not read is not.
    ck_assert_ptr_nonnull(strstr(first, "\nfeatures = "));
    ck_assert_ptr_null(strstr(first, "\nlatent = "));
    free(first);
    free(second);
    experiment_free(x);
}
END_TEST

START_TEST(numbers_and_not_their_spelling_describe_a_cell)
{
    struct experiment *a = read_text("[cells]\nworlds = point\nframes = 1e5\nrate = 1e-3\n");
    struct experiment *b = read_text("[cells]\nrate = .001 ; a comment\nframes = 100000\nworlds=point\n");
    char *one = cell_describe(a->cells), *other = cell_describe(b->cells);
    ck_assert_str_eq(one, other);
    free(one);
    free(other);
    experiment_free(a);
    experiment_free(b);
}
END_TEST

static int has_argument(const struct experiment_cell *cell, const char *wanted)
{
    char option[CELL_SETTINGS][52];
    const char *argv[CELL_ARGUMENTS];
    size_t argc = cell_arguments(cell, option, argv);
    for (size_t i = 0; i < argc; i++)
        if (!strcmp(argv[i], wanted))
            return 1;
    return 0;
}

START_TEST(an_option_goes_to_the_cells_that_read_it)
{
    struct experiment *x = read_text("[every cell]\nworlds = point\nclip = 0.1\n"
                                     "[cells]\nmodels = glibrl none\ntransition = 4\n[cells b]\nalgorithms = sac\n");
    ck_assert_uint_eq(x->count, 3);
    static const struct { int clip, transition; } wanted[] = {{1, 1}, {1, 0}, {0, 0}};
    for (size_t i = 0; i < x->count; i++) {
        ck_assert_int_eq(has_argument(&x->cells[i], "--clip"), wanted[i].clip);
        ck_assert_int_eq(has_argument(&x->cells[i], "--transition"), wanted[i].transition);
    }
    experiment_free(x);
}
END_TEST

static const struct { const char *text, *sentence; } mistakes[] = {
    {"[cells]\nworlds = point\nseed = 1\n", "one.ini:3: seed: there is no such key in [cells]; was it to be seeds?"},
    {"[cells]\nworlds = point\n\nfraems = 1\n",
     "one.ini:4: fraems: there is no such key in [cells]; was it to be frames?"},
    {"[cells]\nworlds = point\nbasis-raet = 1\n",
     "one.ini:3: basis-raet: there is no such key in [cells]; was it to be basis-rate?"},
    {"[cells]\nworlds = point\nqwertz = 1\n", "one.ini:3: qwertz: there is no such key in [cells]; there are worlds, "
     "models, algorithms, seeds and the options of bel-learn train --help"},
    {"[experiment]\nabuot = x\n", "one.ini:2: abuot: there is no such key in [experiment]; was it to be about?"},
    {"[cels]\nworlds = point\n", "one.ini:1: there is no section [cels]; was it to be [cells]?"},
    {"[cell small]\nworlds = point\n", "one.ini:1: there is no section [cell small]; was it to be [cells]?"},
    {"[cells]\nworlds = poimt\n", "one.ini:2: worlds: there is no world \"poimt\"; was it to be point?"},
    {"[cells]\nworlds = qwertz\n", "one.ini:2: worlds: there is no world \"qwertz\"; known are gridworld, point,"},
    {"[cells]\nworlds = point\nmodels = glibr\n", "one.ini:3: models: --model is one of glibrl"},
    {"[cells]\nworlds = point\nalgorithms = ppp\n", "one.ini:3: algorithms: --algorithm is one of ppo"},
    {"[cells]\nworlds = point\nseeds = 1 x\n",
     "one.ini:3: seeds: whole numbers and stretches such as 1..5, not \"x\""},
    {"[cells]\nworlds = point\nseeds = 5..1\n", "one.ini:3: seeds: \"5..1\" is no stretch"},
    {"[cells]\nworlds = point\nseeds = 1..128 129..256 257..384 385..512 513..640 641..768 769..896 897..1024\n",
     "one.ini:3: seeds: too many"},
    {"[cells]\nworlds = point\nseeds = 1000000000000001..1000000000000128 1000000000000001..1000000000000128\n"
     " 1000000000000001..1000000000000128 1000000000000001..1000000000000086 1 2 3 4 5 6 7 8\n",
     "one.ini:3: seeds: too many"},
    {"[every cell]\nfeatures = 4x\n[cells]\nworlds = point\n",
     "one.ini:2: features: --features takes a whole number from 0 to 256, not \"4x\""},
    {"[cells]\nworlds = point\nenvs = 9e9\n", "one.ini:3: envs: --envs takes a whole number from 1 to 1024"},
    {"[cells]\nworlds = point\nlog = here\n", "one.ini:3: log: bel-learn experiment sees to that itself"},
    {"[cells]\nworlds = point\nrate = 1\nrate = 2\n", "one.ini:4: rate is set a second time in [cells]; the first is at "
     "line 3"},
    {"[cells]\nworlds = point\n[cells]\nseeds = 2\n", "one.ini:3: [cells] is here a second time; it began at line 1"},
    {"[cells]\nworlds = point\n[cells a]\nworlds = point\n[cells a-]\nworlds = gridworld\n[cells a+]\nworlds = point\n"
     "[cells a-b]\nworlds = point\n[cells a+b]\nworlds = point\n",
     "one.ini:11: the cell point.glibrl.ppo.a-b.1 is in the section at line 9 too"},
    {"[cells]\nmodels = none\n", "one.ini:1: [cells] needs worlds, or [every cell] does"},
    {"[experiment]\ntitle = x\n", "one.ini:1: there is no section [cells], so there is nothing to train"},
    {"worlds = point\n", "one.ini:1: worlds belongs to no section"},
    {"[cells]\nworlds = point\nwhat is this\n", "one.ini:3: this is neither \"key = value\" nor a section"},
    {"[every cell]\nworlds = point\nclip = 0.1\n[cells]\nalgorithms = sac\n",
     "one.ini:3: clip: an option of ppo, and no cell reads it (point.glibrl.sac.1 does not)"},
    {"[cells]\nworlds = point\nmodels = none oracle\nfeatures = 4\n[cells a]\nworlds = point\nfeatures = 4\n",
     "one.ini:4: features: an option of glibrl, and no cell reads it (point."},
    {"[cells\nworlds = point\n", "one.ini:1: a section begins with its name in brackets"},
};

START_TEST(a_mistake_is_told_with_file_line_key_and_what_would_be_right)
{
    struct experiment *experiment;
    char why[600] = "";
    write_file("one.ini", mistakes[_i].text);
    ck_assert_int_eq(experiment_read(&experiment, "one.ini", why, sizeof why), -EINVAL);
    ck_assert_msg(!strncmp(why, mistakes[_i].sentence, strlen(mistakes[_i].sentence)), "\nsaid   %s\nwanted %s", why,
                  mistakes[_i].sentence);
}
END_TEST

START_TEST(a_file_that_is_not_there_or_too_long_in_a_line_is_told)
{
    struct experiment *experiment;
    char why[600], text[600] = "[cells]\nworlds = ";
    ck_assert_int_eq(experiment_read(&experiment, "two.ini", why, sizeof why), -ENOENT);
    ck_assert_str_eq(why, "two.ini: No such file or directory");
    memset(text + strlen(text), 'x', 300);
    write_file("one.ini", text);
    ck_assert_int_eq(experiment_read(&experiment, "one.ini", why, sizeof why), -EINVAL);
    ck_assert_msg(!strncmp(why, "one.ini:2: the line is longer than", 34), "%s", why);
}
END_TEST

START_TEST(every_experiment_that_is_shipped_is_understood_and_says_its_budget)
{
    struct dirent **entries;
    int found = scandir(experiments, &entries, NULL, alphasort), read = 0;
    ck_assert_int_gt(found, 0);
    for (int i = 0; i < found; i++) {
        char path[600], why[600] = "";
        size_t length = strlen(entries[i]->d_name);
        struct experiment *experiment;
        snprintf(path, sizeof path, "%s/%s", experiments, entries[i]->d_name);
        if (length > 4 && !strcmp(entries[i]->d_name + length - 4, ".ini")) {
            ck_assert_msg(experiment_read(&experiment, path, why, sizeof why) == 0, "%s", why);
            ck_assert_msg(strstr(file_text(path), "\nbudget = ") != NULL, "%s says no budget", path);
            experiment_free(experiment);
            read++;
        }
        free(entries[i]);
    }
    free(entries);
    ck_assert_int_gt(read, 5);
}
END_TEST

// ---- The program ----------------------------------------------------------------------------------------------

// A few seconds of training that saves its state at every turn.
static void write_small(const char *frames)
{
    char text[500];
    snprintf(text, sizeof text,
             "[every cell]\nworlds = point\nframes = %s\nenvs = 4\nepochs = 1\nhidden = 16\nbasis-hidden = 8\n"
             "features = 4\nprobes = 2\nwarmup = 2\nreplay = 8\nprobe-pool = 50\nevaluation-tasks = 4\n"
             "checkpoint-seconds = 0\n[cells]\nseeds = 1 2\n", frames);
    write_file("small.ini", text);
}

// bel-learn experiment with these arguments; its words go to out and err.
static pid_t start(const char *arguments)
{
    char command[400];
    snprintf(command, sizeof command, "exec %s experiment %s >out 2>err", bel_learn, arguments);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        execl("/bin/sh", "sh", "-c", command, NULL);
        _exit(127);
    }
    return child;
}

static int wait_for(pid_t child)
{
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void check_status(int status, int wanted)
{
    ck_assert_msg(status == wanted, "exit status %d, wanted %d; it said\n%s", status, wanted, file_text("err"));
}

// One of the cells that `experiment --json` told about.
static cJSON *cell_of(cJSON *told, const char *name)
{
    cJSON *cell;
    cJSON_ArrayForEach(cell, cJSON_GetObjectItem(told, "cells"))
        if (!strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(cell, "name")), name))
            return cell;
    ck_abort_msg("%s is not told of", name);
}

static const char *state_of(cJSON *told, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItem(cell_of(told, name), "state"));
}

// What a training reached, without how long it took.
static char *outcome(const char *path)
{
    cJSON *result = cJSON_Parse(file_text(path));
    ck_assert_ptr_nonnull(result);
    static const char *const timed[] = {"seconds", "cpu_seconds", "frames_per_second", "bare_frames_per_second",
                                        "share_of_bare"};
    for (size_t i = 0; i < sizeof timed / sizeof *timed; i++)
        cJSON_DeleteItemFromObject(result, timed[i]);
    ck_assert_ptr_nonnull(cJSON_GetObjectItem(cJSON_GetObjectItem(result, "evaluation"), "task_returns"));
    char *text = cJSON_PrintUnformatted(result);
    cJSON_Delete(result);
    return text;
}

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static void wait_until_there(const char *path)
{
    for (int i = 0; access(path, F_OK) && i < 6000; i++)
        sleep_ms(10);
    ck_assert_msg(access(path, F_OK) == 0, "%s did not come", path);
}

// Until nobody trains the cell any more.
static void wait_until_free(const char *lock)
{
    int file = open(lock, O_RDWR);
    ck_assert_int_ge(file, 0);
    int held = -1;
    for (int i = 0; (held = flock(file, LOCK_EX | LOCK_NB)) && i < 6000; i++)
        sleep_ms(10);
    ck_assert_int_eq(held, 0);
    close(file);
}

START_TEST(a_killed_experiment_goes_on_and_ends_with_the_same_numbers)
{
    write_small("8000");
    check_status(wait_for(start("small.ini --out whole --jobs 2")), 0);

    pid_t child = start("small.ini --out killed --jobs 1");
    wait_until_there("killed/small/point.glibrl.ppo.1/checkpoint");
    kill(child, SIGKILL);
    ck_assert_int_eq(wait_for(child), 1000 + SIGKILL);
    wait_until_free("killed/small/point.glibrl.ppo.1/lock");
    check_status(wait_for(start("small.ini --out killed --jobs 1 --json")), 0);
    for (int seed = 1; seed <= 2; seed++) {
        char path[100];
        snprintf(path, sizeof path, "whole/small/point.glibrl.ppo.%d/result.json", seed);
        char *whole = outcome(path);
        snprintf(path, sizeof path, "killed/small/point.glibrl.ppo.%d/result.json", seed);
        char *killed = outcome(path);
        ck_assert_str_eq(whole, killed);
        free(whole);
        free(killed);
    }
}
END_TEST

START_TEST(a_finished_cell_is_not_trained_again)
{
    struct stat before, after;
    write_small("8000");
    check_status(wait_for(start("small.ini --only *.1")), 0);
    ck_assert_int_eq(stat("results/small/point.glibrl.ppo.1/train.jsonl", &before), 0);
    ck_assert_int_ne(access("results/small/point.glibrl.ppo.2", F_OK), 0);
    check_status(wait_for(start("small.ini --json")), 0);
    ck_assert_int_eq(stat("results/small/point.glibrl.ppo.1/train.jsonl", &after), 0);
    ck_assert_int_eq(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    cJSON *told = cJSON_Parse(file_text("out"));
    ck_assert_str_eq(state_of(told, "point.glibrl.ppo.1"), "finished");
    ck_assert(cJSON_IsTrue(cJSON_GetObjectItem(cell_of(told, "point.glibrl.ppo.1"), "was_finished")));
    ck_assert_str_eq(state_of(told, "point.glibrl.ppo.2"), "finished");
    ck_assert(cJSON_IsFalse(cJSON_GetObjectItem(cell_of(told, "point.glibrl.ppo.2"), "was_finished")));
    cJSON_Delete(told);
}
END_TEST

START_TEST(an_interrupt_stops_the_trainings_after_a_checkpoint)
{
    write_small("8e8");
    pid_t child = start("small.ini --jobs 2 --json");
    wait_until_there("results/small/point.glibrl.ppo.1/checkpoint");
    wait_until_there("results/small/point.glibrl.ppo.2/checkpoint");
    kill(child, SIGINT);
    check_status(wait_for(child), 130);
    cJSON *told = cJSON_Parse(file_text("out"));
    ck_assert_str_eq(state_of(told, "point.glibrl.ppo.1"), "stopped");
    ck_assert_str_eq(state_of(told, "point.glibrl.ppo.2"), "stopped");
    cJSON_Delete(told);
    ck_assert_int_ne(access("results/small/point.glibrl.ppo.1/result.json", F_OK), 0);
    wait_until_free("results/small/point.glibrl.ppo.1/lock");
    wait_until_free("results/small/point.glibrl.ppo.2/lock");
}
END_TEST

START_TEST(a_training_that_is_killed_is_named_and_the_others_go_on)
{
    write_small("8e8");
    pid_t child = start("small.ini --jobs 2 --json");
    wait_until_there("results/small/point.glibrl.ppo.1/checkpoint");
    wait_until_there("results/small/point.glibrl.ppo.2/checkpoint");
    char path[100];
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", child, child);
    pid_t training = atoi(file_text(path));
    ck_assert_int_gt(training, 1);
    kill(training, SIGKILL);
    wait_until_free("results/small/point.glibrl.ppo.1/lock");
    int other = open("results/small/point.glibrl.ppo.2/lock", O_RDWR);
    ck_assert_int_ne(flock(other, LOCK_EX | LOCK_NB), 0);
    close(other);
    sleep_ms(1500);  // it looks every half second
    kill(child, SIGTERM);
    check_status(wait_for(child), 130);
    cJSON *told = cJSON_Parse(file_text("out"));
    ck_assert_str_eq(state_of(told, "point.glibrl.ppo.1"), "failed");
    ck_assert_str_eq(cJSON_GetStringValue(cJSON_GetObjectItem(cell_of(told, "point.glibrl.ppo.1"), "why")),
                     "the training was killed: Killed");
    ck_assert_str_eq(state_of(told, "point.glibrl.ppo.2"), "stopped");
    cJSON_Delete(told);
}
END_TEST

START_TEST(two_programs_share_the_cells)
{
    write_small("8000");
    pid_t one = start("small.ini --jobs 1"), other = start("small.ini --jobs 1");
    check_status(wait_for(one), 0);
    check_status(wait_for(other), 0);
    for (int seed = 1; seed <= 2; seed++) {
        char path[100];
        double before = 0;
        snprintf(path, sizeof path, "results/small/point.glibrl.ppo.%d/train.jsonl", seed);
        for (char *rest, *line = strtok_r(file_text(path), "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
            double frames;
            ck_assert_int_eq(sscanf(line, "{\"frames\":%lf", &frames), 1);
            ck_assert_msg(frames > before, "%s: %g frames after %g", path, frames, before);
            before = frames;
        }
        ck_assert_double_eq(before, 8000);
    }
}
END_TEST

START_TEST(a_cell_that_fails_is_named_and_the_others_go_on)
{
    write_small("8000");
    // A disk that is full at the very end.
    ck_assert_int_eq(system("mkdir -p results/small/point.glibrl.ppo.1"), 0);
    ck_assert_int_eq(symlink("/dev/full", "results/small/point.glibrl.ppo.1/result.json.part"), 0);
    check_status(wait_for(start("small.ini --json")), 1);
    cJSON *told = cJSON_Parse(file_text("out"));
    ck_assert_str_eq(state_of(told, "point.glibrl.ppo.1"), "failed");
    ck_assert_str_eq(state_of(told, "point.glibrl.ppo.2"), "finished");
    cJSON_Delete(told);
    char *said = file_text("err");
    ck_assert_msg(strstr(said, "point.glibrl.ppo.1: the result cannot be written: No space left on device") != NULL,
                  "it said\n%s", said);
    // With room again it is finished from its checkpoint.
    ck_assert_int_eq(unlink("results/small/point.glibrl.ppo.1/result.json.part"), 0);
    check_status(wait_for(start("small.ini")), 0);
}
END_TEST

START_TEST(a_damaged_checkpoint_fails_its_cell_with_the_trainings_own_words)
{
    write_small("8000");
    check_status(wait_for(start("small.ini --only *.1")), 0);
    ck_assert_int_eq(unlink("results/small/point.glibrl.ppo.1/result.json"), 0);
    ck_assert_int_eq(truncate("results/small/point.glibrl.ppo.1/checkpoint", 1000), 0);
    check_status(wait_for(start("small.ini --only *.1")), 1);
    char *said = file_text("err");
    ck_assert_msg(strstr(said, "point.glibrl.ppo.1: the checkpoint results/small/point.glibrl.ppo.1/checkpoint "
                     "cannot be read") != NULL,
                  "it said\n%s", said);
}
END_TEST

START_TEST(another_training_in_the_directory_is_refused_or_replaced)
{
    write_small("8000");
    check_status(wait_for(start("small.ini --only *.1")), 0);
    write_small("4000");
    check_status(wait_for(start("small.ini --only *.1")), 1);
    char *said = file_text("err");
    ck_assert_msg(strstr(said, "it holds another training: \"frames = 8000\", now \"frames = 4000\"") != NULL,
                  "it said\n%s", said);
    check_status(wait_for(start("small.ini --only *.1 --replace")), 0);
    cJSON *result = cJSON_Parse(file_text("results/small/point.glibrl.ppo.1/result.json"));
    ck_assert_double_eq(cJSON_GetNumberValue(cJSON_GetObjectItem(result, "frames")), 4000);
    cJSON_Delete(result);
}
END_TEST

START_TEST(a_list_trains_nothing)
{
    write_small("8000");
    check_status(wait_for(start("small.ini --list --json")), 0);
    cJSON *told = cJSON_Parse(file_text("out"));
    ck_assert_str_eq(state_of(told, "point.glibrl.ppo.2"), "waiting");
    cJSON_Delete(told);
    ck_assert_int_ne(access("results", F_OK), 0);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc != 3)
        return fprintf(stderr, "test_experiment BEL_LEARN EXPERIMENTS\n"), 2;
    bel_learn = realpath(argv[1], NULL);  // tests go to directories of their own
    experiments = realpath(argv[2], NULL);
    if (!bel_learn || !experiments)
        return perror("test_experiment"), 2;
    Suite *suite = suite_create("experiment");
    SUITE_TEST_WITH(suite, a_section_is_the_product_of_its_lists_seed_by_seed, enter_directory, leave_directory);
    SUITE_TEST_WITH(suite, a_section_goes_before_what_every_cell_has, enter_directory, leave_directory);
    SUITE_TEST_WITH(suite, numbers_and_not_their_spelling_describe_a_cell, enter_directory, leave_directory);
    SUITE_TEST_WITH(suite, an_option_goes_to_the_cells_that_read_it, enter_directory, leave_directory);
    suite_add(suite, "a_mistake_is_told_with_file_line_key_and_what_would_be_right",
              a_mistake_is_told_with_file_line_key_and_what_would_be_right, sizeof mistakes / sizeof *mistakes,
              enter_directory, leave_directory);
    SUITE_TEST_WITH(suite, a_file_that_is_not_there_or_too_long_in_a_line_is_told, enter_directory, leave_directory);
    SUITE_TEST(suite, every_experiment_that_is_shipped_is_understood_and_says_its_budget);
    SUITE_TEST_WITH(suite, a_killed_experiment_goes_on_and_ends_with_the_same_numbers, enter_directory,
                    leave_directory);
    SUITE_TEST_WITH(suite, a_finished_cell_is_not_trained_again, enter_directory, leave_directory);
    SUITE_TEST_WITH(suite, an_interrupt_stops_the_trainings_after_a_checkpoint, enter_directory, leave_directory);
    SUITE_TEST_WITH(suite, a_training_that_is_killed_is_named_and_the_others_go_on, enter_directory, leave_directory);
    SUITE_TEST_WITH(suite, two_programs_share_the_cells, enter_directory, leave_directory);
    SUITE_TEST_WITH(suite, a_cell_that_fails_is_named_and_the_others_go_on, enter_directory, leave_directory);
    SUITE_TEST_WITH(suite, a_damaged_checkpoint_fails_its_cell_with_the_trainings_own_words, enter_directory,
                    leave_directory);
    SUITE_TEST_WITH(suite, another_training_in_the_directory_is_refused_or_replaced, enter_directory, leave_directory);
    SUITE_TEST_WITH(suite, a_list_trains_nothing, enter_directory, leave_directory);
    return suite_finish(suite);
}
