#pragma once
// Who is at the other end, and what they may do.
//
// The file of identities has a line for each: NAME ROLE CREDENTIAL [sessions=N] [rate=N], where ROLE is robot, learner,
// observer or admin and CREDENTIAL is token:HEX (SHA-256 of the bearer token), certificate:NAME (of the client
// certificate: a DNS or URI subject alternative name, or the common name) or uid:N (peer of a Unix socket).
// deploy/identities is its manual. A table never changes; reading the file again makes a new one.

#include "proto/wire.h"

enum { IDENTITY_NAME_LIMIT = 64, IDENTITIES_LIMIT = 65536 };

struct identity {
    char name[IDENTITY_NAME_LIMIT + 1];  // empty: anybody
    enum wire_role role;
    uint32_t sessions;                   // at once, in memory; 0: no limit but the daemon's
    uint32_t rate;                       // requests a second over all its connections of one loop; 0: none
};

struct identities;

// "identities:12: ..." -EINVAL; other negative errno.
int identities_parse(struct identities **identities, const char *name, const char *text, size_t size, char *why,
                     size_t why_size);
int identities_read(struct identities **identities, const char *path, char *why, size_t why_size);
struct identities *identities_ref(struct identities *identities);
void identities_unref(struct identities *identities);  // NULL is fine. Any thread.

// NULL: nobody. Takes the same time for every token of one length.
const struct identity *identities_by_token(const struct identities *identities, const char *token);
const struct identity *identities_by_certificate(const struct identities *identities, const char *const *names,
                                                 size_t count);
const struct identity *identities_by_uid(const struct identities *identities, uint32_t uid);

// May that role ask this? Sessions are another matter: a robot's only are its own.
int role_may(enum wire_role role, enum wire_kind kind);
const char *role_name(enum wire_role role);
