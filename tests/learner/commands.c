// What the program says to who uses it for the first time, and to who mistypes.

#include "tests/support/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *bel_learn;
static char said[1 << 16];

// Runs bel-learn with these arguments; what it writes is in said. stream: what is kept, "1" or "2". The exit status.
static int run(const char *arguments, const char *stream)
{
    char command[1000];
    const char *other = *stream == '1' ? "2>/dev/null" : "2>&1 >/dev/null";
    snprintf(command, sizeof command, "'%s' %s %s", bel_learn, arguments, other);
    FILE *out = popen(command, "r");
    ck_assert_ptr_nonnull(out);
    said[fread(said, 1, sizeof said - 1, out)] = 0;
    int status = pclose(out);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void check_said(const char *arguments, const char *text)
{
    ck_assert_msg(strstr(said, text) != NULL, "%s: \"%s\" is not in\n%s", arguments, text, said);
}

static const char *const helps[][2] = {
    {"--help", "\ncommands\n"}, {"help", "    half-cheetah-vel "}, {"-h", "    report "},
    {"train --help", "    --seed S "}, {"help train", "    --seed S "}, {"train point --help", "    --probes "},
    {"train point --algorithm sac --help", "    --update-ratio "},
    {"evaluate --help", "    --tasks N "}, {"study -h", "    --pairs P "}, {"study --sweep --help", "    --features N,N,.. "},
    {"experiment --help", "    --jobs N "}, {"experiment x.ini --help", "    --only PATTERN "},
    {"report --help", "    --out FILE.md "}, {"export --help", "    --onnx DIR "},
};

START_TEST(each_command_tells_its_options)
{
    ck_assert_int_eq(run(helps[_i][0], "1"), 0);
    check_said(helps[_i][0], helps[_i][1]);
}
END_TEST

START_TEST(help_of_a_training_is_about_what_it_reads)
{
    ck_assert_int_eq(run("train point --algorithm sac --model none --help", "1"), 0);
    ck_assert_ptr_null(strstr(said, "--clip"));
    ck_assert_ptr_null(strstr(said, "--features"));
    ck_assert_ptr_nonnull(strstr(said, "--update-ratio"));
}
END_TEST

static const char *const mistakes[][2] = {
    {"tran", "there is no command \"tran\"; was it to be train?"},
    {"qwertz", "there is no command \"qwertz\" (see"},
    {"evaluate m.safetensors --taks 3", "no option --taks of evaluate; was it to be --tasks?"},
    {"evaluate m.safetensors --tasks", "--tasks needs a value, N"},
    {"evaluate m.safetensors --tasks 0", "--tasks takes a whole number from 1 to 1000000, not \"0\""},
    {"evaluate", "evaluate which model?"},
    {"evaluate a b", "\"b\" is one too many for evaluate"},
    {"experiment x.ini --job 2", "was it to be --jobs?"},
    {"experiment x.ini --jobs -1", "--jobs takes a whole number from 1 to 1024, not \"-1\""},
    {"report --out x.md", "report on which directories?"},
    {"study m.safetensors --pairs 40", "40 pairs need 80 tasks"},
    {"study --sweep point --features 1", "none of them 1 or above 256, not \"1\""},
    {"export m.safetensors", "--onnx into which directory?"},
    {"train point --frmaes 3", "was it to be --frames?"},
};

START_TEST(a_mistake_is_answered_with_what_would_be_right)
{
    ck_assert_int_eq(run(mistakes[_i][0], "2"), 2);
    check_said(mistakes[_i][0], mistakes[_i][1]);
}
END_TEST

// A training of seconds, at most; the program's words go to said.
#define SMALL "train point --envs 4 --epochs 1 --hidden 16 --basis-hidden 8 --features 4 --probes 2 --warmup 2 --replay 8 " \
              "--threads 1 --evaluation-tasks 0 --checkpoint-seconds 0 --quiet --frames 4000 "

static char directory[] = "/tmp/commands-XXXXXX";

START_TEST(a_training_that_cannot_write_says_why_and_leaves_its_last_checkpoint)
{
    char arguments[1000];
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(arguments, sizeof arguments, SMALL "--checkpoint %s/gone/state", directory);
    ck_assert_int_eq(run(arguments, "2"), 1);
    check_said(arguments, "because of its directory: No such file or directory");
    snprintf(arguments, sizeof arguments, SMALL "--out %s", directory);
    ck_assert_int_eq(run(arguments, "2"), 1);
    check_said(arguments, "it is a directory");

    snprintf(arguments, sizeof arguments, SMALL "--stop-after 2000 --checkpoint %s/state", directory);
    ck_assert_int_eq(run(arguments, "2"), 0);
    check_said(arguments, "stopped after 2000 frames; go on with --resume");
    ck_assert_int_eq(run(arguments, "2"), 1);
    check_said(arguments, "state is there already: go on from it with --resume, or remove it");

    // A file may have no more than some kilobytes, as on a disk that is nearly full.
    snprintf(arguments, sizeof arguments, SMALL "--resume --checkpoint %s/state", directory);
    struct rlimit before, small;
    getrlimit(RLIMIT_FSIZE, &before);
    small = before;
    small.rlim_cur = 8192;
    setrlimit(RLIMIT_FSIZE, &small);
    ck_assert_int_eq(run(arguments, "2"), 1);
    setrlimit(RLIMIT_FSIZE, &before);
    check_said(arguments, "File too large; that was after 2400 frames with seed 1, and ");
    check_said(arguments, "state has the first 2000");
    ck_assert_int_eq(run(arguments, "2"), 0);

    snprintf(arguments, sizeof arguments, "rm -r %s", directory);
    ck_assert_int_eq(system(arguments), 0);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc != 2)
        return fprintf(stderr, "test_commands BEL_LEARN\n"), 2;
    bel_learn = argv[1];
    Suite *suite = suite_create("commands");
    SUITE_TEST_EACH(suite, each_command_tells_its_options, sizeof helps / sizeof *helps);
    SUITE_TEST(suite, help_of_a_training_is_about_what_it_reads);
    SUITE_TEST_EACH(suite, a_mistake_is_answered_with_what_would_be_right, sizeof mistakes / sizeof *mistakes);
    SUITE_TEST(suite, a_training_that_cannot_write_says_why_and_leaves_its_last_checkpoint);
    return suite_finish(suite);
}
