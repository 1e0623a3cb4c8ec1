#pragma once
// The tables of the experience log (docs/log.md) as functions. One thread at a time. For the files of this
// folder.

#include "store.h"

#include <sqlite3.h>

#define DATABASE_FILE "experience.db"

enum {
    DATABASE_APPLICATION = 0x42454C46,  // "BELF", in the file's header
    DATABASE_VERSION = 1,               // of the tables
    DATABASE_PAGE = 4096,               // bytes; most commits touch few rows of many sessions
    DATABASE_PIECE = 1000,              // transitions deleted at a time: a few milliseconds
    DATABASE_PAGE_BYTES = 1 << 20,      // of numbers in one answer, about
};

enum statement {
    SQL_BEGIN, SQL_BEGIN_READ, SQL_COMMIT, SQL_ROLLBACK, SQL_PAGES, SQL_FREE_PAGES,
    SQL_PUT_TRANSITION, SQL_PUT_SESSION, SQL_RENAME, SQL_TOUCH, SQL_PUT_STATE,
    SQL_FORGET, SQL_FORGET_SESSION, SQL_FORGET_STATE, SQL_NEXT_FORGOTTEN, SQL_DELETE_PIECE, SQL_FORGOTTEN,
    SQL_SILENT, SQL_SET_META, SQL_META,
    SQL_PUT_EXPLORED, SQL_FORGET_EXPLORED, SQL_EXPLORED_UP_TO, SQL_EXPLORED, SQL_LAST_EXPLORED, SQL_DROP_MODELS,
    SQL_SESSION, SQL_STATE, SQL_TRANSITIONS, SQL_SESSIONS, SQL_SESSIONS_UNTOLD, SQL_PUT_MODEL, SQL_MODEL, SQL_LAST_ID, SQL_ORPHANS,
    STATEMENT_COUNT
};

struct database {
    sqlite3 *handle;
    sqlite3_stmt *statements[STATEMENT_COUNT];  // prepared on first use
    char path[4096];
    char error[256];                            // a sentence about the last failure
};

// Opens or makes it, checks the header and the tables that are read at start. Errors as of store_open.
int database_open(struct database *database, const char *directory, char *why, size_t why_size);
// To read, not to make; path is the directory or the file. What is read is as of this moment.
int database_open_reader(struct database *database, const char *path, char *why, size_t why_size);
void database_close(struct database *database);

// All: 0 or negative errno, with a sentence in database->error. -EUCLEAN: damaged.
int database_begin(struct database *database);
int database_commit(struct database *database);
void database_rollback(struct database *database);

int database_put_transition(struct database *database, const struct store_transition *transition, uint64_t now_ms);
int database_put_session(struct database *database, const struct store_session *session, uint64_t now_ms, uint64_t run_s);
// Count and digest of a session that put transitions. *known: is there such a session?
int database_touch(struct database *database, uint64_t session, uint64_t count, const uint8_t *digest, uint64_t now_ms,
                   uint64_t run_s, int *known);
int database_put_state(struct database *database, uint64_t session, const uint8_t *bytes, size_t size, uint64_t now_ms);
int database_forget(struct database *database, uint64_t session);
// The session is the next of the explored ones; it keeps the number that it has.
int database_put_explored(struct database *database, uint64_t session);
// The first of the explored sessions with a number up to that one; 0: none.
int database_explored_up_to(struct database *database, uint64_t number, uint64_t *session);
int database_last_explored(struct database *database, uint64_t *number);  // that was ever given
// Deletes up to DATABASE_PIECE transitions of a forgotten session. 1: there was something to do; 0: nothing
// is left.
int database_delete_piece(struct database *database);
// The session with the smallest number above `after` that was silent since before run_s; 0: none. In *id.
int database_silent(struct database *database, uint64_t run_s, uint64_t after, uint64_t *id);

int database_put_model(struct database *database, const char *digest, const char *name, const uint8_t *bytes,
                       size_t size, uint64_t now_ms);
// Deletes the model files of that name that no session has, but for the newest `keep`.
int database_drop_models(struct database *database, const char *name, size_t keep);
// The caller's to free. -ENOENT.
int database_model(struct database *database, const char *digest, uint8_t **bytes, size_t *size);

int database_set_meta(struct database *database, const char *name, uint64_t value);
int database_meta(struct database *database, const char *name, uint64_t *value);  // 0 if it is not there
int database_last_id(struct database *database, uint64_t *id);  // the largest number that a session has or had
int database_check_pages(struct database *database);  // all of them, and that indices agree; -EUCLEAN
int database_orphans(struct database *database, uint64_t *count);  // sessions with transitions that are not there
int database_used_bytes(struct database *database, uint64_t *bytes);  // pages in use

// ---- Rows. Begin, then step: 1 and the row, 0 at the end, negative errno. What a row points to lives until the next step.

sqlite3_stmt *database_statement(struct database *database, enum statement which);  // reset; NULL: error is told
int database_step(struct database *database, sqlite3_stmt *statement);              // 1, 0, negative errno
void database_session_row(sqlite3_stmt *statement, struct store_session *session);
// Numbers of the row are copied to `numbers` (room for `limit`). -EUCLEAN: the row contradicts its checksum;
// -E2BIG: it needs *need numbers.
int database_transition_row(struct database *database, sqlite3_stmt *statement, struct store_transition *transition,
                            float *numbers, size_t limit, size_t *need);
// The state of a session, checked; the bytes are malloc'ed. -ENOENT: none.
int database_state(struct database *database, uint64_t session, uint8_t **bytes, size_t *size);
int database_run(struct database *database, sqlite3_stmt *statement);               // one without rows
int database_run_plain(struct database *database, enum statement which);            // and without parameters
int database_no_statement(struct database *database);                               // why it was NULL
int database_error(struct database *database, int code, const char *doing);         // errno of an SQLite code
