// beliefctl export: twice through the log; the first time counts rows and looks at their dimensions, so that
// a data set that cannot be written is refused before its first byte.
#include "export.h"

#include "daemon/store/reader.h"
#include "proto/wire.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 64, DIGEST_BYTES = 64 };

struct export {
    const struct export_options *options;
    FILE *out;
    uint64_t rows;
    size_t observation_dim, action_dim;
    int dims_differ;
    char first[NAME_BYTES + 1], other[NAME_BYTES + 1];  // sessions whose dimensions differ
    uint8_t *row;                                       // of an npy
};

typedef void write_row(struct export *export, const struct store_session *session, const struct store_transition *t);

static int wanted(const struct export *e, const struct store_session *session)
{
    const struct export_options *o = e->options;
    return (o->session == NULL || strcmp(o->session, session->name) == 0) &&
           (o->model == NULL || strcmp(o->model, session->model) == 0);
}

// The name that everybody else gives it, in one word.
static const char *status_word(uint32_t status) { return wire_status_name((enum wire_status)status); }

static void count_row(struct export *e, const struct store_session *session, const struct store_transition *t)
{
    if (e->rows == 0) {
        e->observation_dim = t->observation_dim;
        e->action_dim = t->action_dim;
        snprintf(e->first, sizeof e->first, "%s", session->name);
    } else if (!e->dims_differ && (t->observation_dim != e->observation_dim || t->action_dim != e->action_dim)) {
        e->dims_differ = 1;
        snprintf(e->other, sizeof e->other, "%s", session->name);
    }
    e->rows++;
}

// ---- CSV --------------------------------------------------------------------------------------------------

static void csv_names(FILE *out, const char *name, size_t count)
{
    for (size_t i = 0; i < count; i++)
        fprintf(out, ",%s_%zu", name, i);
}

static void csv_numbers(FILE *out, const float *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        fprintf(out, ",%.9g", (double)numbers[i]);
}

static void csv_head(struct export *e)
{
    fputs("session,model,model_digest,writer,seq,task,status,first,last,taken_ms,reward", e->out);
    csv_names(e->out, "observation", e->observation_dim);
    csv_names(e->out, "action", e->action_dim);
    csv_names(e->out, "next_observation", e->observation_dim);
    fputc('\n', e->out);
}

// Names of sessions and models have no commas and no quotes.
static void csv_row(struct export *e, const struct store_session *session, const struct store_transition *t)
{
    fprintf(e->out, "%s,%s,%s,%" PRIu32 ",%" PRIu64 ",%" PRIu32 ",%s,%d,%d,%" PRIu64 ",%.9g", session->name, session->model,
            session->model_digest, t->writer, t->seq, t->task, status_word(t->status), t->first, t->last, t->taken_ms,
            (double)t->reward);
    csv_numbers(e->out, t->observation, t->observation_dim);
    csv_numbers(e->out, t->action, t->action_dim);
    csv_numbers(e->out, t->next_observation, t->observation_dim);
    fputc('\n', e->out);
}

// ---- JSON lines -------------------------------------------------------------------------------------------

static void json_number_text(FILE *out, float number)
{
    if (isfinite(number))
        fprintf(out, "%.9g", (double)number);
    else
        fputs("null", out);
}

static void json_numbers(FILE *out, const char *name, const float *numbers, size_t count)
{
    fprintf(out, ",\"%s\":[", name);
    for (size_t i = 0; i < count; i++) {
        if (i)
            fputc(',', out);
        json_number_text(out, numbers[i]);
    }
    fputc(']', out);
}

static void json_row(struct export *e, const struct store_session *session, const struct store_transition *t)
{
    fprintf(e->out, "{\"session\":\"%s\",\"model\":\"%s\",\"model_digest\":\"%s\",\"writer\":%" PRIu32 ",\"seq\":%" PRIu64
            ",\"task\":%" PRIu32 ",\"status\":\"%s\",\"first\":%s,\"last\":%s,\"taken_ms\":%" PRIu64 ",\"reward\":",
            session->name, session->model, session->model_digest, t->writer, t->seq, t->task, status_word(t->status),
            t->first ? "true" : "false", t->last ? "true" : "false", t->taken_ms);
    json_number_text(e->out, t->reward);
    json_numbers(e->out, "observation", t->observation, t->observation_dim);
    json_numbers(e->out, "action", t->action, t->action_dim);
    json_numbers(e->out, "next_observation", t->next_observation, t->observation_dim);
    fputs("}\n", e->out);
}

// ---- NumPy ------------------------------------------------------------------------------------------------

// The format's version 1.0: magic, length of the head, the head as a Python literal padded to 64 bytes.
static void npy_head(struct export *e)
{
    char head[1024];
    int length = snprintf(head, sizeof head,
                          "{'descr': [('session', '|S%d'), ('model', '|S%d'), ('model_digest', '|S%d'), ('writer', '<u4'), "
                          "('seq', '<u8'), ('task', '<u4'), ('status', '|u1'), ('first', '|b1'), ('last', '|b1'), "
                          "('taken_ms', '<u8'), ('reward', '<f4'), ('observation', '<f4', (%zu,)), "
                          "('action', '<f4', (%zu,)), ('next_observation', '<f4', (%zu,))], "
                          "'fortran_order': False, 'shape': (%" PRIu64 ",), }",
                          NAME_BYTES, NAME_BYTES, DIGEST_BYTES, e->observation_dim, e->action_dim, e->observation_dim,
                          e->rows);
    int whole = (10 + length + 1 + 63) / 64 * 64 - 10;
    fwrite("\x93NUMPY\x01\x00", 1, 8, e->out);
    fputc(whole & 255, e->out);
    fputc(whole >> 8, e->out);
    fprintf(e->out, "%-*s\n", whole - 1, head);
}

static uint8_t *put_bytes(uint8_t *place, const void *bytes, size_t size)
{
    memcpy(place, bytes, size);
    return place + size;
}

// Text in a field of fixed width, the rest zeros.
static uint8_t *put_text(uint8_t *place, const char *text, size_t width)
{
    size_t size = strnlen(text, width);
    memset(put_bytes(place, text, size), 0, width - size);
    return place + width;
}

static size_t npy_row_size(const struct export *e)
{
    return 2 * NAME_BYTES + DIGEST_BYTES + 4 + 8 + 4 + 3 + 8 + 4 + (2 * e->observation_dim + e->action_dim) * sizeof(float);
}

// Packed, little-endian, as this machine has it (every machine that beliefd runs on is little-endian).
static void npy_row(struct export *e, const struct store_session *session, const struct store_transition *t)
{
    uint8_t flags[3] = {(uint8_t)t->status, t->first != 0, t->last != 0}, *place = e->row;
    place = put_text(place, session->name, NAME_BYTES);
    place = put_text(place, session->model, NAME_BYTES);
    place = put_text(place, session->model_digest, DIGEST_BYTES);
    place = put_bytes(place, &t->writer, 4);
    place = put_bytes(place, &t->seq, 8);
    place = put_bytes(place, &t->task, 4);
    place = put_bytes(place, flags, 3);
    place = put_bytes(place, &t->taken_ms, 8);
    place = put_bytes(place, &t->reward, 4);
    place = put_bytes(place, t->observation, t->observation_dim * sizeof(float));
    place = put_bytes(place, t->action, t->action_dim * sizeof(float));
    place = put_bytes(place, t->next_observation, t->observation_dim * sizeof(float));
    fwrite(e->row, 1, (size_t)(place - e->row), e->out);
}

// ---- Both passes ------------------------------------------------------------------------------------------

// Every wanted row to `write`. A damaged row ends it: a data set with silent holes is worse than none.
static int pass(struct export *e, struct store_reader *reader, write_row *write, char *why, size_t why_size)
{
    struct store_session session;
    const uint8_t *state;
    size_t size;
    int found, any = 0;
    store_reader_rewind(reader);
    while ((found = store_reader_next_session(reader, &session, &state, &size)) != 0) {
        if (found < 0 && found != -EUCLEAN) {
            snprintf(why, why_size, "%s", store_reader_error(reader));
            return 1;
        }
        if (!wanted(e, &session))
            continue;
        any = 1;
        struct store_transition t;
        while ((found = store_reader_next_transition(reader, session.id, &t)) != 0) {
            if (found < 0) {
                snprintf(why, why_size, "session %s: %s", session.name, store_reader_error(reader));
                return 1;
            }
            write(e, &session, &t);
        }
    }
    if (!any && (e->options->session || e->options->model)) {
        snprintf(why, why_size, "the log has no such session%s", e->options->model ? " of that model" : "");
        return 1;
    }
    return 0;
}

static int write_all(struct export *e, struct store_reader *reader, const char *format, char *why, size_t why_size)
{
    int is_json = strcmp(format, "jsonl") == 0, is_csv = strcmp(format, "csv") == 0;
    if (pass(e, reader, count_row, why, why_size))
        return 1;
    if (e->dims_differ && !is_json) {
        snprintf(why, why_size, "sessions %s and %s have different dimensions: choose a model, or format jsonl", e->first,
                 e->other);
        return 1;
    }
    e->row = malloc(npy_row_size(e));
    if (e->row == NULL) {
        snprintf(why, why_size, "no memory");
        return 1;
    }
    if (is_csv)
        csv_head(e);
    else if (!is_json)
        npy_head(e);
    int error = pass(e, reader, is_csv ? csv_row : is_json ? json_row : npy_row, why, why_size);
    free(e->row);
    if (!error && (fflush(e->out) != 0 || ferror(e->out))) {
        snprintf(why, why_size, "cannot write the data set: %s", strerror(errno));
        error = 1;
    }
    return error;
}

int export_run(const char *data_directory, const struct export_options *options, FILE *out, unsigned long long *rows,
               char *why, size_t why_size)
{
    struct export e = {.options = options, .out = out};
    const char *format = options->format ? options->format : "csv";
    struct store_reader *reader;
    *rows = 0;
    if (strcmp(format, "csv") != 0 && strcmp(format, "jsonl") != 0 && strcmp(format, "npy") != 0) {
        snprintf(why, why_size, "format %.20s: csv, jsonl or npy", format);
        return 1;
    }
    if (store_reader_open(&reader, data_directory, why, why_size) != 0)
        return 1;
    int error = write_all(&e, reader, format, why, why_size);
    store_reader_close(reader);
    if (!error)
        *rows = e.rows;
    return error;
}
