// Reading and writing safetensors. The reader trusts nothing: it believes the header only after every range of
// bytes was found inside the file, as long as its shape says, and all of them together covering the data
// exactly once. The writer puts wide types first, so that every tensor of ours starts on a multiple of its size.
//
// Left out: types of less than a byte, and headers beyond a megabyte.

#include "safetensors.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "refuse.h"

struct pair {
    const char *key, *value;
};

// What a tensor's entry says before it is believed.
struct span {
    size_t begin, end;
    const char *name;
};

struct safetensors {
    cJSON *header;            // owns all names and values
    struct tensor *tensors;   // sorted by name
    size_t count;
    struct pair *metadata;
    size_t metadata_count;
};

static const struct {
    char name[8];
    size_t size;
} dtypes[] = {
    {"F64", 8}, {"I64", 8}, {"U64", 8}, {"F32", 4}, {"I32", 4}, {"U32", 4}, {"F16", 2}, {"BF16", 2},
    {"I16", 2}, {"U16", 2}, {"I8", 1}, {"U8", 1}, {"BOOL", 1}, {"F8_E4M3", 1}, {"F8_E5M2", 1},
};

// Bytes of one number; 0: an unknown type.
static size_t dtype_size(const char *name)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (strcmp(dtypes[i].name, name) == 0)
            return dtypes[i].size;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct tensor *)a)->name, ((const struct tensor *)b)->name);
}

static int by_offset(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct pair *)a)->key, ((const struct pair *)b)->key);
}

// A JSON number as a whole number; false when it is anything else. Doubles hold integers to 2^53.
static bool whole(const cJSON *item, size_t *value)
{
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= 0x1p53))
        return false;
    *value = (size_t)item->valuedouble;
    return (double)*value == item->valuedouble;
}

// Adds the entry "name": {"dtype", "shape", "data_offsets"}.
static int read_tensor(struct tensor *tensor, struct span *span, const cJSON *entry, const uint8_t *data,
                       size_t data_size, char *why, size_t why_size)
{
    const char *name = entry->string;
    if (!cJSON_IsObject(entry))
        return refuse(why, why_size, -EINVAL, "the entry of tensor \"%.64s\" is not an object", name);

    const cJSON *dtype = NULL, *shape = NULL, *offsets = NULL, *field;
    cJSON_ArrayForEach(field, entry) {
        const cJSON **slot = strcmp(field->string, "dtype") == 0          ? &dtype
                             : strcmp(field->string, "shape") == 0        ? &shape
                             : strcmp(field->string, "data_offsets") == 0 ? &offsets
                                                                          : NULL;
        if (slot == NULL || *slot != NULL)
            return refuse(why, why_size, -EINVAL, "tensor \"%.64s\" has %s \"%.64s\"", name,
                          slot ? "twice the field" : "an unknown field", field->string);
        *slot = field;
    }

    if (!cJSON_IsString(dtype) || dtype_size(dtype->valuestring) == 0)
        return refuse(why, why_size, -EINVAL, "tensor \"%.64s\" has no known dtype", name);
    if (!cJSON_IsArray(shape))
        return refuse(why, why_size, -EINVAL, "tensor \"%.64s\" has no shape", name);

    *tensor = (struct tensor){.name = name, .count = 1};
    strcpy(tensor->dtype, dtype->valuestring);
    const cJSON *dim;
    cJSON_ArrayForEach(dim, shape) {
        if (tensor->dim_count == SAFETENSORS_DIMS_LIMIT)
            return refuse(why, why_size, -EINVAL, "tensor \"%.64s\" has more than %d dimensions", name,
                          SAFETENSORS_DIMS_LIMIT);
        size_t *value = &tensor->dims[tensor->dim_count++];
        if (!whole(dim, value))
            return refuse(why, why_size, -EINVAL, "dimension %zu of tensor \"%.64s\" is not a whole number",
                          tensor->dim_count - 1, name);
        if (__builtin_mul_overflow(tensor->count, *value, &tensor->count))
            return refuse(why, why_size, -EINVAL, "the shape of tensor \"%.64s\" is too large", name);
    }

    if (!cJSON_IsArray(offsets) || cJSON_GetArraySize(offsets) != 2
        || !whole(cJSON_GetArrayItem(offsets, 0), &span->begin)
        || !whole(cJSON_GetArrayItem(offsets, 1), &span->end))
        return refuse(why, why_size, -EINVAL, "tensor \"%.64s\" has no data_offsets of two whole numbers", name);
    if (span->begin > span->end || span->end > data_size)
        return refuse(why, why_size, -EINVAL, "tensor \"%.64s\" lies at bytes %zu to %zu of %zu", name,
                      span->begin, span->end, data_size);

    size_t bytes;
    if (__builtin_mul_overflow(tensor->count, dtype_size(tensor->dtype), &bytes))
        return refuse(why, why_size, -EINVAL, "the shape of tensor \"%.64s\" is too large", name);
    if (bytes != span->end - span->begin)
        return refuse(why, why_size, -EINVAL, "tensor \"%.64s\" has %zu bytes where its shape needs %zu", name,
                      span->end - span->begin, bytes);
    tensor->data = data + span->begin;
    span->name = name;
    return 0;
}

static int read_metadata(struct safetensors *file, const cJSON *entry, char *why, size_t why_size)
{
    if (!cJSON_IsObject(entry))
        return refuse(why, why_size, -EINVAL, "__metadata__ is not an object");
    file->metadata = calloc((size_t)cJSON_GetArraySize(entry) + 1, sizeof *file->metadata);
    if (file->metadata == NULL)
        return refuse(why, why_size, -ENOMEM, "no memory for the metadata");
    const cJSON *item;
    cJSON_ArrayForEach(item, entry) {
        if (!cJSON_IsString(item))
            return refuse(why, why_size, -EINVAL, "metadata \"%.64s\" is not a string", item->string);
        file->metadata[file->metadata_count++] = (struct pair){item->string, item->valuestring};
    }
    qsort(file->metadata, file->metadata_count, sizeof *file->metadata, by_key);
    for (size_t i = 1; i < file->metadata_count; i++)
        if (strcmp(file->metadata[i - 1].key, file->metadata[i].key) == 0)
            return refuse(why, why_size, -EINVAL, "metadata \"%.64s\" appears twice", file->metadata[i].key);
    return 0;
}

// All data belongs to exactly one tensor.
static int check_coverage(struct span *spans, size_t count, size_t data_size, char *why, size_t why_size)
{
    qsort(spans, count, sizeof *spans, by_offset);
    size_t end = 0;
    for (size_t i = 0; i < count; i++) {
        if (spans[i].begin != end)
            return refuse(why, why_size, -EINVAL, "tensor \"%.64s\" begins at byte %zu: %s", spans[i].name,
                          spans[i].begin,
                          spans[i].begin < end ? "it overlaps another" : "there is a gap before it");
        end = spans[i].end;
    }
    if (end != data_size)
        return refuse(why, why_size, -EINVAL, "%zu bytes after the last tensor belong to none", data_size - end);
    return 0;
}

static int read_entries(struct safetensors *file, const uint8_t *data, size_t data_size, char *why,
                        size_t why_size)
{
    size_t limit = (size_t)cJSON_GetArraySize(file->header) + 1;
    struct span *spans = calloc(limit, sizeof *spans);
    file->tensors = calloc(limit, sizeof *file->tensors);
    int error = 0;
    if (spans == NULL || file->tensors == NULL)
        error = refuse(why, why_size, -ENOMEM, "no memory for the header");

    const cJSON *entry;
    for (entry = file->header->child; entry && error == 0; entry = entry->next) {
        if (strcmp(entry->string, "__metadata__") != 0) {
            error = read_tensor(&file->tensors[file->count], &spans[file->count], entry, data, data_size, why,
                                why_size);
            file->count += error == 0;
        } else if (file->metadata) {
            error = refuse(why, why_size, -EINVAL, "__metadata__ appears twice");
        } else {
            error = read_metadata(file, entry, why, why_size);
        }
    }
    if (error == 0) {
        qsort(file->tensors, file->count, sizeof *file->tensors, by_name);
        for (size_t i = 1; i < file->count && error == 0; i++)
            if (strcmp(file->tensors[i - 1].name, file->tensors[i].name) == 0)
                error = refuse(why, why_size, -EINVAL, "tensor \"%.64s\" appears twice", file->tensors[i].name);
    }
    if (error == 0)
        error = check_coverage(spans, file->count, data_size, why, why_size);
    free(spans);
    return error;
}

// The header as a tree; NULL with a sentence. cJSON gets a terminated copy. A zero character, plain or escaped,
// would end a C string early and let two names look like one, so it is refused first.
static cJSON *read_header(const uint8_t *bytes, size_t size, char *why, size_t why_size)
{
    if (size == 0 || bytes[0] != '{') {
        refuse(why, why_size, 0, "the header does not begin with an object");
        return NULL;
    }
    if (memchr(bytes, 0, size) || memmem(bytes, size, "\\u0000", 6)) {
        refuse(why, why_size, 0, "the header holds a zero character");
        return NULL;
    }
    char *text = malloc(size + 1);
    if (text == NULL) {
        refuse(why, why_size, 0, "no memory for the header");
        return NULL;
    }
    memcpy(text, bytes, size);
    text[size] = 0;
    cJSON *header = cJSON_ParseWithLengthOpts(text, size + 1, NULL, true);
    free(text);
    if (header == NULL)
        refuse(why, why_size, 0, "the header is not JSON");
    return header;
}

int safetensors_parse(struct safetensors **result, const uint8_t *bytes, size_t size, char *why, size_t why_size)
{
    if (size > SAFETENSORS_FILE_LIMIT)
        return refuse(why, why_size, -EFBIG, "the file has %zu bytes, more than %d", size, SAFETENSORS_FILE_LIMIT);
    if (size < 8)
        return refuse(why, why_size, -EINVAL, "the file has %zu bytes, too few for a header", size);
    uint64_t header_size = 0;
    for (int i = 7; i >= 0; i--)
        header_size = header_size << 8 | bytes[i];
    if (header_size > SAFETENSORS_HEADER_LIMIT)
        return refuse(why, why_size, -EINVAL, "the header has %llu bytes, more than %d",
                      (unsigned long long)header_size, SAFETENSORS_HEADER_LIMIT);
    if (header_size > size - 8)
        return refuse(why, why_size, -EINVAL, "the header has %llu bytes, more than the file",
                      (unsigned long long)header_size);

    struct safetensors *file = calloc(1, sizeof *file);
    if (file == NULL)
        return refuse(why, why_size, -ENOMEM, "no memory for the header");
    int error = -EINVAL;
    file->header = read_header(bytes + 8, (size_t)header_size, why, why_size);
    if (file->header)
        error = read_entries(file, bytes + 8 + header_size, size - 8 - (size_t)header_size, why, why_size);
    if (error) {
        safetensors_free(file);
        return error;
    }
    *result = file;
    return 0;
}

void safetensors_free(struct safetensors *file)
{
    if (file == NULL)
        return;
    cJSON_Delete(file->header);
    free(file->tensors);
    free(file->metadata);
    free(file);
}

const struct tensor *safetensors_find(const struct safetensors *file, const char *name)
{
    struct tensor key = {.name = name};
    return bsearch(&key, file->tensors, file->count, sizeof key, by_name);
}

const struct tensor *safetensors_at(const struct safetensors *file, size_t i)
{
    return i < file->count ? &file->tensors[i] : NULL;
}

const char *safetensors_metadata(const struct safetensors *file, const char *key)
{
    if (file->metadata_count == 0)
        return NULL;
    struct pair wanted = {.key = key};
    const struct pair *found = bsearch(&wanted, file->metadata, file->metadata_count, sizeof wanted, by_key);
    return found ? found->value : NULL;
}

struct entry {
    char *name;
    size_t dtype;             // index into dtypes
    size_t dims[SAFETENSORS_DIMS_LIMIT], dim_count;
    size_t bytes;
    void *data;
};

struct safetensors_writer {
    struct entry *entries;
    size_t count, capacity;
    cJSON *metadata;
};

struct safetensors_writer *safetensors_writer_new(void)
{
    struct safetensors_writer *writer = calloc(1, sizeof *writer);
    if (writer && (writer->metadata = cJSON_CreateObject()) == NULL) {
        free(writer);
        return NULL;
    }
    return writer;
}

void safetensors_writer_free(struct safetensors_writer *writer)
{
    if (writer == NULL)
        return;
    for (size_t i = 0; i < writer->count; i++) {
        free(writer->entries[i].name);
        free(writer->entries[i].data);
    }
    free(writer->entries);
    cJSON_Delete(writer->metadata);
    free(writer);
}

int safetensors_add(struct safetensors_writer *writer, const char *name, const char *dtype, const void *data,
                    const size_t *dims, size_t dim_count)
{
    if (dtype_size(dtype) == 0 || dim_count > SAFETENSORS_DIMS_LIMIT || strcmp(name, "__metadata__") == 0)
        return -EINVAL;
    struct entry entry = {.dim_count = dim_count, .bytes = dtype_size(dtype)};
    while (strcmp(dtypes[entry.dtype].name, dtype) != 0)
        entry.dtype++;
    for (size_t i = 0; i < dim_count; i++) {
        entry.dims[i] = dims[i];
        if (__builtin_mul_overflow(entry.bytes, dims[i], &entry.bytes) || entry.bytes > SAFETENSORS_FILE_LIMIT)
            return -EFBIG;
    }
    for (size_t i = 0; i < writer->count; i++)
        if (strcmp(writer->entries[i].name, name) == 0)
            return -EEXIST;

    if (writer->count == writer->capacity) {
        size_t capacity = writer->capacity ? 2 * writer->capacity : 32;
        struct entry *entries = realloc(writer->entries, capacity * sizeof *entries);
        if (entries == NULL)
            return -ENOMEM;
        writer->entries = entries;
        writer->capacity = capacity;
    }
    entry.name = strdup(name);
    entry.data = malloc(entry.bytes ? entry.bytes : 1);
    if (entry.name == NULL || entry.data == NULL) {
        free(entry.name);
        free(entry.data);
        return -ENOMEM;
    }
    if (entry.bytes)
        memcpy(entry.data, data, entry.bytes);
    writer->entries[writer->count++] = entry;
    return 0;
}

int safetensors_describe(struct safetensors_writer *writer, const char *key, const char *value)
{
    if (cJSON_GetObjectItemCaseSensitive(writer->metadata, key))
        return -EEXIST;
    return cJSON_AddStringToObject(writer->metadata, key, value) ? 0 : -ENOMEM;
}

// Adds one tensor to the header; offset moves past it.
static bool describe_entry(cJSON *header, const struct entry *entry, size_t *offset)
{
    cJSON *item = cJSON_AddObjectToObject(header, entry->name);
    cJSON *dtype = cJSON_AddStringToObject(item, "dtype", dtypes[entry->dtype].name);
    cJSON *shape = cJSON_AddArrayToObject(item, "shape");
    cJSON *offsets = cJSON_AddArrayToObject(item, "data_offsets");
    if (dtype == NULL || shape == NULL || offsets == NULL)
        return false;
    for (size_t i = 0; i < entry->dim_count; i++)
        if (!cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)entry->dims[i])))
            return false;
    size_t end = *offset + entry->bytes;
    if (!cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)*offset))
        || !cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)end)))
        return false;
    *offset = end;
    return true;
}

// Entries in the order of the file, the widest types first: start with *size = 8 and *i = 0.
static const struct entry *next_entry(const struct safetensors_writer *writer, size_t *size, size_t *i)
{
    for (; *size > 0; *size /= 2, *i = 0)
        while (*i < writer->count)
            if (dtypes[writer->entries[(*i)++].dtype].size == *size)
                return &writer->entries[*i - 1];
    return NULL;
}

// The header's text, the caller's; NULL: no memory.
static char *make_header(struct safetensors_writer *writer, size_t *data_size)
{
    cJSON *header = cJSON_CreateObject();
    bool good = header != NULL;
    // The metadata is lent to the header. (A reference would leak when memory ends, as of cJSON 1.7.15.)
    bool lent = good && writer->metadata->child && cJSON_AddItemToObject(header, "__metadata__", writer->metadata);
    good = good && (lent || writer->metadata->child == NULL);
    const struct entry *entry;
    for (size_t size = 8, i = 0; good && (entry = next_entry(writer, &size, &i));)
        good = describe_entry(header, entry, data_size);
    char *text = good ? cJSON_PrintUnformatted(header) : NULL;
    if (lent)
        cJSON_DetachItemViaPointer(header, writer->metadata);
    cJSON_Delete(header);
    return text;
}

static int write_all(int fd, const void *data, size_t size)
{
    const char *bytes = data;
    while (size > 0) {
        ssize_t done = write(fd, bytes, size);
        if (done < 0 && errno != EINTR)
            return -errno;
        if (done > 0) {
            bytes += done;
            size -= (size_t)done;
        }
    }
    return 0;
}

// The whole file: length, header padded by spaces to a multiple of 8, tensors. The caller's to free.
int safetensors_bytes(struct safetensors_writer *writer, uint8_t **bytes, size_t *size)
{
    size_t data_size = 0;
    char *header = make_header(writer, &data_size);
    if (header == NULL)
        return -ENOMEM;
    size_t length = strlen(header), padded = (length + 7) / 8 * 8;
    int error = length + 8 > SAFETENSORS_HEADER_LIMIT
                    || data_size > SAFETENSORS_FILE_LIMIT - SAFETENSORS_HEADER_LIMIT - 8 ? -EFBIG : 0;
    uint8_t *at = error ? NULL : malloc(8 + padded + data_size);
    if (at) {
        *bytes = at;
        *size = 8 + padded + data_size;
        for (int i = 0; i < 8; i++)
            *at++ = (uint8_t)((uint64_t)padded >> 8 * i);
        memset(at, ' ', padded);
        memcpy(at, header, length);
        at += padded;
        const struct entry *entry;
        for (size_t width = 8, i = 0; (entry = next_entry(writer, &width, &i)); at += entry->bytes)
            memcpy(at, entry->data, entry->bytes);
    }
    free(header);
    return error ? error : at ? 0 : -ENOMEM;
}

// A new file beside path, open for writing; its name in temporary (room for strlen(path) + 32).
static int open_temporary(char *temporary, const char *path)
{
    int fd = -EEXIST;
    for (unsigned i = 0; fd == -EEXIST && i < 100; i++) {
        sprintf(temporary, "%s.%ld.%u.tmp", path, (long)getpid(), i);
        fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0)
            fd = -errno;
    }
    return fd;
}

// A rename is on disk when its directory is.
static int sync_directory(const char *path, char *room)
{
    strcpy(room, path);
    int fd = open(dirname(room), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int error = fsync(fd) ? -errno : 0;
    close(fd);
    return error;
}

int safetensors_write(struct safetensors_writer *writer, const char *path)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    char *temporary = malloc(strlen(path) + 32);
    int error = temporary ? safetensors_bytes(writer, &bytes, &size) : -ENOMEM;
    int fd = error ? error : open_temporary(temporary, path);
    if (fd < 0) {
        error = fd;
        goto done;
    }
    error = write_all(fd, bytes, size);
    if (error == 0 && fsync(fd))
        error = -errno;
    if (close(fd) && error == 0)
        error = -errno;
    if (error == 0 && rename(temporary, path))
        error = -errno;
    if (error)
        unlink(temporary);
    else
        error = sync_directory(path, temporary);
done:
    free(bytes);
    free(temporary);
    return error;
}
