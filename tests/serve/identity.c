// The file of identities says who somebody is, or refuses with file and line.

#include "daemon/serve/identity.h"

#include <errno.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/suite.h"

static struct identities *table;
static char why[1024];

static int parse(const char *text)
{
    identities_unref(table);
    table = NULL;
    strcpy(why, "");
    return identities_parse(&table, "ids", text, strlen(text), why, sizeof why);
}

static void tear_down(void)
{
    identities_unref(table);
    table = NULL;
}

static const char *hex_of(const char *token)
{
    static char text[2 * SHA256_DIGEST_LENGTH + 1];
    uint8_t hash[SHA256_DIGEST_LENGTH];
    SHA256((const uint8_t *)token, strlen(token), hash);
    for (int i = 0; i < SHA256_DIGEST_LENGTH; i++)
        sprintf(text + 2 * i, "%02x", hash[i]);
    return text;
}

START_TEST(each_credential_finds_its_identity)
{
    // 9f86... is the well-known SHA-256 of "test".
    ck_assert_msg(parse("# who may come\n"
                        "\n"
                        "arm robot token:9F86D081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 sessions=4\n"
                        "\tboss   admin\tuid:0\r\n"
                        "leg robot certificate:leg.plant rate=100 sessions=1 \n"
                        "eye observer uid:4294967294\n"
                        "head learner certificate:spiffe://plant/head") == 0, "%s", why);
    const struct identity *arm = identities_by_token(table, "test");
    ck_assert_ptr_nonnull(arm);
    ck_assert_str_eq(arm->name, "arm");
    ck_assert_int_eq(arm->role, WIRE_ROLE_ROBOT);
    ck_assert_uint_eq(arm->sessions, 4);
    ck_assert_uint_eq(arm->rate, 0);
    ck_assert_str_eq(identities_by_uid(table, 0)->name, "boss");
    ck_assert_int_eq(identities_by_uid(table, 0)->role, WIRE_ROLE_ADMIN);
    ck_assert_str_eq(identities_by_uid(table, 4294967294u)->name, "eye");
    static const char *const names[] = {"unknown", "leg.plant", "spiffe://plant/head"};
    const struct identity *leg = identities_by_certificate(table, names, 3);
    ck_assert_str_eq(leg->name, "leg");
    ck_assert_uint_eq(leg->rate, 100);
    ck_assert_uint_eq(leg->sessions, 1);
    ck_assert_str_eq(identities_by_certificate(table, names + 2, 1)->name, "head");

    ck_assert_ptr_null(identities_by_token(table, ""));
    ck_assert_ptr_null(identities_by_token(table, "Test"));
    ck_assert_ptr_null(identities_by_token(table, "test "));
    ck_assert_ptr_null(identities_by_uid(table, 1));
    ck_assert_ptr_null(identities_by_certificate(table, names, 1));
    ck_assert_ptr_null(identities_by_certificate(table, names, 0));
}
END_TEST

START_TEST(an_empty_file_knows_nobody)
{
    ck_assert_int_eq(parse(""), 0);
    ck_assert_ptr_null(identities_by_token(table, "test"));
    ck_assert_ptr_null(identities_by_uid(table, 0));
    ck_assert_ptr_null(identities_by_certificate(table, (const char *const[]){"a"}, 1));
}
END_TEST

// Replacing a token: both are good for a while, and mean the same robot.
START_TEST(a_name_may_have_several_credentials)
{
    char text[512];
    int used = sprintf(text, "arm robot token:%s rate=5\n", hex_of("old"));
    sprintf(text + used, "leg robot uid:1\narm robot token:%s rate=5\narm robot uid:2 rate=5\n", hex_of("new"));
    ck_assert_msg(parse(text) == 0, "%s", why);
    const struct identity *arm = identities_by_token(table, "old");
    ck_assert_ptr_nonnull(arm);
    ck_assert_ptr_eq(arm, identities_by_token(table, "new"));
    ck_assert_ptr_eq(arm, identities_by_uid(table, 2));
    ck_assert_ptr_ne(arm, identities_by_uid(table, 1));
}
END_TEST

START_TEST(every_one_of_many_tokens_is_found_and_no_other)
{
    enum { COUNT = 1000 };
    static char text[COUNT * 128];
    for (int count = 1; count <= COUNT; count = count < 20 ? count + 1 : count * 7) {
        size_t used = 0;
        char token[32], name[32];
        for (int i = 0; i < count; i++) {
            sprintf(token, "token-%d", i);
            used += (size_t)sprintf(text + used, "r%d robot token:%s\n", i, hex_of(token));
        }
        ck_assert_msg(parse(text) == 0, "%s", why);
        for (int i = 0; i < count + 20; i++) {
            sprintf(token, "token-%d", i);
            sprintf(name, "r%d", i);
            const struct identity *found = identities_by_token(table, token);
            ck_assert_msg((found != NULL) == (i < count), "%d of %d", i, count);
            if (found)
                ck_assert_str_eq(found->name, name);
        }
    }
}
END_TEST

START_TEST(what_is_wrong_is_named)
{
    static const struct {
        const char *text, *where, *what;
    } cases[] = {
        {"arm robot\n", "ids:1:", "NAME ROLE CREDENTIAL"},
        {"\n#\narm\n", "ids:3:", "NAME ROLE CREDENTIAL"},
        {"arm king uid:1\n", "ids:1:", "\"king\" is not a role"},
        {"arm none uid:1\n", "ids:1:", "\"none\" is not a role"},
        {"a/b robot uid:1\n", "ids:1:", "\"a/b\": a name has"},
        {"0123456789012345678901234567890123456789012345678901234567890123x robot uid:1\n", "ids:1:", "a name has 1 to 64"},
        {"arm robot uid:x\n", "ids:1:", "number of a user"},
        {"arm robot uid:-1\n", "ids:1:", "number of a user"},
        {"arm robot uid:4294967295\n", "ids:1:", "number of a user"},
        {"arm robot uid:\n", "ids:1:", "number of a user"},
        {"arm robot certificate:\n", "ids:1:", "needs a name"},
        {"arm robot token:secret\n", "ids:1:", "SHA-256"},
        {"arm robot token:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a0g\n", "ids:1:", "SHA-256"},
        {"arm robot password:x\n", "ids:1:", "token:HEX, certificate:NAME or uid:N"},
        {"arm robot uid:1 sessions=0\n", "ids:1:", "from 1 to"},
        {"arm robot uid:1 sessions=1000001\n", "ids:1:", "from 1 to 1000000"},
        {"arm robot uid:1 rate=1e3\n", "ids:1:", "from 1 to"},
        {"arm robot uid:1 rate=99999999999999999999\n", "ids:1:", "from 1 to"},
        {"arm robot uid:1 speed=3\n", "ids:1:", "\"speed=3\" is not"},
        {"arm robot uid:1 rate=1 rate=2 rate=3 rate=4\n", "ids:1:", "more than"},
        {"arm robot uid:1\nleg robot uid:1\n", "ids:2:", "the same uid as in line 1"},
        {"leg robot certificate:a\narm robot certificate:a\n", "ids:2:", "the same certificate as in line 1"},
        {"arm robot uid:1\nleg robot uid:3\narm admin uid:2\n", "ids:3:", "another role or limit in line 1"},
        {"arm robot uid:1\narm robot uid:2 rate=1\n", "ids:2:", "another role or limit in line 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_msg(parse(cases[i].text) == -EINVAL, "%s", cases[i].text);
        ck_assert_msg(!strncmp(why, cases[i].where, strlen(cases[i].where)), "%s", why);
        ck_assert_msg(strstr(why, cases[i].what) != NULL, "%s", why);
        ck_assert_msg(!strstr(why, "secret"), "%s", why);
    }
    ck_assert_int_eq(identities_parse(&table, "ids", "a robot\0uid:1", 13, why, sizeof why), -EINVAL);
    static char long_line[600];
    memset(long_line, 'x', sizeof long_line);
    ck_assert_int_eq(identities_parse(&table, "ids", long_line, sizeof long_line, why, sizeof why), -EINVAL);
    ck_assert_ptr_null(table);
}
END_TEST

START_TEST(the_number_of_lines_has_a_limit)
{
    char *text = malloc((IDENTITIES_LIMIT + 1) * 32);
    size_t used = 0;
    for (int i = 0; i < IDENTITIES_LIMIT; i++)
        used += (size_t)sprintf(text + used, "r%d robot uid:%d\n", i, i);
    ck_assert_msg(parse(text) == 0, "%s", why);
    ck_assert_str_eq(identities_by_uid(table, IDENTITIES_LIMIT - 1)->name, "r65535");
    sprintf(text + used, "x robot uid:%d\n", IDENTITIES_LIMIT);
    ck_assert_int_eq(parse(text), -EINVAL);
    ck_assert_msg(strstr(why, "ids:65537: no more than 65536") != NULL, "%s", why);
    free(text);
}
END_TEST

START_TEST(a_file_that_others_may_write_to_is_refused)
{
    char path[] = "/tmp/test-identities-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_eq(write(fd, "arm robot uid:7\n", 16), 16);
    ck_assert_int_eq(fchmod(fd, 0640), 0);
    ck_assert_msg(identities_read(&table, path, why, sizeof why) == 0, "%s", why);
    ck_assert_str_eq(identities_by_uid(table, 7)->name, "arm");
    tear_down();
    ck_assert_int_eq(fchmod(fd, 0660), 0);
    ck_assert_int_eq(identities_read(&table, path, why, sizeof why), -EPERM);
    ck_assert_msg(strstr(why, path) && strstr(why, "write"), "%s", why);
    close(fd);
    unlink(path);
    ck_assert_int_eq(identities_read(&table, path, why, sizeof why), -ENOENT);
    ck_assert_int_eq(identities_read(&table, "/tmp", why, sizeof why), -EINVAL);
    ck_assert_msg(strstr(why, "regular file") != NULL, "%s", why);
}
END_TEST

// deploy/identities is the manual: its examples, without their #, are a good file.
START_TEST(the_sample_is_a_good_file)
{
    ck_assert_msg(identities_read(&table, SAMPLE_IDENTITIES, why, sizeof why) == 0, "%s", why);
    FILE *file = fopen(SAMPLE_IDENTITIES, "r");
    char line[512], text[4096] = "";
    int examples = 0;
    while (fgets(line, sizeof line, file)) {
        if (line[0] == '#' && line[1] > ' ') {
            strcat(text, line + 1);
            examples++;
        }
    }
    fclose(file);
    ck_assert_int_ge(examples, 4);
    ck_assert_msg(parse(text) == 0, "%s", why);
    ck_assert_str_eq(identities_by_token(table, "test")->name, "robot-1");
}
END_TEST

START_TEST(a_table_lives_until_its_last_user)
{
    ck_assert_int_eq(parse("arm robot uid:1\n"), 0);
    struct identities *second = identities_ref(table);
    identities_unref(table);
    table = NULL;
    ck_assert_str_eq(identities_by_uid(second, 1)->name, "arm");
    identities_unref(second);
    identities_unref(NULL);
}
END_TEST

START_TEST(roles_may_what_is_theirs)
{
    static const enum wire_kind kinds[] = {
        WIRE_HELLO, WIRE_OPEN, WIRE_STEP, WIRE_OBSERVE, WIRE_ACT, WIRE_RESET, WIRE_GET_BELIEF, WIRE_CLOSE, WIRE_PING,
        WIRE_SAVE, WIRE_RESTORE, WIRE_LIST_SESSIONS, WIRE_LIST_MODELS, WIRE_LOAD_MODEL, WIRE_UNLOAD_MODEL,
        WIRE_ALIAS_MODEL, WIRE_RELOAD, WIRE_REBUILD, WIRE_SNAPSHOT, WIRE_HAND_OVER, WIRE_DRAIN, WIRE_GET_METRICS};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        enum wire_kind kind = kinds[i];
        int control = kind >= WIRE_LIST_SESSIONS;
        int reads = kind == WIRE_HELLO || kind == WIRE_PING || kind == WIRE_GET_BELIEF || kind == WIRE_SAVE;
        ck_assert_int_eq(role_may(WIRE_ROLE_NONE, kind), kind == WIRE_HELLO);
        ck_assert_int_eq(role_may(WIRE_ROLE_ROBOT, kind), !control);
        ck_assert_int_eq(role_may(WIRE_ROLE_LEARNER, kind), !control);
        ck_assert_int_eq(role_may(WIRE_ROLE_OBSERVER, kind), reads);
        ck_assert_int_eq(role_may(WIRE_ROLE_ADMIN, kind), 1);
        ck_assert_int_eq(role_may((enum wire_role)99, kind), 0);
    }
    ck_assert_str_eq(role_name(WIRE_ROLE_LEARNER), "learner");
    ck_assert_str_eq(role_name((enum wire_role)99), "unknown");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("identity");
    SUITE_TEST_WITH(suite, each_credential_finds_its_identity, NULL, tear_down);
    SUITE_TEST_WITH(suite, an_empty_file_knows_nobody, NULL, tear_down);
    SUITE_TEST_WITH(suite, a_name_may_have_several_credentials, NULL, tear_down);
    SUITE_TEST_WITH(suite, every_one_of_many_tokens_is_found_and_no_other, NULL, tear_down);
    SUITE_TEST_WITH(suite, what_is_wrong_is_named, NULL, tear_down);
    SUITE_TEST_WITH(suite, the_number_of_lines_has_a_limit, NULL, tear_down);
    SUITE_TEST_WITH(suite, a_file_that_others_may_write_to_is_refused, NULL, tear_down);
    SUITE_TEST_WITH(suite, the_sample_is_a_good_file, NULL, tear_down);
    SUITE_TEST_WITH(suite, a_table_lives_until_its_last_user, NULL, tear_down);
    SUITE_TEST(suite, roles_may_what_is_theirs);
    return suite_finish(suite);
}
