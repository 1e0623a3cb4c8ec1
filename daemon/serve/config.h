#pragma once
// What the operator says: lines of `key = value`, explained in deploy/beliefd.conf. Anything unknown, doubled or
// out of range refuses the start with file, line and key, for a daemon that guesses is worse than one that stops.

#include "address.h"
#include "limits.h"

#include "proto/wire.h"

enum { CONFIG_LISTEN_LIMIT = 16, CONFIG_FILE_LIMIT = 1 << 20 };

// Strings are NULL if they were not given.
struct config {
    struct address listen[CONFIG_LISTEN_LIMIT];
    size_t listen_count;
    struct address control;       // text is empty: none
    struct address admin;         // the same
    char *models[MODELS_LIMIT];   // paths
    size_t model_count;
    char *model_directory;
    unsigned socket_mode;
    int insecure;                 // addresses without TLS that other machines reach are meant so
    char *identities;             // path
    char *tls_certificate, *tls_key, *tls_client_ca;  // paths
    int tls_min_version;          // 12 or 13
    size_t loops;
    char *data_directory;         // NULL: nothing is kept
    enum wire_durability durability;
    size_t commit_ms, retention_days, log_size_limit_bytes;
    struct limits limits;
    uint64_t drain_us;
    int log_level;                // enum log_level
    int log_json;
};

void config_init(struct config *config);  // the defaults
void config_release(struct config *config);

// -EINVAL with a sentence.
int config_add_listen(struct config *config, const char *text, char *why, size_t why_size);
int config_add_model(struct config *config, const char *path, char *why, size_t why_size);
// One `key = value`, as from the command line: it takes the place of what a file said.
int config_set(struct config *config, const char *key, const char *value, char *why, size_t why_size);

// text need not end with 0. `name` is for the sentence: "beliefd.conf:12: connections: ...". What stood before the
// bad line has been taken.
int config_parse(struct config *config, const char *name, const char *text, size_t size, char *why,
                 size_t why_size);
int config_read(struct config *config, const char *path, char *why, size_t why_size);
size_t config_key_count(void);  // how many keys there are

// When all is said: does it go together? -EINVAL with a sentence: nothing to listen at or to serve, an address that
// other machines reach without TLS (and not `insecure`), tls: without a certificate, durability without a data
// directory. durability becomes WIRE_DURABILITY_OFF where nothing was asked for.
int config_check(struct config *config, char *why, size_t why_size);
