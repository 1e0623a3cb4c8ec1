// By the number of letters that must be changed.

#include "nearest.h"

#include <string.h>

enum { LETTERS = 48 };           // longer names are near to nothing

// How many letters must be put in, left out or replaced (Levenshtein, row by row).
static size_t distance(const char *a, const char *b)
{
    size_t row[LETTERS + 1], length = strlen(b);
    if (length > LETTERS)
        return LETTERS;
    for (size_t j = 0; j <= length; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 1; j <= length; j++) {
            size_t replaced = diagonal + (a[i] != b[j - 1]), least = row[j] < row[j - 1] ? row[j] : row[j - 1];
            diagonal = row[j];
            row[j] = least + 1 < replaced ? least + 1 : replaced;
        }
    }
    return row[length];
}

const char *nearest_name(const char *text, const char *const *names, size_t count)
{
    const char *nearest = NULL;
    size_t least = 2 + strlen(text) / 4;  // two slips, and more in a long word
    for (size_t i = 0; i < count; i++) {
        size_t d = distance(text, names[i]);
        if (d < least && d < strlen(names[i])) {
            least = d;
            nearest = names[i];
        }
    }
    return nearest;
}
