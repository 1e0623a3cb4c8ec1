// The table of identities; the contract is in identity.h. Rows are read in the order of the file, then sorted by what
// they are looked for: a name once, and each kind of credential in an array of its own.
#include "identity.h"

#include "daemon/policy/refuse.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FILE_LIMIT = 16 << 20, LINE_LIMIT = 512, REASON_SIZE = 256 };
enum { SESSIONS_HIGH = 1000000, RATE_HIGH = 10000000 };
enum { HASH_WORDS = SHA256_DIGEST_LENGTH / 8 };

enum credential_kind { TOKEN, CERTIFICATE, UID, CREDENTIAL_KINDS };

struct credential {
    enum credential_kind kind;
    uint64_t hash[HASH_WORDS];  // TOKEN: its SHA-256 as big-endian words, so that they sort as the bytes do
    char *name;                 // CERTIFICATE
    uint32_t uid;
    uint32_t identity;          // whose it is: index into list
    size_t line;
};

struct identities {
    atomic_uint references;
    struct identity *list;      // by name
    size_t count;
    struct credential *credentials[CREDENTIAL_KINDS];  // sorted
    size_t credential_count[CREDENTIAL_KINDS];
};

struct row {
    struct identity identity;
    struct credential credential;
};

struct rows {
    struct row *rows;
    size_t count, room;
};

static const char *const role_names[] = {"none", "robot", "learner", "observer", "admin"};
static const char *const kind_names[] = {"token", "certificate", "uid"};

const char *role_name(enum wire_role role)
{
    return (unsigned)role <= WIRE_ROLE_ADMIN ? role_names[role] : "unknown";
}

int role_may(enum wire_role role, enum wire_kind kind)
{
    switch (role) {
    case WIRE_ROLE_NONE:
        return kind == WIRE_HELLO;  // brings the token
    case WIRE_ROLE_ROBOT:
        return kind >= WIRE_HELLO && kind <= WIRE_GET_MODEL;
    case WIRE_ROLE_LEARNER:
        return kind >= WIRE_HELLO && kind <= WIRE_PUBLISH_MODEL;
    case WIRE_ROLE_OBSERVER:
        return kind == WIRE_HELLO || kind == WIRE_PING || kind == WIRE_GET_BELIEF || kind == WIRE_SAVE ||
               kind == WIRE_GET_MODEL;
    case WIRE_ROLE_ADMIN:
        return 1;
    }
    return 0;
}

static int read_number(const char *text, uint64_t low, uint64_t high, uint32_t *number)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || value < low || value > high)
        return -EINVAL;
    *number = (uint32_t)value;
    return 0;
}

static int read_name(struct identity *identity, const char *text, char *why, size_t why_size)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:-";
    size_t length = strlen(text);
    if (length > IDENTITY_NAME_LIMIT || strspn(text, plain) != length)
        return refuse(why, why_size, -EINVAL, "\"%.64s\": a name has 1 to %d of A-Z a-z 0-9 . _ : -", text,
                      IDENTITY_NAME_LIMIT);
    memcpy(identity->name, text, length + 1);
    return 0;
}

static int read_role(struct identity *identity, const char *text, char *why, size_t why_size)
{
    for (int role = WIRE_ROLE_ROBOT; role <= WIRE_ROLE_ADMIN; role++) {
        if (!strcmp(text, role_names[role])) {
            identity->role = (enum wire_role)role;
            return 0;
        }
    }
    return refuse(why, why_size, -EINVAL, "\"%.64s\" is not a role: robot, learner, observer or admin", text);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static int read_hash(uint64_t hash[HASH_WORDS], const char *text)
{
    if (strlen(text) != 2 * SHA256_DIGEST_LENGTH)
        return -EINVAL;
    for (size_t i = 0; i < 2 * SHA256_DIGEST_LENGTH; i++) {
        int digit = hex_digit(text[i]);
        if (digit < 0)
            return -EINVAL;
        hash[i / 16] = hash[i / 16] << 4 | (uint64_t)digit;
    }
    return 0;
}

static int read_credential(struct credential *credential, const char *text, char *why, size_t why_size)
{
    if (!strncmp(text, "token:", 6)) {
        credential->kind = TOKEN;
        // What is wrong is not shown: somebody may have written the token itself.
        if (read_hash(credential->hash, text + 6))
            return refuse(why, why_size, -EINVAL, "token: needs the SHA-256 of the token, %d hexadecimal digits",
                          2 * SHA256_DIGEST_LENGTH);
    } else if (!strncmp(text, "certificate:", 12)) {
        credential->kind = CERTIFICATE;
        if (!text[12])
            return refuse(why, why_size, -EINVAL, "certificate: needs a name");
        if (!(credential->name = strdup(text + 12)))
            return refuse(why, why_size, -ENOMEM, "no memory");
    } else if (!strncmp(text, "uid:", 4)) {
        credential->kind = UID;
        if (read_number(text + 4, 0, UINT32_MAX - 1u, &credential->uid))
            return refuse(why, why_size, -EINVAL, "\"%.64s\": uid: needs the number of a user", text);
    } else {
        return refuse(why, why_size, -EINVAL, "the credential is not token:HEX, certificate:NAME or uid:N");
    }
    return 0;
}

static int read_limit(struct identity *identity, const char *text, char *why, size_t why_size)
{
    if (!strncmp(text, "sessions=", 9)) {
        if (read_number(text + 9, 1, SESSIONS_HIGH, &identity->sessions))
            return refuse(why, why_size, -EINVAL, "\"%.64s\": a whole number from 1 to %d", text, SESSIONS_HIGH);
    } else if (!strncmp(text, "rate=", 5)) {
        if (read_number(text + 5, 1, RATE_HIGH, &identity->rate))
            return refuse(why, why_size, -EINVAL, "\"%.64s\": a whole number from 1 to %d", text, RATE_HIGH);
    } else {
        return refuse(why, why_size, -EINVAL, "\"%.64s\" is not sessions=N or rate=N", text);
    }
    return 0;
}

// One line, ending with 0. *used is 0 if there is nothing on it.
static int read_row(struct row *row, char *line, int *used, char *why, size_t why_size)
{
    char *words[6], *rest = NULL;
    size_t count = 0;
    for (char *word = strtok_r(line, " \t\r", &rest); word; word = strtok_r(NULL, " \t\r", &rest)) {
        if (*word == '#' && count == 0)
            break;
        if (count == sizeof words / sizeof *words)
            return refuse(why, why_size, -EINVAL, "more than NAME ROLE CREDENTIAL sessions=N rate=N");
        words[count++] = word;
    }
    *used = count > 0;
    if (count == 0)
        return 0;
    if (count < 3)
        return refuse(why, why_size, -EINVAL, "not of the form NAME ROLE CREDENTIAL [sessions=N] [rate=N]");
    int error;
    if ((error = read_name(&row->identity, words[0], why, why_size)) ||
        (error = read_role(&row->identity, words[1], why, why_size)) ||
        (error = read_credential(&row->credential, words[2], why, why_size)))
        return error;
    for (size_t i = 3; i < count; i++)
        if ((error = read_limit(&row->identity, words[i], why, why_size)))
            return error;
    return 0;
}

static int read_rows(struct rows *rows, const char *name, const char *text, size_t size, char *why, size_t why_size)
{
    size_t number = 0;
    for (size_t start = 0, end; start < size; start = end + 1) {
        const char *newline = memchr(text + start, '\n', size - start);
        end = newline ? (size_t)(newline - text) : size;
        number++;
        char line[LINE_LIMIT], reason[REASON_SIZE];
        size_t length = end - start;
        if (length >= sizeof line || memchr(text + start, '\0', length))
            return refuse(why, why_size, -EINVAL, "%s:%zu: not a line of text", name, number);
        memcpy(line, text + start, length);
        line[length] = '\0';
        struct row row = {.credential.line = number};
        int used, error = read_row(&row, line, &used, reason, sizeof reason);
        if (!error && used && rows->count == IDENTITIES_LIMIT)
            error = refuse(reason, sizeof reason, -EINVAL, "no more than %d identities", IDENTITIES_LIMIT);
        if (!error && used && rows->count == rows->room) {
            size_t room = rows->room ? 2 * rows->room : 64;
            struct row *more = realloc(rows->rows, room * sizeof *more);
            if (more)
                rows->rows = more, rows->room = room;
            else
                error = refuse(reason, sizeof reason, -ENOMEM, "no memory");
        }
        if (error) {
            free(row.credential.name);
            return refuse(why, why_size, error, "%s:%zu: %s", name, number, reason);
        }
        if (used)
            rows->rows[rows->count++] = row;
    }
    return 0;
}

static int compare_rows(const void *left, const void *right)
{
    const struct row *a = left, *b = right;
    int order = strcmp(a->identity.name, b->identity.name);
    return order ? order : (a->credential.line > b->credential.line) - (a->credential.line < b->credential.line);
}

static int compare_credentials(const void *left, const void *right)
{
    const struct credential *a = left, *b = right;
    if (a->kind == CERTIFICATE)
        return strcmp(a->name, b->name);
    if (a->kind == UID)
        return (a->uid > b->uid) - (a->uid < b->uid);
    for (int i = 0; i < HASH_WORDS; i++)
        if (a->hash[i] != b->hash[i])
            return a->hash[i] > b->hash[i] ? 1 : -1;
    return 0;
}

// One identity for each name: rows of one name are several credentials of it and say the same otherwise.
static int gather(struct identities *table, struct rows *rows, const char *name, char *why, size_t why_size)
{
    if (rows->count > 1)
        qsort(rows->rows, rows->count, sizeof *rows->rows, compare_rows);
    for (size_t i = 0; i < rows->count; i++) {
        struct row *row = &rows->rows[i];
        const struct identity *before = table->count ? &table->list[table->count - 1] : NULL;
        if (!before || strcmp(before->name, row->identity.name))
            table->list[table->count++] = row->identity;
        else if (before->role != row->identity.role || before->sessions != row->identity.sessions ||
                 before->rate != row->identity.rate)
            return refuse(why, why_size, -EINVAL, "%s:%zu: %s has another role or limit in line %zu", name,
                          row->credential.line, row->identity.name, rows->rows[i - 1].credential.line);
        enum credential_kind kind = row->credential.kind;
        row->credential.identity = (uint32_t)table->count - 1;
        table->credentials[kind][table->credential_count[kind]++] = row->credential;
        row->credential.name = NULL;  // the table's now
    }
    for (int kind = 0; kind < CREDENTIAL_KINDS; kind++) {
        struct credential *list = table->credentials[kind];
        size_t count = table->credential_count[kind];
        if (count > 1)
            qsort(list, count, sizeof *list, compare_credentials);
        for (size_t i = 1; i < count; i++) {
            if (compare_credentials(&list[i - 1], &list[i]) == 0) {
                size_t a = list[i - 1].line, b = list[i].line;
                return refuse(why, why_size, -EINVAL, "%s:%zu: the same %s as in line %zu", name, a > b ? a : b,
                              kind_names[kind], a > b ? b : a);
            }
        }
    }
    return 0;
}

static struct identities *table_new(size_t rows)
{
    struct identities *table = calloc(1, sizeof *table);
    if (!table)
        return NULL;
    atomic_init(&table->references, 1);
    table->list = calloc(rows + 1, sizeof *table->list);
    int whole = table->list != NULL;
    for (int kind = 0; kind < CREDENTIAL_KINDS; kind++)
        whole = (table->credentials[kind] = calloc(rows + 1, sizeof **table->credentials)) != NULL && whole;
    if (whole)
        return table;
    identities_unref(table);
    return NULL;
}

int identities_parse(struct identities **identities, const char *name, const char *text, size_t size, char *why,
                     size_t why_size)
{
    struct rows rows = {0};
    struct identities *table = NULL;
    int error = read_rows(&rows, name, text, size, why, why_size);
    if (!error && !(table = table_new(rows.count)))
        error = refuse(why, why_size, -ENOMEM, "%s: no memory", name);
    if (!error)
        error = gather(table, &rows, name, why, why_size);
    for (size_t i = 0; i < rows.count; i++)
        free(rows.rows[i].credential.name);
    free(rows.rows);
    if (error)
        identities_unref(table);
    else
        *identities = table;
    return error;
}

int identities_read(struct identities **identities, const char *path, char *why, size_t why_size)
{
    FILE *file = fopen(path, "re");
    struct stat about;
    if (!file || fstat(fileno(file), &about)) {
        int error = refuse(why, why_size, -errno, "%s: %s", path, strerror(errno));
        if (file)
            fclose(file);
        return error;
    }
    int result;
    char *text = NULL;
    size_t size = 0;
    if (!S_ISREG(about.st_mode))
        result = refuse(why, why_size, -EINVAL, "%s: is not a regular file", path);
    else if (about.st_mode & (S_IWGRP | S_IWOTH))
        result = refuse(why, why_size, -EPERM, "%s: others than its owner may write to it (chmod 0640)", path);
    else if (about.st_size >= FILE_LIMIT)
        result = refuse(why, why_size, -EINVAL, "%s: more than %d bytes", path, FILE_LIMIT);
    else if (!(text = malloc(FILE_LIMIT)))
        result = refuse(why, why_size, -ENOMEM, "%s: no memory", path);
    else if ((size = fread(text, 1, FILE_LIMIT, file)) == FILE_LIMIT || ferror(file))
        result = refuse(why, why_size, -EIO, "%s: cannot be read", path);
    else
        result = identities_parse(identities, path, text, size, why, why_size);
    free(text);
    fclose(file);
    return result;
}

struct identities *identities_ref(struct identities *identities)
{
    atomic_fetch_add_explicit(&identities->references, 1, memory_order_relaxed);
    return identities;
}

void identities_unref(struct identities *identities)
{
    if (!identities || atomic_fetch_sub_explicit(&identities->references, 1, memory_order_acq_rel) > 1)
        return;
    for (int kind = 0; kind < CREDENTIAL_KINDS; kind++) {
        for (size_t i = 0; i < identities->credential_count[kind]; i++)
            free(identities->credentials[kind][i].name);
        free(identities->credentials[kind]);
    }
    free(identities->list);
    free(identities);
}

// 1: a < b as numbers of 256 bits, found without a branch.
static uint64_t is_less(const uint64_t *a, const uint64_t *b)
{
    uint64_t less = 0, equal = 1;
    for (int i = 0; i < HASH_WORDS; i++) {
        less |= equal & (uint64_t)(a[i] < b[i]);
        equal &= (uint64_t)(a[i] == b[i]);
    }
    return less;
}

// Halves the list as many times for every token, and compares the one place where the hash could be whole. An attacker
// who measured it could learn of the hashes at most, and from those no token follows.
const struct identity *identities_by_token(const struct identities *identities, const char *token)
{
    uint8_t bytes[SHA256_DIGEST_LENGTH];
    uint64_t hash[HASH_WORDS];
    SHA256((const uint8_t *)token, strlen(token), bytes);
    for (int i = 0; i < HASH_WORDS; i++) {
        hash[i] = 0;
        for (int k = 0; k < 8; k++)
            hash[i] = hash[i] << 8 | bytes[8 * i + k];
    }
    const struct credential *tokens = identities->credentials[TOKEN];
    size_t count = identities->credential_count[TOKEN], at = 0;
    for (size_t left = count; left > 1; left -= left / 2)
        at += (left / 2) & (0 - (size_t)(is_less(hash, tokens[at + left / 2].hash) ^ 1));
    if (count == 0 || CRYPTO_memcmp(tokens[at].hash, hash, sizeof hash))
        return NULL;
    return &identities->list[tokens[at].identity];
}

static const struct identity *find(const struct identities *identities, const struct credential *wanted)
{
    const struct credential *found =
        bsearch(wanted, identities->credentials[wanted->kind], identities->credential_count[wanted->kind],
                sizeof *wanted, compare_credentials);
    return found ? &identities->list[found->identity] : NULL;
}

const struct identity *identities_by_certificate(const struct identities *identities, const char *const *names,
                                                 size_t count)
{
    const struct identity *found = NULL;
    for (size_t i = 0; i < count && !found; i++)
        found = find(identities, &(struct credential){.kind = CERTIFICATE, .name = (char *)names[i]});
    return found;
}

const struct identity *identities_by_uid(const struct identities *identities, uint32_t uid)
{
    return find(identities, &(struct credential){.kind = UID, .uid = uid});
}
