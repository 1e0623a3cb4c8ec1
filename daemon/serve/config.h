#pragma once
// What the operator says: lines of `key = value`, explained in deploy/beliefd.conf. Anything unknown, doubled or
// out of range refuses the start with file, line and key, for a daemon that guesses is worse than one that stops.

#include "address.h"
#include "limits.h"

enum { CONFIG_LISTEN_LIMIT = 16, CONFIG_FILE_LIMIT = 1 << 20 };

struct config {
    struct address listen[CONFIG_LISTEN_LIMIT];
    size_t listen_count;
    char *models[MODELS_LIMIT];   // paths
    size_t model_count;
    unsigned socket_mode;
    struct limits limits;
    uint64_t drain_us;
    int log_level;                // enum log_level
};

void config_init(struct config *config);  // the defaults
void config_release(struct config *config);

// -EINVAL with a sentence.
int config_add_listen(struct config *config, const char *text, char *why, size_t why_size);
int config_add_model(struct config *config, const char *path, char *why, size_t why_size);

// text need not end with 0. `name` is for the sentence: "beliefd.conf:12: connections: ...". What stood before the
// bad line has been taken.
int config_parse(struct config *config, const char *name, const char *text, size_t size, char *why,
                 size_t why_size);
int config_read(struct config *config, const char *path, char *why, size_t why_size);
