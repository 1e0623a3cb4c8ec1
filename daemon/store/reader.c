// A reader has a connection and a read transaction of its own, so it disturbs nobody and sees one moment.
#include "reader.h"

#include "database.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct store_reader {
    struct database database;
    char name[256];                // of the last session; the next one comes after it
    char identity[256], model[256], model_digest[128];
    uint8_t *state;                // of the last session
    uint64_t session;              // whose transitions are being read; 0: nobody's
    sqlite3_stmt *transitions;
    float *numbers;
    size_t numbers_limit;
};

int store_reader_open(struct store_reader **opened, const char *path, char *why, size_t why_size)
{
    struct store_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL) {
        snprintf(why, why_size, "no memory");
        return -ENOMEM;
    }
    int error = database_open_reader(&reader->database, path, why, why_size);
    if (error) {
        free(reader);
        return error;
    }
    *opened = reader;
    return 0;
}

void store_reader_close(struct store_reader *reader)
{
    if (reader == NULL)
        return;
    database_close(&reader->database);
    free(reader->state);
    free(reader->numbers);
    free(reader);
}

static const char *copy(char *to, size_t size, const char *text)
{
    snprintf(to, size, "%s", text);
    return to;
}

int store_reader_next_session(struct store_reader *reader, struct store_session *session, const uint8_t **state,
                              size_t *state_size)
{
    sqlite3_stmt *s = database_statement(&reader->database, SQL_SESSIONS_UNTOLD);
    if (s == NULL)
        return -EIO;
    sqlite3_bind_text(s, 1, reader->name, -1, SQLITE_TRANSIENT);
    int found = database_step(&reader->database, s);
    if (found <= 0)
        return found;
    database_session_row(s, session);
    session->name = copy(reader->name, sizeof reader->name, session->name);
    session->identity = copy(reader->identity, sizeof reader->identity, session->identity);
    session->model = copy(reader->model, sizeof reader->model, session->model);
    session->model_digest = copy(reader->model_digest, sizeof reader->model_digest, session->model_digest);
    sqlite3_reset(s);
    free(reader->state);
    reader->state = NULL;
    *state_size = 0;
    int error = database_state(&reader->database, session->id, &reader->state, state_size);
    *state = reader->state;
    return error == 0 || error == -ENOENT ? 1 : error;
}

void store_reader_rewind(struct store_reader *reader) { reader->name[0] = '\0'; }

int store_reader_next_transition(struct store_reader *reader, uint64_t session, struct store_transition *transition)
{
    struct database *database = &reader->database;
    if (reader->session != session || reader->transitions == NULL) {
        reader->transitions = database_statement(database, SQL_TRANSITIONS);
        if (reader->transitions == NULL)
            return -EIO;
        sqlite3_bind_int64(reader->transitions, 1, (int64_t)session);
        sqlite3_bind_int64(reader->transitions, 2, 0);
        sqlite3_bind_int64(reader->transitions, 3, 0);
        reader->session = session;
    }
    *transition = (struct store_transition){0};
    int found = database_step(database, reader->transitions);
    if (found <= 0) {
        reader->transitions = NULL;
        return found;
    }
    size_t need;
    int error = database_transition_row(database, reader->transitions, transition, reader->numbers, reader->numbers_limit,
                                        &need);
    if (error == -E2BIG) {
        float *numbers = realloc(reader->numbers, need * sizeof *numbers);
        if (numbers == NULL)
            return -ENOMEM;
        reader->numbers = numbers;
        reader->numbers_limit = need;
        error = database_transition_row(database, reader->transitions, transition, numbers, need, &need);
    }
    return error ? error : 1;
}

int store_reader_model(struct store_reader *reader, const char *digest, uint8_t **bytes, size_t *size)
{
    return database_model(&reader->database, digest, bytes, size);
}

int store_reader_check(struct store_reader *reader) { return database_check_pages(&reader->database); }

uint64_t store_reader_orphans(struct store_reader *reader)
{
    uint64_t count;
    return database_orphans(&reader->database, &count) == 0 ? count : 0;
}

const char *store_reader_error(const struct store_reader *reader) { return reader->database.error; }
