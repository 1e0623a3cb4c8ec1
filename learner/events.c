// JSON lines, TensorBoard's event file, and the progress line.
//
// train.jsonl is the record: one object per line, "frames" ascending. A run that died in the middle of a line, or
// that resumes from an older checkpoint, has lines that its resume will write again; they are cut off.
//
// An event file is never cut, since TensorBoard may be reading it. A run that resumes begins a new file, later in
// the order of names, with a SessionLog START at the first step that will be written again; TensorBoard drops what
// it has from there on.
//
// A record of an event file is: length (8 bytes, little-endian), masked CRC-32C of these, payload, masked CRC-32C
// of the payload. The payload is one protobuf message, of which four kinds are written here:
//
//     Event        double wall_time = 1;  int64 step = 2;  string file_version = 3;  Summary summary = 5;
//                  SessionLog session_log = 7
//     Summary      repeated Value value = 1
//     Value        string tag = 1;  float simple_value = 2
//     SessionLog   Status status = 1 (START = 1)

#include "events.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const double PLAIN_LINE_SECONDS = 30;  // between progress lines where there is no terminal

struct buffer {
    uint8_t *bytes;
    size_t size, room;
    int failed;              // no memory: nothing is added any more
};

struct events {
    FILE *lines;             // train.jsonl; NULL: progress only
    FILE *records;           // events.out.tfevents.*
    struct buffer event, part, entry;  // messages inside each other
    int quiet;
    int terminal;
    int line_open;           // the terminal's cursor stands on the progress line
    double next_plain;       // seconds of the run when the next plain line is due
};

// ---- Protobuf, as much as an event needs

static void put(struct buffer *buffer, const void *bytes, size_t size)
{
    if (buffer->size + size > buffer->room) {
        size_t room = 2 * (buffer->size + size);
        uint8_t *larger = realloc(buffer->bytes, room);
        if (!larger) {
            buffer->failed = 1;
            return;
        }
        buffer->bytes = larger;
        buffer->room = room;
    }
    if (size)
        memcpy(buffer->bytes + buffer->size, bytes, size);
    buffer->size += size;
}

static void put_varint(struct buffer *buffer, uint64_t value)
{
    uint8_t bytes[10];
    size_t size = 0;
    for (; value >= 0x80; value >>= 7)
        bytes[size++] = (uint8_t)(value | 0x80);
    bytes[size++] = (uint8_t)value;
    put(buffer, bytes, size);
}

static void put_little_endian(struct buffer *buffer, uint64_t value, size_t size)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(value >> 8 * i);
    put(buffer, bytes, size);
}

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

static void put_bytes(struct buffer *buffer, unsigned field, const void *bytes, size_t size)
{
    put_varint(buffer, field << 3 | BYTES);
    put_varint(buffer, size);
    put(buffer, bytes, size);
}

static void put_integer(struct buffer *buffer, unsigned field, uint64_t value)
{
    put_varint(buffer, field << 3 | VARINT);
    put_varint(buffer, value);
}

static void put_double(struct buffer *buffer, unsigned field, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_varint(buffer, field << 3 | FIXED64);
    put_little_endian(buffer, bits, 8);
}

static void put_float(struct buffer *buffer, unsigned field, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_varint(buffer, field << 3 | FIXED32);
    put_little_endian(buffer, bits, 4);
}

// ---- Event file

// CRC-32C (Castagnoli, reflected 0x82F63B78), turned and shifted as TensorFlow's record format wants it.
static uint32_t masked_crc(const uint8_t *bytes, size_t size)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0x82F63B78 & -(crc & 1));
    }
    crc = ~crc;
    return (crc >> 15 | crc << 17) + 0xA282EAD8;
}

// Starts the event: wall_time and step.
static struct buffer *event_begin(struct events *events, uint64_t step)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    events->event.size = 0;
    put_double(&events->event, 1, (double)now.tv_sec + 1e-9 * (double)now.tv_nsec);
    put_integer(&events->event, 2, step);
    return &events->event;
}

// Writes the event as one record.
static int event_end(struct events *events)
{
    struct buffer *event = &events->event, *frame = &events->part;
    frame->size = 0;
    put_little_endian(frame, event->size, 8);
    if (event->failed || frame->failed || events->entry.failed)
        return -ENOMEM;
    put_little_endian(frame, masked_crc(frame->bytes, 8), 4);
    put(frame, event->bytes, event->size);
    put_little_endian(frame, masked_crc(event->bytes, event->size), 4);
    if (frame->failed)
        return -ENOMEM;
    if (fwrite(frame->bytes, 1, frame->size, events->records) != frame->size || fflush(events->records))
        return -errno;
    return 0;
}

static const char record_prefix[] = "events.out.tfevents.";

// TensorBoard reads the event files of a directory in the order of their names, which is that of the seconds in
// them. Later than all that are here, even if the clock says otherwise. Or a negative errno.
static long long record_seconds(const char *directory)
{
    DIR *entries = opendir(directory);
    if (!entries)
        return -errno;
    long long seconds = time(NULL);
    for (struct dirent *entry; (entry = readdir(entries));)
        if (!strncmp(entry->d_name, record_prefix, sizeof record_prefix - 1)) {
            long long other = strtoll(entry->d_name + sizeof record_prefix - 1, NULL, 10);
            if (other >= seconds && other < LLONG_MAX)
                seconds = other + 1;
        }
    closedir(entries);
    return seconds;
}

static int records_open(struct events *events, const char *directory, uint64_t resume_frames)
{
    char path[PATH_MAX];
    long long seconds = record_seconds(directory);
    if (seconds < 0)
        return (int)seconds;
    snprintf(path, sizeof path, "%s/%s%010lld.beliefd", directory, record_prefix, seconds);
    if (!(events->records = fopen(path, "wbx")))
        return -errno;
    static const char version[] = "brain.Event:2";
    put_bytes(event_begin(events, 0), 3, version, sizeof version - 1);
    int error = event_end(events);
    if (error)
        return error;
    // Whatever an earlier run wrote from this step on is void.
    events->part.size = 0;
    put_integer(&events->part, 1, 1);
    put_bytes(event_begin(events, resume_frames ? resume_frames + 1 : 0), 7, events->part.bytes, events->part.size);
    return event_end(events);
}

static int records_write(struct events *events, uint64_t frames, const struct events_value *values, size_t count)
{
    struct buffer *summary = &events->part, *value = &events->entry;
    summary->size = 0;
    for (size_t i = 0; i < count; i++) {
        value->size = 0;
        put_bytes(value, 1, values[i].name, strlen(values[i].name));
        put_float(value, 2, (float)values[i].value);
        put_bytes(summary, 1, value->bytes, value->size);
    }
    put_bytes(event_begin(events, frames), 5, summary->bytes, summary->size);
    return summary->failed ? -ENOMEM : event_end(events);
}

// ---- JSON lines

// Is this a whole line of an iteration that the resume does not repeat?
static int line_stays(const char *line, size_t size, uint64_t resume_frames)
{
    if (size == 0 || line[size - 1] != '\n')
        return 0;
    cJSON *object = cJSON_ParseWithLength(line, size);
    const cJSON *frames = cJSON_GetObjectItemCaseSensitive(object, "frames");
    int stays = cJSON_IsNumber(frames) && frames->valuedouble <= (double)resume_frames;
    cJSON_Delete(object);
    return stays;
}

static int lines_open(struct events *events, const char *directory, uint64_t resume_frames)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/train.jsonl", directory) >= (int)sizeof path)
        return -ENAMETOOLONG;
    // Appending, so that two programs at least do not overwrite each other.
    if (!(events->lines = fopen(path, "a+")))
        return -errno;
    off_t kept = 0;
    if (resume_frames) {
        char *line = NULL;
        size_t room = 0;
        rewind(events->lines);
        for (ssize_t size; (size = getline(&line, &room, events->lines)) > 0;) {
            if (!line_stays(line, (size_t)size, resume_frames))
                break;
            kept += size;
        }
        int failed = ferror(events->lines);
        free(line);
        if (failed)
            return -EIO;
    }
    if (ftruncate(fileno(events->lines), kept) || fseeko(events->lines, 0, SEEK_END))
        return -errno;
    return 0;
}

static int lines_write(struct events *events, uint64_t frames, double seconds, const struct events_value *values,
                       size_t count)
{
    cJSON *object = cJSON_CreateObject();
    // cJSON writes what is not finite as null.
    int whole = cJSON_AddNumberToObject(object, "frames", (double)frames) &&
                cJSON_AddNumberToObject(object, "seconds", seconds);
    for (size_t i = 0; i < count && whole; i++)
        whole = cJSON_AddNumberToObject(object, values[i].name, values[i].value) != NULL;
    char *text = whole ? cJSON_PrintUnformatted(object) : NULL;
    cJSON_Delete(object);
    if (!text)
        return -ENOMEM;
    int failed = fprintf(events->lines, "%s\n", text) < 0 || fflush(events->lines) ? -errno : 0;
    cJSON_free(text);
    return failed;
}

// ---- Progress

static void show_progress(struct events *events, double seconds, const char *text)
{
    if (events->terminal) {
        // One line, rewritten; longer than the terminal is wide it would scroll.
        struct winsize window;
        int width = ioctl(STDERR_FILENO, TIOCGWINSZ, &window) || window.ws_col < 2 ? 79 : window.ws_col - 1;
        fprintf(stderr, "\r%.*s\033[K", width, text);
        events->line_open = 1;
    } else if (seconds >= events->next_plain) {
        fprintf(stderr, "%s\n", text);
        events->next_plain = seconds + PLAIN_LINE_SECONDS;
    }
    fflush(stderr);
}

// ---- The whole

static int directory_make(const char *directory)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s", directory) >= (int)sizeof path)
        return -ENAMETOOLONG;
    for (char *slash = path + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = 0;
        if (mkdir(path, 0777) && errno != EEXIST)
            return -errno;
    }
    return mkdir(path, 0777) && errno != EEXIST ? -errno : 0;
}

int events_open(struct events **result, const char *directory, uint64_t resume_frames, int quiet)
{
    struct events *events = calloc(1, sizeof *events);
    if (!events)
        return -ENOMEM;
    events->quiet = quiet;
    events->terminal = isatty(STDERR_FILENO);
    int error = 0;
    if (directory && ((error = directory_make(directory)) ||
                      (error = records_open(events, directory, resume_frames)) ||
                      (error = lines_open(events, directory, resume_frames)))) {
        events_close(events);
        return error;
    }
    *result = events;
    return 0;
}

void events_close(struct events *events)
{
    if (!events)
        return;
    if (events->line_open)
        fputc('\n', stderr);
    if (events->lines)
        fclose(events->lines);
    if (events->records)
        fclose(events->records);
    free(events->event.bytes);
    free(events->part.bytes);
    free(events->entry.bytes);
    free(events);
}

int events_write(struct events *events, uint64_t frames, double seconds, const struct events_value *values,
                 size_t count, const char *text)
{
    int error = 0;
    if (events->lines)
        error = lines_write(events, frames, seconds, values, count);
    if (events->records && !error)
        error = records_write(events, frames, values, count);
    if (!events->quiet)
        show_progress(events, seconds, text);
    return error;
}
