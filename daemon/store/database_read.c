// Rows out of the tables of the experience log; the contract is in database.h.
#include "database.h"

#include "checksum.h"

#include <errno.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The first column of the first row; 0 without a row.
static int number(struct database *database, sqlite3_stmt *s, uint64_t *value)
{
    *value = 0;
    if (!s)
        return database_no_statement(database);
    int found = database_step(database, s);
    if (found > 0) {
        *value = (uint64_t)sqlite3_column_int64(s, 0);
        sqlite3_reset(s);
    }
    return found < 0 ? found : 0;
}

int database_meta(struct database *database, const char *name, uint64_t *value)
{
    sqlite3_stmt *s = database_statement(database, SQL_META);
    if (s)
        sqlite3_bind_text(s, 1, name, -1, SQLITE_STATIC);
    return number(database, s, value);
}

int database_last_id(struct database *database, uint64_t *id)
{
    return number(database, database_statement(database, SQL_LAST_ID), id);
}

int database_explored_up_to(struct database *database, uint64_t up_to, uint64_t *session)
{
    sqlite3_stmt *s = database_statement(database, SQL_EXPLORED_UP_TO);
    if (s)
        sqlite3_bind_int64(s, 1, (int64_t)up_to);
    return number(database, s, session);
}

int database_last_explored(struct database *database, uint64_t *last)
{
    return number(database, database_statement(database, SQL_LAST_EXPLORED), last);
}

int database_check_pages(struct database *database)
{
    sqlite3_stmt *s = NULL;
    int code = sqlite3_prepare_v2(database->handle, "pragma integrity_check(1)", -1, &s, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(s);
    int error = code == SQLITE_ROW ? 0 : database_error(database, code, "check the pages");
    if (!error && strcmp((const char *)sqlite3_column_text(s, 0), "ok") != 0) {
        snprintf(database->error, sizeof database->error, "%s: %.200s", DATABASE_FILE,
                 (const char *)sqlite3_column_text(s, 0));
        error = -EUCLEAN;
    }
    sqlite3_finalize(s);
    return error;
}

int database_orphans(struct database *database, uint64_t *count)
{
    return number(database, database_statement(database, SQL_ORPHANS), count);
}

int database_used_bytes(struct database *database, uint64_t *bytes)
{
    uint64_t pages, free_pages;
    int error = number(database, database_statement(database, SQL_PAGES), &pages);
    if (!error)
        error = number(database, database_statement(database, SQL_FREE_PAGES), &free_pages);
    if (!error)
        *bytes = (pages - free_pages) * DATABASE_PAGE;
    return error;
}

static const char *text(sqlite3_stmt *s, int column)
{
    const char *value = (const char *)sqlite3_column_text(s, column);
    return value ? value : "";
}

void database_session_row(sqlite3_stmt *s, struct store_session *session)
{
    *session = (struct store_session){
        .id = (uint64_t)sqlite3_column_int64(s, 0), .name = text(s, 1), .identity = text(s, 2), .model = text(s, 3),
        .model_digest = text(s, 4), .epoch = (uint64_t)sqlite3_column_int64(s, 5),
        .task = (uint32_t)sqlite3_column_int64(s, 6), .hold_prior = sqlite3_column_int(s, 7),
        .count = (uint64_t)sqlite3_column_int64(s, 8), .opener = (uint64_t)sqlite3_column_int64(s, 10),
    };
    session->told_task = sqlite3_column_blob(s, 11);
    session->told_count = (size_t)sqlite3_column_bytes(s, 11) / sizeof *session->told_task;
    const void *digest = sqlite3_column_blob(s, 9);
    if (digest && sqlite3_column_bytes(s, 9) == STORE_DIGEST_SIZE)
        memcpy(session->digest, digest, STORE_DIGEST_SIZE);
}

int database_transition_row(struct database *database, sqlite3_stmt *s, struct store_transition *t, float *numbers,
                            size_t limit, size_t *need)
{
    size_t sizes[3];
    for (int i = 0; i < 3; i++)
        sizes[i] = (size_t)sqlite3_column_bytes(s, 8 + i);
    *need = (sizes[0] + sizes[1] + sizes[2]) / sizeof(float);
    if (*need > limit)
        return -E2BIG;
    float *at = numbers;
    for (int i = 0; i < 3; i++) {
        if (sizes[i])
            memcpy(at, sqlite3_column_blob(s, 8 + i), sizes[i]);
        at += sizes[i] / sizeof(float);
    }
    *t = (struct store_transition){
        .session = (uint64_t)sqlite3_column_int64(s, 0), .writer = (uint32_t)sqlite3_column_int64(s, 1),
        .seq = (uint64_t)sqlite3_column_int64(s, 2), .task = (uint32_t)sqlite3_column_int64(s, 3),
        .status = (uint32_t)sqlite3_column_int64(s, 4), .first = sqlite3_column_int(s, 5),
        .last = sqlite3_column_int(s, 6),
        .reward = sqlite3_column_type(s, 7) == SQLITE_NULL ? __builtin_nanf("") : (float)sqlite3_column_double(s, 7),
        .observation = numbers, .action = numbers + sizes[0] / sizeof(float),
        .next_observation = numbers + (sizes[0] + sizes[1]) / sizeof(float),
        .observation_dim = sizes[0] / sizeof(float), .action_dim = sizes[1] / sizeof(float),
        .taken_ms = (uint64_t)sqlite3_column_int64(s, 12),
    };
    if (sizes[0] != sizes[2] || sizes[0] % sizeof(float) || sizes[1] % sizeof(float) ||
        (uint64_t)sqlite3_column_int64(s, 11) != checksum_transition(t)) {
        snprintf(database->error, sizeof database->error, "%s: transition (session %llu, writer %u, seq %llu) was damaged",
                 DATABASE_FILE, (unsigned long long)t->session, t->writer, (unsigned long long)t->seq);
        return -EUCLEAN;
    }
    return 0;
}

// A copy of a row's bytes, at least one byte of memory.
static int copy_bytes(sqlite3_stmt *s, int column, uint8_t **bytes, size_t *size)
{
    *size = (size_t)sqlite3_column_bytes(s, column);
    *bytes = malloc(*size + 1);
    if (*bytes == NULL)
        return -ENOMEM;
    if (*size)
        memcpy(*bytes, sqlite3_column_blob(s, column), *size);
    return 0;
}

int database_state(struct database *database, uint64_t session, uint8_t **bytes, size_t *size)
{
    *bytes = NULL;
    sqlite3_stmt *s = database_statement(database, SQL_STATE);
    if (!s)
        return database_no_statement(database);
    sqlite3_bind_int64(s, 1, (int64_t)session);
    int found = database_step(database, s);
    if (found <= 0)
        return found < 0 ? found : -ENOENT;
    uint8_t hash[SHA256_DIGEST_LENGTH];
    int error = copy_bytes(s, 1, bytes, size);
    if (!error)
        SHA256(*bytes, *size, hash);
    if (!error && (sqlite3_column_bytes(s, 0) != sizeof hash || memcmp(sqlite3_column_blob(s, 0), hash, sizeof hash))) {
        snprintf(database->error, sizeof database->error, "%s: the state of session %llu was damaged", DATABASE_FILE,
                 (unsigned long long)session);
        error = -EUCLEAN;
    }
    sqlite3_reset(s);
    if (error) {
        free(*bytes);
        *bytes = NULL;
    }
    return error;
}

int database_model(struct database *database, const char *digest, uint8_t **bytes, size_t *size)
{
    *bytes = NULL;
    sqlite3_stmt *s = database_statement(database, SQL_MODEL);
    if (!s)
        return database_no_statement(database);
    sqlite3_bind_text(s, 1, digest, -1, SQLITE_STATIC);
    int found = database_step(database, s);
    if (found < 0)
        return found;
    if (found == 0) {
        snprintf(database->error, sizeof database->error, "%s: has no model %.16s", DATABASE_FILE, digest);
        return -ENOENT;
    }
    int error = copy_bytes(s, 0, bytes, size);
    sqlite3_reset(s);
    return error;
}
