// Questions about what is in the log, answered by the store's thread in the order of asking, after what was
// put before.
#include "internal.h"

#include "record.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- Asking: the loop's side ------------------------------------------------------------------------------

static int ask(struct store_queue *queue, const struct question *what, const char *name)
{
    struct store *store = queue->store;
    size_t length = strlen(name);
    struct question *question = malloc(sizeof *question + length + 1);
    if (question == NULL)
        return -ENOMEM;
    *question = *what;
    question->next = NULL;
    memcpy(question->name, name, length + 1);
    question->position = ring_head(&queue->ring);
    pthread_mutex_lock(&store->mutex);
    int error = queue->question_count < STORE_QUESTIONS_LIMIT ? 0 : -ENOSPC;
    if (!error) {
        if (queue->last_question)
            queue->last_question->next = question;
        else
            queue->first_question = question;
        queue->last_question = question;
        queue->question_count++;
        pthread_cond_signal(&store->work);
    }
    pthread_mutex_unlock(&store->mutex);
    if (error)
        free(question);
    return error;
}

int store_ask_session(struct store_queue *queue, uint64_t cookie, const char *name)
{
    return ask(queue, &(struct question){.kind = STORE_ANSWER_SESSION, .cookie = cookie}, name);
}

int store_ask_transitions(struct store_queue *queue, uint64_t cookie, uint64_t session, uint32_t after_writer,
                          uint64_t after_seq)
{
    return ask(queue, &(struct question){.kind = STORE_ANSWER_TRANSITIONS, .cookie = cookie, .session = session,
                                         .after_writer = after_writer, .after_seq = after_seq}, "");
}

int store_ask_sessions(struct store_queue *queue, uint64_t cookie, const char *after, size_t limit)
{
    return ask(queue, &(struct question){.kind = STORE_ANSWER_SESSIONS, .cookie = cookie, .limit = limit},
               after ? after : "");
}

int store_ask_explored(struct store_queue *queue, uint64_t cookie, const char *model, uint64_t after,
                       uint64_t after_seq)
{
    return ask(queue, &(struct question){.kind = STORE_ANSWER_EXPLORED, .cookie = cookie, .after = after,
                                         .after_seq = after_seq}, model);
}

// An answer and what it points to.
struct kept_answer {
    struct store_answer answer;
    struct kept_answer *next;
    uint8_t *state;
    char *text;                           // strings of sessions
    float *numbers;                       // of transitions
    struct store_transition *transitions;
    struct store_session *sessions;
};

struct store_answer *store_take_answer(struct store_queue *queue)
{
    if (!atomic_load_explicit(&queue->answered, memory_order_acquire))
        return NULL;
    pthread_mutex_lock(&queue->store->mutex);
    struct kept_answer *answer = queue->first_answer;
    if (answer) {
        queue->first_answer = answer->next;
        queue->question_count--;
    }
    if (queue->first_answer == NULL) {
        queue->last_answer = NULL;
        atomic_store(&queue->answered, 0);
    }
    pthread_mutex_unlock(&queue->store->mutex);
    return answer ? &answer->answer : NULL;
}

void store_answer_free(struct store_answer *taken)
{
    struct kept_answer *answer = (struct kept_answer *)taken;  // its first member
    if (answer == NULL)
        return;
    free(answer->state);
    free(answer->text);
    free(answer->numbers);
    free(answer->transitions);
    free(answer->sessions);
    free(answer);
}

void store_release_questions(struct store_queue *queue)
{
    while (queue->first_question) {
        struct question *question = queue->first_question;
        queue->first_question = question->next;
        free(question);
    }
    while (queue->first_answer) {
        struct kept_answer *answer = queue->first_answer;
        queue->first_answer = answer->next;
        store_answer_free(&answer->answer);
    }
}

// ---- Answering: the thread's side -------------------------------------------------------------------------

// Strings and numbers of a row live until the next step; these live as long as the answer. `room` has been reserved.
static const char *keep(char **room, const char *text)
{
    char *start = *room;
    size_t size = strlen(text) + 1;
    memcpy(start, text, size);
    *room += size;
    return start;
}

static size_t text_size(const struct store_session *s)
{
    size_t text = strlen(s->name) + strlen(s->identity) + strlen(s->model) + strlen(s->model_digest) + 4;
    return (s->told_count + (text + sizeof(float) - 1) / sizeof(float)) * sizeof(float);  // the next one's numbers fit
}

static void keep_text(struct store_session *s, char **room)
{
    char *end = *room + text_size(s);
    size_t told = s->told_count * sizeof *s->told_task;
    if (told)
        memcpy(*room, s->told_task, told);
    s->told_task = (const float *)*room;
    *room += told;
    s->name = keep(room, s->name);
    s->identity = keep(room, s->identity);
    s->model = keep(room, s->model);
    s->model_digest = keep(room, s->model_digest);
    *room = end;
}

// The row's session, and its strings.
static int keep_session(struct kept_answer *kept, sqlite3_stmt *s)
{
    struct store_session *session = &kept->answer.session;
    database_session_row(s, session);
    kept->text = malloc(text_size(session));
    if (kept->text == NULL)
        return -ENOMEM;
    char *room = kept->text;
    keep_text(session, &room);
    return 0;
}

static int answer_session(struct store *store, struct kept_answer *kept, const struct question *question)
{
    struct store_answer *answer = &kept->answer;
    sqlite3_stmt *s = database_statement(&store->database, SQL_SESSION);
    if (s == NULL)
        return -EIO;
    sqlite3_bind_text(s, 1, question->name, -1, SQLITE_STATIC);
    int found = database_step(&store->database, s);
    if (found <= 0)
        return found < 0 ? found : -ENOENT;
    int error = keep_session(kept, s);
    sqlite3_reset(s);
    if (error)
        return error;
    store_hold(store, answer->session.id);
    error = database_state(&store->database, answer->session.id, &kept->state, &answer->state_size);
    answer->state = kept->state;
    return error == -ENOENT ? 0 : error;
}

static int answer_transitions(struct store *store, struct kept_answer *kept, const struct question *question)
{
    struct store_answer *answer = &kept->answer;
    size_t used = 0, room = DATABASE_PAGE_BYTES / sizeof(float), need;
    kept->transitions = malloc(STORE_PAGE * sizeof *kept->transitions);
    kept->numbers = malloc(room * sizeof(float));
    sqlite3_stmt *s = database_statement(&store->database, SQL_TRANSITIONS);
    if (kept->transitions == NULL || kept->numbers == NULL)
        return -ENOMEM;
    if (s == NULL)
        return -EIO;
    sqlite3_bind_int64(s, 1, (int64_t)question->session);
    sqlite3_bind_int64(s, 2, question->after_writer);
    sqlite3_bind_int64(s, 3, (int64_t)question->after_seq);
    int found;
    while ((found = database_step(&store->database, s)) > 0) {
        if (answer->transition_count == STORE_PAGE) {
            answer->more = 1;
            break;
        }
        found = database_transition_row(&store->database, s, &kept->transitions[answer->transition_count],
                                        kept->numbers + used, room - used, &need);
        if (found == -E2BIG && answer->transition_count > 0) {  // on the next page then
            answer->more = 1;
            found = 0;
            break;
        }
        if (found < 0)
            break;
        used += need;
        answer->transition_count++;
    }
    sqlite3_reset(s);
    answer->transitions = kept->transitions;
    return found < 0 ? found : 0;
}

static int answer_explored(struct store *store, struct kept_answer *kept, const struct question *question)
{
    sqlite3_stmt *s = database_statement(&store->database, SQL_EXPLORED);
    if (s == NULL)
        return -EIO;
    sqlite3_bind_int64(s, 1, (int64_t)question->after);
    sqlite3_bind_text(s, 2, question->name, -1, SQLITE_STATIC);
    int found = database_step(&store->database, s);
    if (found <= 0)
        return found < 0 ? found : -ENOENT;
    int error = keep_session(kept, s);
    kept->answer.number = (uint64_t)sqlite3_column_int64(s, 12);
    sqlite3_reset(s);
    if (error)
        return error;
    struct question page = *question;
    page.session = kept->answer.session.id;
    return answer_transitions(store, kept, &page);
}

static int answer_sessions(struct store *store, struct kept_answer *kept, const struct question *question)
{
    struct store_answer *answer = &kept->answer;
    size_t limit = question->limit && question->limit < STORE_PAGE ? question->limit : STORE_PAGE;
    size_t room = limit * 1024, used = 0;  // four short strings each, and a task
    kept->sessions = malloc(limit * sizeof *kept->sessions);
    kept->text = malloc(room);
    sqlite3_stmt *s = database_statement(&store->database, SQL_SESSIONS);
    if (kept->sessions == NULL || kept->text == NULL)
        return -ENOMEM;
    if (s == NULL)
        return -EIO;
    sqlite3_bind_text(s, 1, question->name, -1, SQLITE_STATIC);
    int found;
    while ((found = database_step(&store->database, s)) > 0) {
        struct store_session *session = &kept->sessions[answer->session_count];
        struct store_session row;
        database_session_row(s, &row);
        if (answer->session_count == limit || (text_size(&row) > room - used && answer->session_count > 0)) {
            answer->more = 1;
            break;
        }
        if (text_size(&row) > room) {
            found = -EUCLEAN;
            break;
        }
        *session = row;
        char *place = kept->text + used;
        keep_text(session, &place);
        used = (size_t)(place - kept->text);
        answer->session_count++;
    }
    sqlite3_reset(s);
    answer->sessions = kept->sessions;
    return found < 0 ? found : 0;
}

// While the disk refuses, what was put before the question may still be in the ring only. Does any of it
// matter?
static int is_pending(struct store *store, struct store_queue *queue, const struct question *question)
{
    uint64_t position = ring_tail(&queue->ring);
    while (position < question->position) {
        const struct record *record = (const struct record *)ring_at(&queue->ring, position);
        if (question->kind == STORE_ANSWER_TRANSITIONS && record->session == question->session)
            return 1;
        if (question->kind == STORE_ANSWER_SESSION) {
            struct store_session session;
            if (record->kind == RECORD_SESSION)
                session = record_session(record);
            if (record->kind == RECORD_SESSION && strcmp(session.name, question->name) == 0)
                return 1;
            if (record->session == store->asked_session)
                return 1;
        }
        position += record->size;
    }
    return 0;
}

static struct kept_answer *answer(struct store *store, struct store_queue *queue, const struct question *question)
{
    struct kept_answer *kept = calloc(1, sizeof *kept);
    if (kept == NULL)
        return NULL;
    kept->answer.kind = question->kind;
    kept->answer.cookie = question->cookie;
    int (*const answers[])(struct store *, struct kept_answer *, const struct question *) = {
        [STORE_ANSWER_SESSION] = answer_session, [STORE_ANSWER_TRANSITIONS] = answer_transitions,
        [STORE_ANSWER_SESSIONS] = answer_sessions, [STORE_ANSWER_EXPLORED] = answer_explored,
    };
    int error = answers[question->kind](store, kept, question);
    store->asked_session = kept->answer.session.id;
    if (error != 0 && error != -ENOENT)
        snprintf(kept->answer.why, sizeof kept->answer.why, "%.159s", error == -ENOMEM ? "no memory" : store->database.error);
    if (is_pending(store, queue, question)) {
        error = -EIO;
        pthread_mutex_lock(&store->mutex);
        snprintf(kept->answer.why, sizeof kept->answer.why, "not all of it is on disk: %.120s", store->why);
        pthread_mutex_unlock(&store->mutex);
    }
    kept->answer.error = error == 0 || error == -ENOENT || error == -EUCLEAN || error == -ENOMEM ? error : -EIO;
    return kept;
}

// May it be answered? What was put before is on disk, or will not be soon.
static int is_due(const struct store *store, const struct store_queue *queue, const struct question *question)
{
    return question && (ring_tail(&queue->ring) >= question->position || store->retry_ns);
}

int store_has_questions(struct store *store)
{
    for (size_t i = 0; i < store->options.queues; i++)
        if (store->queues[i].first_question)
            return 1;
    return 0;
}

// Answers one of the queue. 0: none is due.
static int answer_one(struct store *store, struct store_queue *queue)
{
    pthread_mutex_lock(&store->mutex);
    struct question *question = queue->first_question;
    int due = is_due(store, queue, question);
    pthread_mutex_unlock(&store->mutex);
    if (!due)
        return 0;
    struct kept_answer *kept = answer(store, queue, question);
    if (kept == NULL)
        return 0;  // no memory for saying so: asked again in a moment
    pthread_mutex_lock(&store->mutex);
    queue->first_question = question->next;
    if (queue->first_question == NULL)
        queue->last_question = NULL;
    if (queue->last_answer)
        queue->last_answer->next = kept;
    else
        queue->first_answer = kept;
    queue->last_answer = kept;
    int wake = !atomic_exchange(&queue->answered, 1);
    pthread_mutex_unlock(&store->mutex);
    free(question);
    if (wake && store->options.wake)
        store->options.wake(store->options.context, queue->index);
    return 1;
}

void store_answer_questions(struct store *store, uint64_t budget_ns)
{
    uint64_t end = store_now_ns() + budget_ns;
    int answered = 1;
    while (answered && store_now_ns() < end) {
        answered = 0;
        for (size_t i = 0; i < store->options.queues; i++)
            answered |= answer_one(store, &store->queues[i]);
    }
}
