#pragma once
// How a reader of files says no: a sentence for the operator, and the errno that goes with it.

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

// Writes the sentence and returns error, so that a check reads `return refuse(...)`. Control characters that
// came from the file are shown as '?', for the sentence ends up in logs and on terminals.
__attribute__((format(printf, 4, 5)))
static inline int refuse(char *why, size_t why_size, int error, const char *format, ...)
{
    if (why_size == 0)
        return error;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, why_size, format, arguments);
    va_end(arguments);
    for (char *c = why; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    return error;
}
