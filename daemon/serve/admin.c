// Monitoring over HTTP; the contract is in admin.h.
#include "admin.h"

#include "daemon/policy/refuse.h"
#include "log.h"

#include <errno.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WHY_SIZE = 512 };

struct admin {
    struct admin_options options;
    struct MHD_Daemon *http;
};

// How much memory a body is in.
enum body { CONSTANT, COPIED, OWNED };

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *type, char *text,
                              enum body body)
{
    static const enum MHD_ResponseMemoryMode modes[] = {MHD_RESPMEM_PERSISTENT, MHD_RESPMEM_MUST_COPY,
                                                        MHD_RESPMEM_MUST_FREE};
    struct MHD_Response *response = MHD_create_response_from_buffer(strlen(text), text, modes[body]);
    if (!response) {
        if (body == OWNED)
            free(text);
        return MHD_NO;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result say(struct MHD_Connection *connection, unsigned status, const char *sentence)
{
    return answer(connection, status, "text/plain; charset=utf-8", (char *)sentence, CONSTANT);
}

static enum MHD_Result tell_metrics(const struct admin *admin, struct MHD_Connection *connection)
{
    char *text = admin->options.metrics(admin->options.context);
    if (!text)
        return say(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "no memory\n");
    return answer(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", text, OWNED);
}

static enum MHD_Result tell(const struct admin *admin, struct MHD_Connection *connection,
                            int (*asked)(void *context, char *why, size_t why_size))
{
    char why[WHY_SIZE] = "";
    if (asked(admin->options.context, why, sizeof why - 1) == 0)
        return say(connection, MHD_HTTP_OK, "ok\n");
    strcat(why, "\n");
    return answer(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "text/plain; charset=utf-8", why, COPIED);
}

// Called with the headers first, then for each piece of a body, which nobody here wants, then without any.
static enum MHD_Result asked(void *context, struct MHD_Connection *connection, const char *path, const char *method,
                             const char *version, const char *upload, size_t *upload_size, void **state)
{
    (void)version, (void)upload;
    const struct admin *admin = context;
    static char begun;
    if (!*state) {
        *state = &begun;
        return MHD_YES;
    }
    if (*upload_size > 0) {
        *upload_size = 0;
        return MHD_YES;
    }
    int is_metrics = !strcmp(path, "/metrics"), is_health = !strcmp(path, "/healthz");
    if (!is_metrics && !is_health && strcmp(path, "/readyz"))
        return say(connection, MHD_HTTP_NOT_FOUND, "there are /metrics, /healthz and /readyz\n");
    if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
        return say(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
    if (is_metrics)
        return tell_metrics(admin, connection);
    return tell(admin, connection, is_health ? admin->options.health : admin->options.ready);
}

__attribute__((format(printf, 2, 0)))
static void complain(void *context, const char *format, va_list arguments)
{
    (void)context;
    char text[WHY_SIZE];
    vsnprintf(text, sizeof text, format, arguments);
    text[strcspn(text, "\n")] = '\0';
    log_event(LOG_DEBUG, "admin", LOG_TEXT("why", text));
}

int admin_start(struct admin **out, const struct admin_options *options, char *why, size_t why_size)
{
    struct admin *admin = malloc(sizeof *admin);
    if (!admin) {
        close(options->fd);
        return refuse(why, why_size, -ENOMEM, "admin: no memory");
    }
    admin->options = *options;
    // Its thread takes no signals: those are the loops'.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    admin->http = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ERROR_LOG, 0, NULL, NULL, asked, admin,
        MHD_OPTION_EXTERNAL_LOGGER, complain, NULL, MHD_OPTION_LISTEN_SOCKET, options->fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)ADMIN_CONNECTIONS,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)ADMIN_TIMEOUT_SECONDS,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)ADMIN_MEMORY, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!admin->http) {
        close(options->fd);
        free(admin);
        return refuse(why, why_size, -EIO, "admin: no HTTP thread");
    }
    *out = admin;
    return 0;
}

void admin_stop(struct admin *admin)
{
    if (!admin)
        return;
    MHD_stop_daemon(admin->http);  // and closes the fd
    free(admin);
}
