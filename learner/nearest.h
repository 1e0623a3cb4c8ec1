#pragma once
// What a mistyped name was to be.

#include <stddef.h>

// Of names, the one that text may have been meant to be; NULL: none is close.
const char *nearest_name(const char *text, const char *const *names, size_t count);
