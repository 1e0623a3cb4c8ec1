// Rows into the tables of the experience log; the contract is in database.h.
#include "database.h"

#include "checksum.h"

#include <openssl/sha.h>
#include <string.h>

static void bind_floats(sqlite3_stmt *statement, int place, const float *numbers, size_t count)
{
    // A NULL pointer would bind NULL, and an empty vector is not that.
    sqlite3_bind_blob(statement, place, count ? (const void *)numbers : "", (int)(count * sizeof *numbers), SQLITE_STATIC);
}

int database_put_transition(struct database *database, const struct store_transition *t, uint64_t now_ms)
{
    sqlite3_stmt *s = database_statement(database, SQL_PUT_TRANSITION);
    if (!s)
        return database_no_statement(database);
    sqlite3_bind_int64(s, 1, (int64_t)t->session);
    sqlite3_bind_int64(s, 2, t->writer);
    sqlite3_bind_int64(s, 3, (int64_t)t->seq);
    sqlite3_bind_int64(s, 4, t->task);
    sqlite3_bind_int64(s, 5, t->status);
    sqlite3_bind_int64(s, 6, t->first != 0);
    sqlite3_bind_int64(s, 7, t->last != 0);
    sqlite3_bind_int64(s, 8, (int64_t)now_ms);
    sqlite3_bind_double(s, 9, t->reward);  // a NaN becomes NULL
    bind_floats(s, 10, t->observation, t->observation_dim);
    bind_floats(s, 11, t->action, t->action_dim);
    bind_floats(s, 12, t->next_observation, t->observation_dim);
    sqlite3_bind_int64(s, 13, (int64_t)checksum_transition(t));
    return database_run(database, s);
}

int database_put_session(struct database *database, const struct store_session *session, uint64_t now_ms, uint64_t run_s)
{
    // Somebody has the name already: another session, which the new one replaces.
    sqlite3_stmt *s = database_statement(database, SQL_RENAME);
    if (!s)
        return database_no_statement(database);
    sqlite3_bind_text(s, 1, session->name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(s, 2, (int64_t)session->id);
    int error = database_step(database, s);
    if (error > 0) {
        uint64_t other = (uint64_t)sqlite3_column_int64(s, 0);
        sqlite3_reset(s);
        error = database_forget(database, other);
    }
    if (error)
        return error;
    s = database_statement(database, SQL_PUT_SESSION);
    if (!s)
        return database_no_statement(database);
    sqlite3_bind_int64(s, 1, (int64_t)session->id);
    sqlite3_bind_text(s, 2, session->name, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 3, session->identity ? session->identity : "", -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 4, session->model, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 5, session->model_digest, -1, SQLITE_STATIC);
    sqlite3_bind_int64(s, 6, (int64_t)session->epoch);
    sqlite3_bind_int64(s, 7, session->task);
    sqlite3_bind_int64(s, 8, session->hold_prior != 0);
    sqlite3_bind_int64(s, 9, (int64_t)session->count);
    sqlite3_bind_blob(s, 10, session->digest, STORE_DIGEST_SIZE, SQLITE_STATIC);
    sqlite3_bind_int64(s, 11, (int64_t)now_ms);
    sqlite3_bind_int64(s, 12, (int64_t)run_s);
    sqlite3_bind_int64(s, 13, (int64_t)session->opener);
    bind_floats(s, 14, session->told_task, session->told_count);
    return database_run(database, s);
}

int database_touch(struct database *database, uint64_t session, uint64_t count, const uint8_t *digest, uint64_t now_ms,
                   uint64_t run_s, int *known)
{
    sqlite3_stmt *s = database_statement(database, SQL_TOUCH);
    if (!s)
        return database_no_statement(database);
    sqlite3_bind_int64(s, 1, (int64_t)session);
    sqlite3_bind_int64(s, 2, (int64_t)count);
    sqlite3_bind_blob(s, 3, digest, STORE_DIGEST_SIZE, SQLITE_STATIC);
    sqlite3_bind_int64(s, 4, (int64_t)now_ms);
    sqlite3_bind_int64(s, 5, (int64_t)run_s);
    int error = database_run(database, s);
    *known = !error && sqlite3_changes(database->handle) > 0;
    return error;
}

int database_put_state(struct database *database, uint64_t session, const uint8_t *bytes, size_t size, uint64_t now_ms)
{
    uint8_t hash[SHA256_DIGEST_LENGTH];
    sqlite3_stmt *s = database_statement(database, SQL_PUT_STATE);
    if (!s)
        return database_no_statement(database);
    SHA256(bytes, size, hash);
    sqlite3_bind_int64(s, 1, (int64_t)session);
    sqlite3_bind_int64(s, 2, (int64_t)now_ms);
    sqlite3_bind_blob(s, 3, hash, sizeof hash, SQLITE_STATIC);
    sqlite3_bind_blob(s, 4, size ? (const void *)bytes : "", (int)size, SQLITE_STATIC);
    return database_run(database, s);
}

static int run_with_id(struct database *database, enum statement which, uint64_t id)
{
    sqlite3_stmt *s = database_statement(database, which);
    if (!s)
        return database_no_statement(database);
    sqlite3_bind_int64(s, 1, (int64_t)id);
    return database_run(database, s);
}

int database_forget(struct database *database, uint64_t session)
{
    int error = run_with_id(database, SQL_FORGET, session);
    if (!error)
        error = run_with_id(database, SQL_FORGET_SESSION, session);
    if (!error)
        error = run_with_id(database, SQL_FORGET_EXPLORED, session);
    return error ? error : run_with_id(database, SQL_FORGET_STATE, session);
}

int database_put_explored(struct database *database, uint64_t session)
{
    return run_with_id(database, SQL_PUT_EXPLORED, session);
}

int database_delete_piece(struct database *database)
{
    sqlite3_stmt *s = database_statement(database, SQL_NEXT_FORGOTTEN);
    if (!s)
        return database_no_statement(database);
    int found = database_step(database, s);
    if (found <= 0)
        return found;
    uint64_t session = (uint64_t)sqlite3_column_int64(s, 0);
    sqlite3_reset(s);
    s = database_statement(database, SQL_DELETE_PIECE);
    if (!s)
        return database_no_statement(database);
    sqlite3_bind_int64(s, 1, (int64_t)session);
    sqlite3_bind_int64(s, 2, DATABASE_PIECE);
    int error = database_run(database, s);
    if (!error && sqlite3_changes(database->handle) < DATABASE_PIECE)
        error = run_with_id(database, SQL_FORGOTTEN, session);
    return error ? error : 1;
}

int database_silent(struct database *database, uint64_t run_s, uint64_t after, uint64_t *id)
{
    sqlite3_stmt *s = database_statement(database, SQL_SILENT);
    if (!s)
        return database_no_statement(database);
    sqlite3_bind_int64(s, 1, (int64_t)run_s);
    sqlite3_bind_int64(s, 2, (int64_t)after);
    int found = database_step(database, s);
    *id = found > 0 ? (uint64_t)sqlite3_column_int64(s, 0) : 0;
    if (found > 0)
        sqlite3_reset(s);
    return found < 0 ? found : 0;
}

int database_put_model(struct database *database, const char *digest, const char *name, const uint8_t *bytes,
                       size_t size, uint64_t now_ms)
{
    sqlite3_stmt *s = database_statement(database, SQL_PUT_MODEL);
    if (!s)
        return database_no_statement(database);
    sqlite3_bind_text(s, 1, digest, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 2, name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(s, 3, (int64_t)now_ms);
    sqlite3_bind_blob(s, 4, bytes, (int)size, SQLITE_STATIC);
    return database_run(database, s);
}

int database_drop_models(struct database *database, const char *name, size_t keep)
{
    sqlite3_stmt *s = database_statement(database, SQL_DROP_MODELS);
    if (!s)
        return database_no_statement(database);
    sqlite3_bind_text(s, 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(s, 2, (int64_t)keep);
    return database_run(database, s);
}

int database_set_meta(struct database *database, const char *name, uint64_t value)
{
    sqlite3_stmt *s = database_statement(database, SQL_SET_META);
    if (!s)
        return database_no_statement(database);
    sqlite3_bind_text(s, 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(s, 2, (int64_t)value);
    return database_run(database, s);
}
