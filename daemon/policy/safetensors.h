#pragma once
// The safetensors container: 8-byte little-endian header length, JSON header, tensors one after the other.
// The reader treats a file as hostile: lengths against the file, shapes against byte ranges, overlaps,
// gaps, repeated names, all with a sentence.

#include <stddef.h>
#include <stdint.h>

enum { SAFETENSORS_HEADER_LIMIT = 1 << 20, SAFETENSORS_DIMS_LIMIT = 4, SAFETENSORS_FILE_LIMIT = 1 << 28 };

struct tensor {
    const char *name;
    char dtype[8];            // "F32", "F64", "I64", ... ; ours are F32 and F64
    size_t dims[SAFETENSORS_DIMS_LIMIT];
    size_t dim_count;
    size_t count;             // product of dims
    const void *data;         // little-endian, aligned to 8 if the writer was ours; copy before use
};

struct safetensors;

// bytes stay the caller's and must outlive the result. On failure returns a negative errno and a sentence.
int safetensors_parse(struct safetensors **file, const uint8_t *bytes, size_t size, char *why, size_t why_size);
void safetensors_free(struct safetensors *file);
const struct tensor *safetensors_find(const struct safetensors *file, const char *name);  // or NULL
const struct tensor *safetensors_at(const struct safetensors *file, size_t i);             // or NULL past the end
const char *safetensors_metadata(const struct safetensors *file, const char *key);         // or NULL

// Writing: gather, then write (temporary file, fsync, rename).
struct safetensors_writer;
struct safetensors_writer *safetensors_writer_new(void);
void safetensors_writer_free(struct safetensors_writer *writer);
int safetensors_add(struct safetensors_writer *writer, const char *name, const char *dtype, const void *data,
                    const size_t *dims, size_t dim_count);  // data is copied
int safetensors_describe(struct safetensors_writer *writer, const char *key, const char *value);
int safetensors_write(struct safetensors_writer *writer, const char *path);
// What the file would hold; the caller's to free.
int safetensors_bytes(struct safetensors_writer *writer, uint8_t **bytes, size_t *size);
