#pragma once
// What all loops of a daemon share. Each loop has a server of its own with its sessions and connections; a session
// lives on the server of the connection that opened it last, so a step takes no lock. What is here is read or
// locked only when sessions are opened or leave, models change, or an operator asks.
//
//   catalogue   the models being served: an immutable, counted list. A change makes a new list and posts it to every
//               server; a server keeps what its sessions still use.
//   directory   which server a live session is on, by name; behind one mutex.
//   mail        messages between servers, each with a wake call that makes the loop take its mail.

#include "catalogue.h"
#include "directory.h"
#include "helper.h"
#include "identity.h"
#include "limits.h"
#include "mail.h"
#include "metrics.h"
#include "moved.h"
#include "teaching.h"
#include "tls.h"

#include "daemon/agent/model.h"
#include "daemon/store/store.h"

struct server;

struct house_options {
    struct limits limits;
    size_t servers;                       // loops
    enum wire_durability durability;
    const char *data_directory;           // NULL: durability is off
    const char *model_directory;          // LoadModel writes here; NULL: LoadModel is refused
    const char *const *model_paths;       // served at start, and read again on reload
    size_t model_count;
    const char *identities_path;          // NULL: none
    struct tls_server *tls;               // of tls: listeners, its files are read again with the rest; NULL: none
    uint32_t commit_ms, retention_days;
    uint64_t log_size_limit_bytes;
    uint64_t (*clock_us)(void);
    void (*wake)(void *context, size_t server);  // makes that loop call server_take_mail; any thread
    void (*drain)(void *context);         // the Drain call: as SIGTERM. NULL: refused. Any thread
    void *context;
};

// Fields are for the files of this folder. Beyond start-up only those that say so change.
struct house {
    struct house_options options;
    struct store *store;                  // NULL: durability is off
    struct mailbox mailboxes[LOOPS_LIMIT];
    struct directory directory;           // has its own lock, as have the next three
    struct helper helper;
    struct moved moved;                   // sessions that went to other daemons
    struct teaching teaching;             // who learns which model
    pthread_mutex_t changing;             // held by who changes models, so that changes follow one another
    pthread_mutex_t lock;                 // of what follows
    struct server *servers[LOOPS_LIMIT];  // changed by house_enter and house_leave; NULL: none
    struct catalogue *catalogue;          // changes: house_catalogue
    struct identities *identities;        // NULL: none are configured
};

int house_new(struct house **house, const struct house_options *options, char *why, size_t why_size);
void house_free(struct house *house);     // after all servers are freed

// Serves a model that is in memory, in place of the one of the same name; owned by the house from now on (freed if
// refused). file (or NULL) are the bytes it came from, kept in the log. Any thread but a loop's. -EINVAL with a
// sentence: it cannot act, its belief does not fit into a frame; -ENOSPC: too many models; -EIO: the log cannot keep it.
int house_serve(struct house *house, struct model *model, const uint8_t *file, size_t file_size, char *why,
                size_t why_size);
// The Control calls, by the same rules. A file is checked, written to the model directory whole or not at all, and
// served.
int house_load_model(struct house *house, const uint8_t *file, size_t file_size, char *why, size_t why_size);
// A file as before, and the alias stands for it from now on, both at once.
int house_publish_model(struct house *house, const uint8_t *file, size_t file_size, const char *alias, char *why,
                        size_t why_size);
// A file of that name in the model directory stays, as NAME.safetensors.unloaded.
int house_unload_model(struct house *house, const char *name, char *why, size_t why_size);
int house_alias_model(struct house *house, const char *alias, const char *model, char *why, size_t why_size);

// For the programs around. Alive: every loop that has begun and not ended turns. If not, with a sentence.
int house_alive(struct house *house, char *why, size_t why_size);
// Readiness (all models warm, every loop alive, the log not refusing), with a sentence if not.
int house_ready(struct house *house, char *why, size_t why_size);
// Reads models (their paths, and the model directory), identities and certificates again. Runs on any thread but a
// loop's; sentences of what was refused in `why`, one a line. 0, or -EINVAL if anything was refused (the rest took
// effect).
int house_reload(struct house *house, char *why, size_t why_size);

struct catalogue *house_catalogue(struct house *house);  // as it is now, a reference for the caller. Any thread
