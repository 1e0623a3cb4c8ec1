// SQL of the experience log, and opening it.
//
// Transitions are clustered by (session, writer, seq), their key, so that what is read together lies
// together, and `insert or ignore` makes a repeat harmless. All statements are prepared. What binds and reads
// their values is in database_write.c and database_read.c.
#include "database.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CACHE_KB = 65536, BUSY_MS = 2000 };

static const char SCHEMA[] =
    "create table meta (name text primary key, value integer not null) without rowid;"
    "create table model (digest text primary key, name text not null, saved_ms integer not null, bytes blob not null);"
    "create table session (id integer primary key, name text not null unique, identity text not null,"
    "  model text not null, model_digest text not null, epoch integer not null, task integer not null,"
    "  hold_prior integer not null, count integer not null, digest blob not null, opener integer not null,"
    "  opened_ms integer not null, heard_ms integer not null, heard_run_s integer not null);"
    "create table state (session integer primary key, saved_ms integer not null, sha256 blob not null,"
    "  bytes blob not null);"
    "create table transition (session integer not null, writer integer not null, seq integer not null,"
    "  task integer not null, status integer not null, first integer not null, last integer not null,"
    "  taken_ms integer not null, reward real, observation blob not null, action blob not null,"
    "  next_observation blob not null, checksum integer not null,"
    "  primary key (session, writer, seq)) without rowid;"
    "create table forgotten (session integer primary key);"
    "create view status (status, name) as values (1, 'absorbed'), (3, 'not finite'), (4, 'out of range'),"
    "  (5, 'other task');";

// Later than the others, so they may be missing in a log that is there.
static const char LATER[] =
    "create table if not exists explored (number integer primary key autoincrement, session integer not null unique)";
static const char HAS_TOLD_TASK[] = "select count(*) from pragma_table_info('session') where name = 'told_task'";
static const char ADD_TOLD_TASK[] = "alter table session add column told_task blob not null default ''";

static const char *const SQL[STATEMENT_COUNT] = {
    [SQL_BEGIN] = "begin immediate",
    [SQL_BEGIN_READ] = "begin",
    [SQL_COMMIT] = "commit",
    [SQL_ROLLBACK] = "rollback",
    [SQL_PAGES] = "pragma page_count",
    [SQL_FREE_PAGES] = "pragma freelist_count",
    [SQL_PUT_TRANSITION] =
        "insert or ignore into transition (session, writer, seq, task, status, first, last, taken_ms, reward,"
        " observation, action, next_observation, checksum) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    [SQL_PUT_SESSION] =
        "insert into session (id, name, identity, model, model_digest, epoch, task, hold_prior, count, digest,"
        " opened_ms, heard_ms, heard_run_s, opener, told_task)"
        " values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11, ?12, ?13, ?14)"
        " on conflict (id) do update set name = ?2, identity = ?3, model = ?4, model_digest = ?5, epoch = ?6, task = ?7,"
        " hold_prior = ?8, count = ?9, digest = ?10, heard_ms = ?11, heard_run_s = ?12, opener = ?13,"
        " told_task = ?14",
    [SQL_RENAME] = "select id from session where name = ?1 and id <> ?2",
    [SQL_TOUCH] = "update session set count = ?2, digest = ?3, heard_ms = ?4, heard_run_s = ?5 where id = ?1",
    [SQL_PUT_STATE] = "insert or replace into state (session, saved_ms, sha256, bytes) values (?1, ?2, ?3, ?4)",
    [SQL_FORGET] = "insert or ignore into forgotten (session) values (?1)",
    [SQL_FORGET_SESSION] = "delete from session where id = ?1",
    [SQL_FORGET_STATE] = "delete from state where session = ?1",
    // An insert that is ignored would use up a number.
    [SQL_PUT_EXPLORED] =
        "insert into explored (session) select ?1 where not exists (select 1 from explored where session = ?1)",
    [SQL_FORGET_EXPLORED] = "delete from explored where session = ?1",
    [SQL_EXPLORED_UP_TO] = "select session from explored where number <= ?1 order by number limit 1",
    [SQL_EXPLORED] =
        "select id, name, identity, model, model_digest, epoch, task, hold_prior, count, digest, opener, told_task, number"
        " from explored join session on id = session where number > ?1 and model = ?2 order by number limit 1",
    [SQL_LAST_EXPLORED] = "select seq from sqlite_sequence where name = 'explored'",
    [SQL_DROP_MODELS] =
        "delete from model where name = ?1 and digest not in (select model_digest from session where model = ?1)"
        " and digest not in (select digest from model where name = ?1 order by saved_ms desc, rowid desc limit ?2)",
    [SQL_NEXT_FORGOTTEN] = "select session from forgotten limit 1",
    [SQL_DELETE_PIECE] =
        "delete from transition where session = ?1 and (writer, seq) <= (select writer, seq from"
        " (select writer, seq from transition where session = ?1 order by writer, seq limit ?2)"
        " order by writer desc, seq desc limit 1)",
    [SQL_FORGOTTEN] = "delete from forgotten where session = ?1",
    [SQL_SILENT] = "select id from session where id > ?2 and heard_run_s < ?1 order by id limit 1",
    [SQL_SET_META] = "insert or replace into meta (name, value) values (?1, ?2)",
    [SQL_META] = "select value from meta where name = ?1",
    [SQL_SESSION] =
        "select id, name, identity, model, model_digest, epoch, task, hold_prior, count, digest, opener, told_task from session"
        " where name = ?1",
    [SQL_STATE] = "select sha256, bytes from state where session = ?1",
    [SQL_TRANSITIONS] =
        "select session, writer, seq, task, status, first, last, reward, observation, action, next_observation, checksum,"
        " taken_ms from transition where session = ?1 and (writer, seq) > (?2, ?3) order by writer, seq",
    [SQL_SESSIONS] =
        "select id, name, identity, model, model_digest, epoch, task, hold_prior, count, digest, opener, told_task from session"
        " where name > ?1 order by name",
    // A log that no daemon has opened since there are told tasks has no such column.
    [SQL_SESSIONS_UNTOLD] =
        "select id, name, identity, model, model_digest, epoch, task, hold_prior, count, digest, opener, '' from session"
        " where name > ?1 order by name",
    [SQL_PUT_MODEL] =
        "insert or replace into model (digest, name, saved_ms, bytes) values (?1, ?2, ?3, ?4)",
    [SQL_MODEL] = "select bytes from model where digest = ?1",
    // From each number to the next, without reading what is between.
    [SQL_ORPHANS] =
        "with recursive ids (id) as (select min(session) from transition union all"
        " select (select min(session) from transition where session > ids.id) from ids where ids.id is not null)"
        " select count(*) from ids where id is not null and id not in (select id from session)"
        " and id not in (select session from forgotten)",
    [SQL_LAST_ID] =
        "select max(coalesce((select max(id) from session), 0), coalesce((select max(session) from transition), 0),"
        " coalesce((select max(session) from forgotten), 0), coalesce((select max(session) from state), 0))",
};

static int errno_of(int code)
{
    switch (code & 0xFF) {
    case SQLITE_OK: case SQLITE_ROW: case SQLITE_DONE: return 0;
    case SQLITE_CORRUPT: case SQLITE_NOTADB: return -EUCLEAN;
    case SQLITE_FULL: return -ENOSPC;
    case SQLITE_READONLY: return -EROFS;
    case SQLITE_NOMEM: return -ENOMEM;
    case SQLITE_BUSY: case SQLITE_LOCKED: return -EBUSY;
    case SQLITE_PERM: case SQLITE_AUTH: return -EACCES;
    default: return -EIO;
    }
}

int database_error(struct database *database, int code, const char *doing)
{
    int error = errno_of(code), system = database->handle ? sqlite3_system_errno(database->handle) : 0;
    const char *text = error == -EUCLEAN ? "the file is damaged: stop the daemon, keep a copy, and see `sqlite3 FILE .recover`"
        : error == -EBUSY ? "another program holds the database for too long" : sqlite3_errstr(code);
    int by_system = error == -EIO && system > 0;
    if (error == -EIO && (system == ENOSPC || system == EDQUOT || system == EFBIG))
        error = -ENOSPC;
    else if (error == -EIO && (system == EACCES || system == EROFS))
        error = -system;
    snprintf(database->error, sizeof database->error, "%.80s: cannot %s: %s%s%s", DATABASE_FILE, doing, text,
             by_system ? ": " : "", by_system ? strerror(system) : "");
    return error;
}

sqlite3_stmt *database_statement(struct database *database, enum statement which)
{
    sqlite3_stmt **statement = &database->statements[which];
    if (*statement) {
        sqlite3_reset(*statement);
        return *statement;
    }
    int code = sqlite3_prepare_v3(database->handle, SQL[which], -1, SQLITE_PREPARE_PERSISTENT, statement, NULL);
    if (code != SQLITE_OK) {
        database_error(database, code, "read the tables");
        *statement = NULL;
    }
    return *statement;
}

int database_step(struct database *database, sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        return 1;
    sqlite3_reset(statement);
    return code == SQLITE_DONE ? 0 : database_error(database, code, sqlite3_stmt_readonly(statement) ? "read" : "write");
}

// A statement without rows.
int database_run(struct database *database, sqlite3_stmt *statement)
{
    int result = database_step(database, statement);
    if (result > 0)
        sqlite3_reset(statement);
    return result < 0 ? result : 0;
}

// A statement without parameters that was not prepared because of damage or memory is -EIO at least.
int database_no_statement(struct database *database)
{
    int error = errno_of(sqlite3_errcode(database->handle));
    return error ? error : -EIO;
}

int database_run_plain(struct database *database, enum statement which)
{
    sqlite3_stmt *statement = database_statement(database, which);
    return statement ? database_run(database, statement) : database_no_statement(database);
}

// ---- Opening ----------------------------------------------------------------------------------------------

static int execute(struct database *database, const char *sql, const char *doing)
{
    int code = sqlite3_exec(database->handle, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? 0 : database_error(database, code, doing);
}

static int pragma(struct database *database, const char *sql, int64_t *value)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(database->handle, sql, -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return code == SQLITE_ROW ? 0 : database_error(database, code, "read the file's head");
}

// Is it ours, and of a version that we know? *empty: a file without any table.
static int check_head(struct database *database, int *empty, char *why, size_t why_size)
{
    int64_t application = 0, version = 0, tables = 0;
    int error = pragma(database, "pragma application_id", &application);
    if (!error)
        error = pragma(database, "pragma user_version", &version);
    if (!error)
        error = pragma(database, "select count(*) from sqlite_schema", &tables);
    if (error)
        return error;
    *empty = tables == 0 && application == 0;
    if (!*empty && application != DATABASE_APPLICATION) {
        snprintf(why, why_size, "%s: is a database, but not an experience log of beliefd", database->path);
        return -EUCLEAN;
    }
    if (!*empty && version > DATABASE_VERSION) {
        snprintf(why, why_size, "%s: version %lld of the log was made by a later beliefd; this one knows up to %d",
                 database->path, (long long)version, DATABASE_VERSION);
        return -ENOTSUP;
    }
    return 0;
}

// What is read at start is read whole: the sessions, and the way to the last transition.
static int check_tables(struct database *database)
{
    int64_t count;
    uint64_t id;
    int error = pragma(database, "select count(*) + coalesce(sum(length(name) + length(digest)), 0) from session", &count);
    if (!error)
        error = pragma(database, "select count(*) from meta", &count);
    return error ? error : database_last_id(database, &id);
}

static int fail(struct database *database, int error, char *why, size_t why_size)
{
    if (why_size && why[0] == '\0') {
        if (error == -EUCLEAN)
            snprintf(why, why_size, "%s: the database is damaged; keep a copy of it and of its -wal file, then `sqlite3 %s "
                     ".recover | sqlite3 new.db` saves what can be read (%s)", database->path, database->path,
                     database->error);
        else
            snprintf(why, why_size, "%s: %s", database->path, database->error);
    }
    database_close(database);
    return error;
}

// Every allocation would count itself under a lock.
static void configure(void) { sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); }

static int add_later(struct database *database)
{
    int64_t has_told_task = 0;
    int error = execute(database, LATER, "make the tables");
    if (!error)
        error = pragma(database, HAS_TOLD_TASK, &has_told_task);
    return error || has_told_task ? error : execute(database, ADD_TOLD_TASK, "make the tables");
}

int database_open(struct database *database, const char *directory, char *why, size_t why_size)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, configure);
    *database = (struct database){0};
    if (why_size)
        why[0] = '\0';
    snprintf(database->path, sizeof database->path, "%s/%s", directory, DATABASE_FILE);
    int file = open(database->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);  // SQLite would let everybody read
    if (file >= 0)
        close(file);
    int code = sqlite3_open_v2(database->path, &database->handle,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK)
        return fail(database, database_error(database, code, "open it"), why, why_size);
    sqlite3_busy_timeout(database->handle, BUSY_MS);
    char settings[256];
    // The page size counts for a new file only. Spilling would write half a transaction; checkpoints are the
    // writer's.
    snprintf(settings, sizeof settings,
             "pragma page_size = %d; pragma journal_mode = wal; pragma synchronous = full; pragma wal_autocheckpoint = 0;"
             "pragma cache_size = -%d; pragma cache_spill = off; pragma secure_delete = off; pragma trusted_schema = off",
             DATABASE_PAGE, CACHE_KB);
    int empty = 0, error = check_head(database, &empty, why, why_size);
    if (!error)
        error = execute(database, settings, "use it");
    if (!error && empty) {
        char stamp[128];
        snprintf(stamp, sizeof stamp, "pragma application_id = %d; pragma user_version = %d", DATABASE_APPLICATION,
                 DATABASE_VERSION);
        error = execute(database, "begin immediate", "make the tables");
        if (!error)
            error = execute(database, SCHEMA, "make the tables");
        if (!error)
            error = execute(database, stamp, "make the tables");
        if (!error)
            error = execute(database, "commit", "make the tables");
    }
    if (!error)
        error = add_later(database);
    if (!error)
        error = check_tables(database);
    return error ? fail(database, error, why, why_size) : 0;
}

// Where nothing can be written, a database without a WAL can still be read: nobody can change it.
static int open_immutable(struct database *database)
{
    char name[3 * sizeof database->path + 32] = "file:", wal[sizeof database->path + 8];
    snprintf(wal, sizeof wal, "%s-wal", database->path);
    if (access(wal, F_OK) == 0)
        return SQLITE_CANTOPEN;
    char *end = name + strlen(name);
    for (const char *c = database->path; *c; c++)
        end += sprintf(end, strchr("%?#", *c) ? "%%%02x" : "%c", *c);
    strcpy(end, "?immutable=1");
    sqlite3_close(database->handle);
    return sqlite3_open_v2(name, &database->handle, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
}

int database_open_reader(struct database *database, const char *path, char *why, size_t why_size)
{
    *database = (struct database){0};
    if (why_size)
        why[0] = '\0';
    struct stat status;
    int is_directory = stat(path, &status) == 0 && S_ISDIR(status.st_mode);
    snprintf(database->path, sizeof database->path, "%s%s", path, is_directory ? "/" DATABASE_FILE : "");
    if (access(database->path, F_OK) != 0) {
        snprintf(why, why_size, "%s: there is no experience log", database->path);
        return -ENOENT;
    }
    int code = sqlite3_open_v2(database->path, &database->handle, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
    int64_t version;
    if (code == SQLITE_OK && pragma(database, "pragma schema_version", &version) != 0 &&
        sqlite3_errcode(database->handle) == SQLITE_CANTOPEN)
        code = open_immutable(database);
    if (code != SQLITE_OK)
        return fail(database, database_error(database, code, "open it"), why, why_size);
    sqlite3_busy_timeout(database->handle, BUSY_MS);
    int empty = 0, error = check_head(database, &empty, why, why_size);
    if (!error && empty) {
        snprintf(why, why_size, "%s: is empty", database->path);
        error = -EUCLEAN;
    }
    if (!error)
        error = database_run_plain(database, SQL_BEGIN_READ);
    if (!error)
        error = check_tables(database);
    return error ? fail(database, error, why, why_size) : 0;
}

void database_close(struct database *database)
{
    for (size_t i = 0; i < STATEMENT_COUNT; i++)
        sqlite3_finalize(database->statements[i]);
    sqlite3_close(database->handle);
    database->handle = NULL;
    memset(database->statements, 0, sizeof database->statements);
}

int database_begin(struct database *database) { return database_run_plain(database, SQL_BEGIN); }
int database_commit(struct database *database) { return database_run_plain(database, SQL_COMMIT); }

void database_rollback(struct database *database)
{
    char error[sizeof database->error];
    memcpy(error, database->error, sizeof error);  // what led here is what is told
    if (!sqlite3_get_autocommit(database->handle))
        database_run_plain(database, SQL_ROLLBACK);
    memcpy(database->error, error, sizeof error);
}
