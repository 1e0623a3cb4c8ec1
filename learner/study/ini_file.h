#pragma once
// Sections and keys of an INI file, each with its line, so that whoever finds a mistake can say where it is.
// libinih reads the syntax; what the names mean is the caller's.

#include <stddef.h>

enum { INI_SECTIONS = 64, INI_KEYS = 64, INI_NAME = 48, INI_VALUE = 1000 };

struct ini_key {
    char name[INI_NAME];
    char value[INI_VALUE];           // lines that begin with a blank continue it
    unsigned line;
};

struct ini_section {
    char name[INI_NAME];
    unsigned line;
    size_t count;
    struct ini_key keys[INI_KEYS];
};

struct ini_file {
    char path[512];
    size_t count;
    struct ini_section sections[INI_SECTIONS];
};

// About 4 MB: on the heap. 0; or a negative errno with a sentence that begins "PATH:LINE: ".
int ini_read(struct ini_file **file, const char *path, char *why, size_t why_size);
void ini_free(struct ini_file *file);

const struct ini_section *ini_find_section(const struct ini_file *file, const char *name);     // NULL: there is none
const struct ini_key *ini_find_key(const struct ini_section *section, const char *name);       // NULL: there is none
