// Reading safetensors written by us and by others, and refusing everything that is not one.

#include "daemon/policy/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/suite.h"

struct bytes {
    uint8_t *data;
    size_t size;
};

// A file in a block of its own size, so that a sanitizer sees the first byte read beyond it.
static struct bytes make_file(const char *header, size_t header_size, size_t data_size)
{
    struct bytes file = {malloc(8 + header_size + data_size), 8 + header_size + data_size};
    ck_assert_ptr_nonnull(file.data);
    for (int i = 0; i < 8; i++)
        file.data[i] = (uint8_t)((uint64_t)header_size >> 8 * i);
    memcpy(file.data + 8, header, header_size);
    for (size_t i = 0; i < data_size; i++)
        file.data[8 + header_size + i] = (uint8_t)i;
    return file;
}

static int parse(const char *header, size_t data_size, char *why, size_t why_size)
{
    struct bytes file = make_file(header, strlen(header), data_size);
    struct safetensors *result = NULL;
    int error = safetensors_parse(&result, file.data, file.size, why, why_size);
    ck_assert_int_eq(error == 0, result != NULL);
    safetensors_free(result);
    free(file.data);
    return error;
}

#define TENSOR(name, dtype, shape, offsets) \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static const struct {
    const char *header;
    size_t data_size;
    const char *sentence;  // part of it
} refused[] = {
    {"", 0, "does not begin with an object"},
    {"[]", 0, "does not begin with an object"},
    {" {}", 0, "does not begin with an object"},
    {"{", 0, "not JSON"},
    {"{}x", 0, "not JSON"},
    {"{}{}", 0, "not JSON"},
    {"{\"a\":}", 0, "not JSON"},
    {"{\"a\\u0000b\":1}", 0, "zero character"},
    {"{}", 1, "1 bytes after the last tensor"},
    {"{\"a\":1}", 0, "\"a\" is not an object"},
    {"{\"a\":[]}", 0, "\"a\" is not an object"},
    {"{\"a\":{}}", 0, "no known dtype"},
    {"{\"a\":{\"dtype\":\"F32\"}}", 0, "no shape"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[]}}", 0, "no data_offsets"},
    {"{\"a\":{\"dtype\":4,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "no known dtype"},
    {"{" TENSOR("a", "F31", "[1]", "[0,4]") "}", 4, "no known dtype"},
    {"{" TENSOR("a", "f32", "[1]", "[0,4]") "}", 4, "no known dtype"},
    {"{" TENSOR("a", "F32F32F32F32", "[1]", "[0,4]") "}", 4, "no known dtype"},
    {"{" TENSOR("a", "F32", "1", "[0,4]") "}", 4, "no shape"},
    {"{" TENSOR("a", "F32", "[1.5]", "[0,4]") "}", 4, "not a whole number"},
    {"{" TENSOR("a", "F32", "[-1]", "[0,4]") "}", 4, "not a whole number"},
    {"{" TENSOR("a", "F32", "[1e400]", "[0,4]") "}", 4, "not a whole number"},
    {"{" TENSOR("a", "F32", "[\"1\"]", "[0,4]") "}", 4, "not a whole number"},
    {"{" TENSOR("a", "F32", "[1e18]", "[0,4]") "}", 4, "not a whole number"},
    {"{" TENSOR("a", "F32", "[1,1,1,1,1]", "[0,4]") "}", 4, "more than 4 dimensions"},
    {"{" TENSOR("a", "F32", "[4294967296,4294967296]", "[0,4]") "}", 4, "too large"},
    {"{" TENSOR("a", "F32", "[4294967296,4294967296,0]", "[0,0]") "}", 0, "too large"},
    {"{" TENSOR("a", "F64", "[4503599627370496,1024]", "[0,4]") "}", 4, "too large"},
    {"{" TENSOR("a", "F32", "[1]", "[0]") "}", 4, "data_offsets"},
    {"{" TENSOR("a", "F32", "[1]", "[0,4,4]") "}", 4, "data_offsets"},
    {"{" TENSOR("a", "F32", "[1]", "[0,-4]") "}", 4, "data_offsets"},
    {"{" TENSOR("a", "F32", "[1]", "[0,4.5]") "}", 4, "data_offsets"},
    {"{" TENSOR("a", "F32", "[1]", "[0,null]") "}", 4, "data_offsets"},
    {"{" TENSOR("a", "F32", "[1]", "[4,0]") "}", 4, "lies at bytes 4 to 0 of 4"},
    {"{" TENSOR("a", "F32", "[1]", "[0,8]") "}", 4, "lies at bytes 0 to 8 of 4"},
    {"{" TENSOR("a", "F32", "[1]", "[9007199254740990,9007199254740992]") "}", 4, "lies at bytes"},
    {"{" TENSOR("a", "F32", "[2]", "[0,4]") "}", 4, "4 bytes where its shape needs 8"},
    {"{" TENSOR("a", "F64", "[1]", "[0,4]") "}", 4, "4 bytes where its shape needs 8"},
    {"{" TENSOR("a", "F32", "[0]", "[0,4]") "}", 4, "4 bytes where its shape needs 0"},
    {"{" TENSOR("a", "F32", "[1]", "[4,8]") "}", 8, "a gap before it"},
    {"{" TENSOR("a", "F32", "[1]", "[0,4]") "}", 5, "1 bytes after the last tensor"},
    {"{" TENSOR("a", "F32", "[1]", "[0,4]") "," TENSOR("b", "F32", "[1]", "[0,4]") "}", 4, "overlaps another"},
    {"{" TENSOR("a", "F32", "[1]", "[0,4]") "," TENSOR("b", "F32", "[1]", "[2,6]") "}", 6, "overlaps another"},
    {"{" TENSOR("a", "F32", "[1]", "[0,4]") "," TENSOR("b", "F32", "[1]", "[6,10]") "}", 10, "a gap before it"},
    {"{" TENSOR("a", "F32", "[1]", "[0,4]") "," TENSOR("a", "F32", "[1]", "[4,8]") "}", 8, "\"a\" appears twice"},
    {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "twice the field"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"b\":1}}", 4, "unknown field"},
    {"{\"__metadata__\":1}", 0, "__metadata__ is not an object"},
    {"{\"__metadata__\":{\"a\":1}}", 0, "metadata \"a\" is not a string"},
    {"{\"__metadata__\":{\"a\":\"1\",\"b\":\"\",\"a\":\"2\"}}", 0, "metadata \"a\" appears twice"},
    {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "__metadata__ appears twice"},
    {"{\"\\u001b[2J\":1}", 0, "?[2J"},
};

START_TEST(a_malformed_header_is_refused_with_a_sentence)
{
    char why[256];
    int error = parse(refused[_i].header, refused[_i].data_size, why, sizeof why);
    ck_assert_msg(error == -EINVAL, "%s: %d", refused[_i].header, error);
    ck_assert_msg(strstr(why, refused[_i].sentence) != NULL, "%s: said \"%s\"", refused[_i].header, why);
}
END_TEST

START_TEST(lengths_beyond_the_file_or_the_limits_are_refused)
{
    static const uint8_t lengths[][8] = {
        {3}, {0, 0, 0, 0, 0, 0, 0, 0x80}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, {0, 0, 0x10, 0, 1},
        {1, 0, 0x10},
    };
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        uint8_t file[10] = {[8] = '{', [9] = '}'};
        memcpy(file, lengths[i], 8);
        struct safetensors *result;
        char why[128] = "";
        ck_assert_int_eq(safetensors_parse(&result, file, sizeof file, why, sizeof why), -EINVAL);
        ck_assert_ptr_nonnull(strstr(why, "more than"));
    }
}
END_TEST

START_TEST(deep_nesting_is_refused)
{
    enum { DEPTH = 200000 };
    char *header = malloc(2 * DEPTH + 16), why[128];
    memcpy(header, "{\"a\":", 5);
    memset(header + 5, '[', DEPTH);
    memset(header + 5 + DEPTH, ']', DEPTH);
    strcpy(header + 5 + 2 * DEPTH, "}");
    ck_assert_int_eq(parse(header, 0, why, sizeof why), -EINVAL);
    free(header);
}
END_TEST

START_TEST(many_names_are_looked_at_quickly)
{
    // Nearly a megabyte of the same name: told apart by sorting, not by comparing each with each.
    char *header = malloc(1 << 20), why[128];
    size_t size = 1;
    header[0] = '{';
    while (size < (1 << 20) - 80)
        size += (size_t)sprintf(header + size, TENSOR("a", "F32", "[0]", "[0,0]") ",");
    strcpy(header + size - 1, "}");
    ck_assert_int_eq(parse(header, 0, why, sizeof why), -EINVAL);
    ck_assert_str_eq(why, "tensor \"a\" appears twice");
    free(header);
}
END_TEST

static const char good[] = "{\"__metadata__\":{\"k\":\"v\"}," TENSOR("b", "F32", "[2,3]", "[8,32]") ","
    TENSOR("scalar", "I64", "[]", "[0,8]") "," TENSOR("empty", "BF16", "[0,7]", "[32,32]") ","
    TENSOR("z", "F8_E4M3", "[1]", "[32,33]") "}  ";

START_TEST(a_good_file_is_read_as_it_is)
{
    struct bytes file = make_file(good, strlen(good), 33);
    struct safetensors *result;
    char why[128];
    ck_assert_int_eq(safetensors_parse(&result, file.data, file.size, why, sizeof why), 0);
    const struct tensor *b = safetensors_find(result, "b");
    ck_assert_ptr_nonnull(b);
    ck_assert_str_eq(b->dtype, "F32");
    ck_assert_uint_eq(b->dim_count, 2);
    ck_assert_uint_eq(b->dims[0], 2);
    ck_assert_uint_eq(b->dims[1], 3);
    ck_assert_uint_eq(b->count, 6);
    ck_assert_uint_eq(((const uint8_t *)b->data)[0], 8);
    ck_assert_uint_eq(safetensors_find(result, "scalar")->count, 1);
    ck_assert_uint_eq(safetensors_find(result, "empty")->count, 0);
    ck_assert_str_eq(safetensors_find(result, "z")->dtype, "F8_E4M3");
    ck_assert_ptr_null(safetensors_find(result, "c"));
    ck_assert_str_eq(safetensors_at(result, 0)->name, "b");
    ck_assert_str_eq(safetensors_at(result, 3)->name, "z");
    ck_assert_ptr_null(safetensors_at(result, 4));
    ck_assert_str_eq(safetensors_metadata(result, "k"), "v");
    ck_assert_ptr_null(safetensors_metadata(result, "b"));
    safetensors_free(result);
    free(file.data);
}
END_TEST

START_TEST(a_file_cut_anywhere_is_refused)
{
    struct bytes file = make_file(good, strlen(good), 33);
    for (size_t size = 0; size < file.size; size++) {
        uint8_t *cut = malloc(size ? size : 1);
        memcpy(cut, file.data, size);
        struct safetensors *result = NULL;
        char why[128] = "";
        ck_assert_int_lt(safetensors_parse(&result, cut, size, why, sizeof why), 0);
        ck_assert_ptr_null(result);
        ck_assert_uint_gt(strlen(why), 10);
        free(cut);
    }
    free(file.data);
}
END_TEST

static struct bytes read_file(const char *path)
{
    FILE *stream = fopen(path, "rb");
    ck_assert_ptr_nonnull(stream);
    struct bytes file = {malloc(1 << 16), 0};
    file.size = fread(file.data, 1, 1 << 16, stream);
    fclose(stream);
    return file;
}

static char directory[] = "safetensors.XXXXXX";

START_TEST(what_was_written_is_read_back_aligned)
{
    ck_assert_ptr_nonnull(mkdtemp(directory));
    char path[64], pattern[64];
    sprintf(path, "%s/file", directory);
    float odd[3] = {1, 2, 3};
    double wide[4] = {4, 5, 6, 7};
    const char *text = "quote \" backslash \\ umlaut \xc3\xbc newline \n";

    struct safetensors_writer *writer = safetensors_writer_new();
    ck_assert_int_eq(safetensors_add(writer, "odd", "F32", odd, (size_t[]){3}, 1), 0);
    ck_assert_int_eq(safetensors_add(writer, "wide", "F64", wide, (size_t[]){2, 2}, 2), 0);
    ck_assert_int_eq(safetensors_add(writer, "wide", "F64", wide, (size_t[]){2, 2}, 2), -EEXIST);
    ck_assert_int_eq(safetensors_add(writer, "__metadata__", "F64", wide, (size_t[]){4}, 1), -EINVAL);
    ck_assert_int_eq(safetensors_add(writer, "what", "F33", wide, (size_t[]){4}, 1), -EINVAL);
    ck_assert_int_eq(safetensors_add(writer, "huge", "F64", wide, (size_t[]){1 << 30}, 1), -EFBIG);
    ck_assert_int_eq(safetensors_describe(writer, "text", text), 0);
    ck_assert_int_eq(safetensors_describe(writer, "text", text), -EEXIST);
    ck_assert_int_eq(safetensors_write(writer, path), 0);
    ck_assert_int_eq(safetensors_write(writer, path), 0);  // over the first
    ck_assert_int_eq(safetensors_write(writer, "/nowhere/file"), -ENOENT);
    safetensors_writer_free(writer);

    struct bytes file = read_file(path);
    struct safetensors *result;
    char why[128];
    ck_assert_int_eq(safetensors_parse(&result, file.data, file.size, why, sizeof why), 0);
    const struct tensor *tensor = safetensors_find(result, "odd");
    ck_assert_int_eq(memcmp(tensor->data, odd, sizeof odd), 0);
    ck_assert_uint_eq((size_t)((const uint8_t *)tensor->data - file.data) % 4, 0);
    tensor = safetensors_find(result, "wide");
    ck_assert_int_eq(memcmp(tensor->data, wide, sizeof wide), 0);
    ck_assert_uint_eq((size_t)((const uint8_t *)tensor->data - file.data) % 8, 0);
    ck_assert_str_eq(safetensors_metadata(result, "text"), text);
    safetensors_free(result);
    free(file.data);

    // No temporary file stays behind.
    sprintf(pattern, "%s/*", directory);
    glob_t found;
    ck_assert_int_eq(glob(pattern, 0, NULL, &found), 0);
    ck_assert_uint_eq(found.gl_pathc, 1);
    globfree(&found);
    unlink(path);
    rmdir(directory);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("safetensors");
    SUITE_TEST_EACH(suite, a_malformed_header_is_refused_with_a_sentence, sizeof refused / sizeof *refused);
    SUITE_TEST(suite, lengths_beyond_the_file_or_the_limits_are_refused);
    SUITE_TEST(suite, deep_nesting_is_refused);
    SUITE_TEST(suite, many_names_are_looked_at_quickly);
    SUITE_TEST(suite, a_good_file_is_read_as_it_is);
    SUITE_TEST(suite, a_file_cut_anywhere_is_refused);
    SUITE_TEST(suite, what_was_written_is_read_back_aligned);
    return suite_finish(suite);
}
