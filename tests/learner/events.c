// What a training says: lines and records that other programs can read, and a resume that repeats nothing.

#include "learner/events.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/suite.h"

static char directory[64];

static void make_directory(void)
{
    snprintf(directory, sizeof directory, "events-test.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status, (void)kind, (void)walk;
    return remove(path);
}

static void remove_directory(void)
{
    nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

// The whole file, with a 0 behind it; the caller's.
static char *read_whole(const char *name, size_t *size)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "no %s", path);
    char *bytes = calloc(1, 1 << 20);
    *size = fread(bytes, 1, (1 << 20) - 1, file);
    fclose(file);
    return bytes;
}

static void write_iterations(uint64_t resume_frames, uint64_t first, uint64_t last, double factor)
{
    struct events *events;
    ck_assert_int_eq(events_open(&events, directory, resume_frames, 1), 0);
    for (uint64_t i = first; i <= last; i++) {
        struct events_value values[] = {{"return/episode_1", factor * (double)i}, {"loss \"quoted\"\n", NAN}};
        ck_assert_int_eq(events_write(events, 100 * i, 0.5 * (double)i, values, 2, "text"), 0);
    }
    events_close(events);
}

// The lines must be iterations 1 .. count, each with the factor it was last written with.
static void check_lines(const double *factors, size_t count)
{
    size_t size, line_number = 0;
    char *bytes = read_whole("train.jsonl", &size), *rest = bytes;
    for (char *line; (line = strsep(&rest, "\n")) && *line; line_number++) {
        ck_assert_uint_lt(line_number, count);
        cJSON *object = cJSON_Parse(line);
        ck_assert_msg(object != NULL, "not JSON: %s", line);
        double i = (double)(line_number + 1);
        ck_assert_double_eq(cJSON_GetNumberValue(cJSON_GetObjectItem(object, "frames")), 100 * i);
        ck_assert_double_eq(cJSON_GetNumberValue(cJSON_GetObjectItem(object, "seconds")), 0.5 * i);
        ck_assert_double_eq(cJSON_GetNumberValue(cJSON_GetObjectItem(object, "return/episode_1")),
                            factors[line_number] * i);
        ck_assert(cJSON_IsNull(cJSON_GetObjectItem(object, "loss \"quoted\"\n")));
        cJSON_Delete(object);
    }
    ck_assert_uint_eq(line_number, count);
    free(bytes);
}

START_TEST(each_iteration_is_one_json_object_on_one_line)
{
    write_iterations(0, 1, 5, 0.375);
    check_lines((double[]){0.375, 0.375, 0.375, 0.375, 0.375}, 5);
}
END_TEST

START_TEST(a_resume_cuts_off_what_it_repeats_and_what_was_half_written)
{
    write_iterations(0, 1, 5, 1);
    write_iterations(300, 4, 6, 2);
    check_lines((double[]){1, 1, 1, 2, 2, 2}, 6);

    char path[128];
    snprintf(path, sizeof path, "%s/train.jsonl", directory);
    FILE *file = fopen(path, "a");
    fputs("{\"frames\":600,\"seconds\":3}", file);  // whole as JSON, but its line has no end
    fclose(file);
    write_iterations(600, 7, 7, 3);
    check_lines((double[]){1, 1, 1, 2, 2, 2, 3}, 7);

    file = fopen(path, "r+");
    fseek(file, 2, SEEK_SET);
    fputs("#", file);  // damaged: nothing after it can be trusted to be in order
    fclose(file);
    write_iterations(700, 1, 1, 4);
    check_lines((double[]){4}, 1);
}
END_TEST

START_TEST(a_start_from_nothing_empties_the_lines)
{
    write_iterations(0, 1, 5, 1);
    write_iterations(0, 1, 2, 3);
    check_lines((double[]){3, 3}, 2);
}
END_TEST

// ---- Event files, read by a reader of its own: tables for the CRC, a walk for protobuf.

static uint32_t crc_table[256];

static uint32_t crc32c(const uint8_t *bytes, size_t size)
{
    if (!crc_table[1])
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t crc = i;
            for (int bit = 0; bit < 8; bit++)
                crc = crc & 1 ? crc >> 1 ^ 0x82F63B78 : crc >> 1;
            crc_table[i] = crc;
        }
    uint32_t crc = UINT32_MAX;
    while (size--)
        crc = crc_table[(crc ^ *bytes++) & 255] ^ crc >> 8;
    return ~crc;
}

static uint32_t masked(uint32_t crc)
{
    return (crc >> 15 | crc << 17) + UINT32_C(0xa282ead8);
}

struct field {
    unsigned number, type;
    uint64_t value;         // or the length
    const uint8_t *bytes;
};

static uint64_t take_varint(const uint8_t **at, const uint8_t *end)
{
    uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        ck_assert_int_gt(end - *at, 0);
        ck_assert_uint_lt(shift, 64);
        uint8_t byte = *(*at)++;
        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return value;
    }
}

static struct field take_field(const uint8_t **at, const uint8_t *end)
{
    uint64_t key = take_varint(at, end);
    struct field field = {.number = (unsigned)(key >> 3), .type = key & 7};
    size_t size = 0;
    if (field.type == 0)
        field.value = take_varint(at, end);
    else if (field.type == 1 || field.type == 5)
        memcpy(&field.value, *at, size = field.type == 1 ? 8 : 4);  // the tests run on little-endian machines
    else if (field.type == 2)
        size = field.value = take_varint(at, end);
    else
        ck_abort_msg("wire type %u", field.type);
    ck_assert_uint_le(size, (size_t)(end - *at));
    field.bytes = *at;
    *at += size;
    return field;
}

struct record {
    uint64_t step;
    double wall_time;
    char version[32];
    int session_start;
    size_t value_count;
    char tags[4][32];
    float values[4];
};

static void parse_value(struct record *record, const uint8_t *at, const uint8_t *end)
{
    size_t i = record->value_count++;
    ck_assert_uint_lt(i, 4);
    record->values[i] = -1;
    while (at < end) {
        struct field field = take_field(&at, end);
        if (field.number == 1)
            snprintf(record->tags[i], sizeof record->tags[i], "%.*s", (int)field.value, (const char *)field.bytes);
        else if (field.number == 2)
            memcpy(&record->values[i], field.bytes, 4);
        else
            ck_abort_msg("Value has field %u", field.number);
    }
}

static void parse_event(struct record *record, const uint8_t *at, const uint8_t *end)
{
    *record = (struct record){0};
    while (at < end) {
        struct field field = take_field(&at, end);
        const uint8_t *part = field.bytes, *part_end = part + (field.type == 2 ? field.value : 0);
        switch (field.number) {
        case 1:
            memcpy(&record->wall_time, field.bytes, 8);
            break;
        case 2:
            record->step = field.value;
            break;
        case 3:
            snprintf(record->version, sizeof record->version, "%.*s", (int)field.value, (const char *)field.bytes);
            break;
        case 5:
            while (part < part_end) {
                struct field value = take_field(&part, part_end);
                ck_assert_uint_eq(value.number, 1);
                parse_value(record, value.bytes, value.bytes + value.value);
            }
            break;
        case 7: {
            struct field status = take_field(&part, part_end);
            record->session_start = status.number == 1 && status.value == 1;
            break;
        }
        default:
            ck_abort_msg("Event has field %u", field.number);
        }
    }
}

// The records of the n-th event file in the order of names; returns how many.
static size_t read_records(size_t n, struct record *records, size_t limit)
{
    struct dirent **names;
    int count = scandir(directory, &names, NULL, alphasort);
    char name[256] = "";
    for (int i = 0; i < count; i++) {
        if (strstr(names[i]->d_name, "tfevents") && n-- == 0)
            snprintf(name, sizeof name, "%.255s", names[i]->d_name);
        free(names[i]);
    }
    free(names);
    ck_assert_str_ne(name, "");
    size_t size, found = 0;
    char *bytes = read_whole(name, &size);
    const uint8_t *at = (uint8_t *)bytes, *end = at + size;
    for (; at < end; found++) {
        ck_assert_uint_lt(found, limit);
        uint64_t length;
        uint32_t length_crc, crc;
        ck_assert_int_ge(end - at, 16);
        memcpy(&length, at, 8);
        memcpy(&length_crc, at + 8, 4);
        ck_assert_uint_eq(length_crc, masked(crc32c(at, 8)));
        ck_assert_uint_ge((size_t)(end - at), length + 16);
        memcpy(&crc, at + 12 + length, 4);
        ck_assert_uint_eq(crc, masked(crc32c(at + 12, length)));
        parse_event(&records[found], at + 12, at + 12 + length);
        at += 16 + length;
    }
    free(bytes);
    return found;
}

START_TEST(the_event_file_has_a_version_a_start_and_a_summary_for_each_iteration)
{
    ck_assert_uint_eq(crc32c((const uint8_t *)"123456789", 9), 0xE3069283);  // RFC 3720's check value
    write_iterations(0, 1, 3, 0.5);
    struct record records[8];
    ck_assert_uint_eq(read_records(0, records, 8), 5);
    ck_assert_str_eq(records[0].version, "brain.Event:2");
    ck_assert_int_eq(records[1].session_start, 1);
    ck_assert_uint_eq(records[1].step, 0);
    for (size_t i = 0; i < 3; i++) {
        const struct record *record = &records[2 + i];
        ck_assert_uint_eq(record->step, 100 * (i + 1));
        ck_assert_double_ge(record->wall_time, records[0].wall_time);
        ck_assert_uint_eq(record->value_count, 2);
        ck_assert_str_eq(record->tags[0], "return/episode_1");
        ck_assert_float_eq(record->values[0], 0.5f * (float)(i + 1));
        ck_assert_str_eq(record->tags[1], "loss \"quoted\"\n");
        ck_assert(isnan(record->values[1]));
    }
}
END_TEST

START_TEST(a_resume_begins_a_later_event_file_that_voids_what_it_repeats)
{
    write_iterations(0, 1, 5, 1);
    write_iterations(300, 4, 6, 2);  // within the same second as the first
    write_iterations(0, 1, 1, 3);
    struct record records[8];
    ck_assert_uint_eq(read_records(0, records, 8), 7);
    ck_assert_uint_eq(records[6].step, 500);
    ck_assert_uint_eq(read_records(1, records, 8), 5);
    ck_assert_int_eq(records[1].session_start, 1);
    ck_assert_uint_eq(records[1].step, 301);
    ck_assert_uint_eq(records[2].step, 400);
    ck_assert_uint_eq(read_records(2, records, 8), 3);
    ck_assert_uint_eq(records[1].step, 0);
}
END_TEST

START_TEST(a_long_summary_is_written_whole)
{
    struct events *events;
    ck_assert_int_eq(events_open(&events, directory, 0, 1), 0);
    enum { COUNT = 1000 };
    static char names[COUNT][16];
    static struct events_value values[COUNT];
    for (int i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof names[i], "value/%d", i);
        values[i] = (struct events_value){names[i], i};
    }
    ck_assert_int_eq(events_write(events, UINT64_C(1) << 40, 1e6, values, COUNT, ""), 0);
    events_close(events);
    size_t size;
    char *bytes = read_whole("train.jsonl", &size);
    cJSON *object = cJSON_Parse(bytes);
    ck_assert_double_eq(cJSON_GetNumberValue(cJSON_GetObjectItem(object, "frames")), 0x1p40);
    for (int i = 0; i < COUNT; i++)
        ck_assert_double_eq(cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(object, names[i])), i);
    cJSON_Delete(object);
    free(bytes);
}
END_TEST

START_TEST(folders_are_made_and_a_path_that_cannot_be_is_an_error)
{
    char path[128];
    struct events *events = NULL;
    snprintf(path, sizeof path, "%s/outer/inner", directory);
    ck_assert_int_eq(events_open(&events, path, 0, 1), 0);
    events_close(events);
    struct stat status;
    ck_assert_int_eq(stat(path, &status), 0);

    snprintf(path, sizeof path, "%s/file", directory);
    fclose(fopen(path, "w"));
    events = NULL;
    ck_assert_int_eq(events_open(&events, path, 0, 1), -ENOTDIR);
    snprintf(path, sizeof path, "%s/file/below", directory);
    ck_assert_int_eq(events_open(&events, path, 0, 1), -ENOTDIR);
    ck_assert_ptr_null(events);
}
END_TEST

START_TEST(a_full_disk_is_an_error_of_the_write)
{
    char path[128];
    snprintf(path, sizeof path, "%s/train.jsonl", directory);
    ck_assert_int_eq(symlink("/dev/full", path), 0);
    struct events *events;
    // A device cannot be truncated; one or the other call must say that nothing can be written.
    int error = events_open(&events, directory, 0, 1);
    if (!error) {
        error = events_write(events, 1, 1, NULL, 0, "");
        events_close(events);
    }
    ck_assert_msg(error == -ENOSPC || error == -EINVAL, "%s", strerror(-error));
}
END_TEST

// ---- Progress: standard error goes to a file, which is no terminal.

START_TEST(without_a_terminal_progress_is_a_plain_line_now_and_then)
{
    char path[128];
    snprintf(path, sizeof path, "%s/stderr", directory);
    ck_assert_ptr_nonnull(freopen(path, "w", stderr));
    for (int quiet = 0; quiet < 2; quiet++) {
        struct events *events;
        ck_assert_int_eq(events_open(&events, NULL, 0, quiet), 0);
        for (int i = 0; i <= 100; i++) {
            char text[32];
            snprintf(text, sizeof text, "iteration %d", i);
            ck_assert_int_eq(events_write(events, (uint64_t)i, 1000 + i, NULL, 0, text), 0);
        }
        events_close(events);
    }
    fflush(stderr);
    size_t size;
    char *bytes = read_whole("stderr", &size);
    ck_assert_str_eq(bytes, "iteration 0\niteration 30\niteration 60\niteration 90\n");
    free(bytes);
}
END_TEST

// One test as a case of its own, in a directory of its own.
#define ADD(test)                                                                  \
    do {                                                                           \
        TCase *one = tcase_create(#test);                                          \
        tcase_set_timeout(one, SUITE_TIMEOUT_SECONDS);                             \
        tcase_add_checked_fixture(one, make_directory, remove_directory);          \
        tcase_add_test(one, test);                                                 \
        suite_add_tcase(suite, one);                                               \
    } while (0)

int main(void)
{
    Suite *suite = suite_create("events");
    ADD(each_iteration_is_one_json_object_on_one_line);
    ADD(a_resume_cuts_off_what_it_repeats_and_what_was_half_written);
    ADD(a_start_from_nothing_empties_the_lines);
    ADD(the_event_file_has_a_version_a_start_and_a_summary_for_each_iteration);
    ADD(a_resume_begins_a_later_event_file_that_voids_what_it_repeats);
    ADD(a_long_summary_is_written_whole);
    ADD(folders_are_made_and_a_path_that_cannot_be_is_an_error);
    ADD(a_full_disk_is_an_error_of_the_write);
    ADD(without_a_terminal_progress_is_a_plain_line_now_and_then);
    return suite_finish(suite);
}
