#pragma once
// A file in one piece.

#include <stddef.h>
#include <stdint.h>

// *bytes is the caller's to free. Only regular files, no larger than a model may be; never waits for a writer. A
// negative errno with a sentence.
int whole_file_read(uint8_t **bytes, size_t *size, const char *path, char *why, size_t why_size);
// In place of what is there, whole or not at all, and on disk when it returns.
int whole_file_write(const char *path, const uint8_t *bytes, size_t size);
