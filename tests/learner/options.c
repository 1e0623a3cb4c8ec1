// Options of a training: their values, who reads them, and what two descriptions of one training may differ in.

#include "learner/options.h"
#include "client/worlds/world.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { WHY = 400 };

START_TEST(options_are_checked)
{
    struct options o;
    char why[WHY];
    char *good[] = {"point", "--frames", "1e5", "--rate", "1e-3", "--json", "--model", "oracle"};
    ck_assert_int_eq(options_parse(&o, 8, good, why, sizeof why), 0);
    ck_assert_uint_eq(o.frames, 100000);
    ck_assert_double_eq(o.rate, 1e-3);
    ck_assert_int_eq(o.json, 1);
    ck_assert_int_eq(o.kind, LEARN_ORACLE);

    struct { char *arguments[4]; int count; const char *word; } bad[] = {
        {{"nowhere"}, 1, "point-sparse"},
        {{"point", "--frames"}, 2, "needs a value"},
        {{"point", "--frames", "-1"}, 3, "whole number"},
        {{"point", "--rate", "fast"}, 3, "--rate takes"},
        {{"point", "--clip", "1e9"}, 3, "--clip takes"},
        {{"point", "--speed", "9"}, 3, "no option --speed"},
        {{"point", "faster"}, 2, "not an option"},
        {{"point", "--model", "cat"}, 3, "one of glibrl varibad rl2"},
        {{"point", "--resume"}, 2, "--checkpoint"},
        {{"point", "--features", "1"}, 3, "two features"},
        {{"point", "--frames", "0"}, 3, "--frames takes a whole number from 1, not \"0\""},
        {{"point", "--threads", "257"}, 3, "from 0 to 256"},
        {{"point", "--patience", "-1"}, 3, "--patience takes seconds"},
        {{"point", "--out", "--json"}, 3, "--out needs a value"},
        {{"point", "--probe-pool", "1025"}, 3, "from 1 to 1024"},
        {{"point", "--alias", "a"}, 3, "--from"},
        {{"point", "--raet", "1"}, 3, "was it to be --rate?"},
        {{"poimt"}, 1, "there is no world \"poimt\"; was it to be point?"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_int_lt(options_parse(&o, bad[i].count, bad[i].arguments, why, sizeof why), 0);
        ck_assert_msg(strstr(why, bad[i].word) != NULL, "\"%s\" does not say \"%s\"", why, bad[i].word);
    }
}
END_TEST

START_TEST(an_option_that_is_not_read_is_refused)
{
    struct options o;
    char why[WHY];
    struct { char *arguments[6]; int count; const char *sentence; } unread[] = {
        {{"point", "--algorithm", "sac", "--clip", "0.1"}, 5, "--clip is an option of ppo, not of sac"},
        {{"point", "--experience", "1e5"}, 3, "--experience is an option of sac, not of ppo"},
        {{"point", "--model", "rl2", "--decodes", "5"}, 5, "--decodes is an option of varibad, not of rl2"},
        {{"point", "--embedding", "32"}, 3, "--embedding is an option of varibad and rl2, not of glibrl"},
        {{"point", "--model", "none", "--freeze", "1"}, 5,
         "--freeze is an option of glibrl, varibad and pearl, not of none"},
        {{"point", "--model", "none", "--gain", "1"}, 5, "--gain is an option of glibrl with ppo, not of none"},
        {{"point", "--algorithm", "sac", "--gain", "1"}, 5, "--gain is an option of glibrl with ppo, not of sac"},
    };
    for (size_t i = 0; i < sizeof unread / sizeof *unread; i++) {
        ck_assert_int_eq(options_parse(&o, unread[i].count, unread[i].arguments, why, sizeof why), -EINVAL);
        ck_assert_str_eq(why, unread[i].sentence);
    }
}
END_TEST

START_TEST(each_option_is_read_by_some_training)
{
    for (size_t i = 0; options_row(i); i++) {
        int readers = 0;
        for (int kind = 0; kind < LEARN_KINDS; kind++)
            for (int algorithm = 0; algorithm < LEARN_ALGORITHMS; algorithm++) {
                char why[WHY];
                int read = options_read(options_row(i), (enum learn_kind)kind, (enum learn_algorithm)algorithm);
                readers += read;
                ck_assert_int_eq(options_refuse_unread(options_row(i), (enum learn_kind)kind,
                                                       (enum learn_algorithm)algorithm, why, sizeof why),
                                 read ? 0 : -EINVAL);
            }
        ck_assert_msg(readers > 0, "nobody reads --%s", options_row(i)->name);
    }
}
END_TEST

START_TEST(descriptions_agree_but_for_what_is_never_read)
{
    struct options ppo, sac;
    options_defaults(&ppo, world_find("point"), LEARN_GLIBRL, LEARN_PPO);
    options_defaults(&sac, world_find("point"), LEARN_NONE, LEARN_SAC);
    ck_assert(options_agree(&ppo, "clip=0.2", "clip=0.2"));
    ck_assert(!options_agree(&ppo, "clip=0.2", "clip=0.1"));
    ck_assert(options_agree(&sac, "clip=0.2", "clip=0.1"));
    ck_assert(options_agree(&sac, "features=16", "features=8"));
    ck_assert(!options_agree(&ppo, "features=16", "features=8"));
    ck_assert(!options_agree(&sac, "seed=1", "seed=2"));
    ck_assert(!options_agree(&ppo, "clip=0.2", "rate=0.2"));
    ck_assert(!options_agree(&ppo, "clip=0.2", ""));
    ck_assert(!options_agree(&ppo, "noise=known", "noise=inferred"));
    // Nobody ever had more candidates than are allowed now.
    ck_assert(options_agree(&ppo, "probe-pool=1024", "probe-pool=2048"));
    ck_assert(!options_agree(&ppo, "probe-pool=1000", "probe-pool=2048"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("options");
    SUITE_TEST(suite, options_are_checked);
    SUITE_TEST(suite, an_option_that_is_not_read_is_refused);
    SUITE_TEST(suite, each_option_is_read_by_some_training);
    SUITE_TEST(suite, descriptions_agree_but_for_what_is_never_read);
    return suite_finish(suite);
}
