// beliefd: the daemon. Reads what the operator says, loads the models, serves until told to stop.
#include "daemon/serve/config.h"
#include "daemon/serve/log.h"
#include "daemon/serve/loop.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { WHY_SIZE = 8192, SPARE_FILES = 128 };  // descriptors besides connections: the refused ones, our own

static const char usage[] =
    "beliefd " BELIEFD_VERSION ": keeps an exact belief for every robot and answers each control step.\n"
    "\n"
    "    beliefd --listen ADDRESS --model FILE [OPTION]...\n"
    "\n"
    "  --listen ADDRESS   unix:PATH, tcp:HOST:PORT on loopback or tls:HOST:PORT; may be repeated\n"
    "  --model FILE       a trained model; may be repeated, the first is the default\n"
    "  --config FILE      reads the rest from FILE (deploy/beliefd.conf explains every key)\n"
    "  --loops N          threads that serve, one for each core\n"
    "  --control ADDRESS  where operators ask (beliefctl): unix:PATH\n"
    "  --admin HOST:PORT  metrics and health over HTTP\n"
    "  --data DIRECTORY   keeps the experience log there; --durability off, interval or always\n"
    "  --identities FILE  who may come, and what they may do\n"
    "  --check            checks configuration and models, then exits\n"
    "  --ready-fd N       writes READY and a newline to descriptor N once clients are answered\n"
    "  --version, --help\n";

struct options {
    struct config config;
    int check_only;
    int ready_fd;
};

// The key of the file that an option stands for.
static const char *key_of(const char *option)
{
    return !strcmp(option, "data") ? "data_directory" : option;
}

// 0: go on; 1: exit with success; negative: a sentence.
static int read_options(struct options *options, int argc, char **argv, char *why, size_t why_size)
{
    static const struct option long_options[] = {
        {"listen", required_argument, NULL, 'l'},   {"model", required_argument, NULL, 'm'},
        {"config", required_argument, NULL, 'c'},   {"check", no_argument, NULL, 'n'},
        {"control", required_argument, NULL, 'k'},  {"admin", required_argument, NULL, 'k'},
        {"identities", required_argument, NULL, 'k'}, {"loops", required_argument, NULL, 'k'},
        {"data", required_argument, NULL, 'k'},     {"durability", required_argument, NULL, 'k'},
        {"ready-fd", required_argument, NULL, 'r'}, {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},           {0}};
    int option, index = 0, error = 0;
    char *end;
    opterr = 0;
    while (!error && (option = getopt_long(argc, argv, "", long_options, &index)) != -1) {
        switch (option) {
        case 'k':  // as in the file
            error = config_set(&options->config, key_of(long_options[index].name), optarg, why, why_size);
            break;
        case 'l':
            error = config_add_listen(&options->config, optarg, why, why_size);
            break;
        case 'm':
            error = config_add_model(&options->config, optarg, why, why_size);
            break;
        case 'c':
            error = config_read(&options->config, optarg, why, why_size);
            break;
        case 'n':
            options->check_only = 1;
            break;
        case 'r':
            options->ready_fd = (int)strtol(optarg, &end, 10);
            if (end == optarg || *end || options->ready_fd < 0) {
                snprintf(why, why_size, "--ready-fd: \"%s\" is not a descriptor", optarg);
                error = -EINVAL;
            }
            break;
        case 'v':
            puts("beliefd " BELIEFD_VERSION);
            return 1;
        case 'h':
            fputs(usage, stdout);
            return 1;
        default:
            snprintf(why, why_size, "%s: unknown option, or without its value (see --help)", argv[optind - 1]);
            error = -EINVAL;
        }
    }
    if (!error && optind < argc) {
        snprintf(why, why_size, "%s: unexpected (see --help)", argv[optind]);
        error = -EINVAL;
    }
    return error ? error : config_check(&options->config, why, why_size);
}

// Every connection is a file descriptor; better to know at start than in the night.
static int provide_descriptors(const struct config *config, char *why, size_t why_size)
{
    size_t needed = config->limits.connections + SPARE_FILES;
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files))
        return -errno;
    if (files.rlim_cur < needed && files.rlim_max >= needed) {
        files.rlim_cur = needed;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    if (files.rlim_cur >= needed)
        return 0;
    snprintf(why, why_size, "connections = %zu needs %zu file descriptors, the system allows %llu (ulimit -n)",
             config->limits.connections, needed, (unsigned long long)files.rlim_cur);
    return -EMFILE;
}

static int make_house(struct house **house, struct loops **loops, struct tls_server *tls, const struct options *options,
                      char *why, size_t why_size)
{
    const struct config *config = &options->config;
    // A check looks at nothing that a daemon that runs has for itself.
    const char *data_directory = options->check_only ? NULL : config->data_directory;
    *loops = loops_new(config->loops);
    if (!*loops) {
        snprintf(why, why_size, "no event loop");
        return -ENOMEM;
    }
    return house_new(house, &(struct house_options){
                                .limits = config->limits, .servers = config->loops,
                                .durability = config->durability, .data_directory = data_directory,
                                .commit_ms = (uint32_t)config->commit_ms,
                                .retention_days = (uint32_t)config->retention_days,
                                .log_size_limit_bytes = config->log_size_limit_bytes,
                                .model_directory = config->model_directory, .identities_path = config->identities,
                                .model_paths = (const char *const *)config->models, .model_count = config->model_count,
                                .tls = tls, .clock_us = loop_clock_us, .wake = loops_wake,
                                .drain = loops_drain, .context = *loops},
                     why, why_size);
}

static int open_tls(struct tls_server **tls, const struct config *config, char *why, size_t why_size)
{
    const struct tls_options options = {config->tls_certificate, config->tls_key, config->tls_client_ca,
                                        config->tls_min_version};
    return config->tls_certificate ? tls_server_new(tls, &options, why, why_size) : 0;
}

int main(int argc, char **argv)
{
    struct options options = {.ready_fd = -1};
    struct house *house = NULL;
    struct loops *loops = NULL;
    struct tls_server *tls = NULL;
    char why[WHY_SIZE] = "";
    config_init(&options.config);
    signal(SIGHUP, SIG_IGN);  // asked to read again what is just being read
    int error = read_options(&options, argc, argv, why, sizeof why);
    if (error)
        goto done;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);  // a limit on file sizes is an error like a full disk
    log_set_level((enum log_level)options.config.log_level);
    log_set_style(options.config.log_json ? LOG_AS_JSON : LOG_AS_TEXT);
    if ((error = provide_descriptors(&options.config, why, sizeof why)) ||
        (error = open_tls(&tls, &options.config, why, sizeof why)) ||
        (error = make_house(&house, &loops, tls, &options, why, sizeof why)))
        goto done;
    if (options.check_only)
        puts("beliefd: configuration and models are good");
    else
        error = loops_run(loops, house, &options.config, options.ready_fd, why, sizeof why);
done:
    if (error < 0)
        fprintf(stderr, "beliefd: %s\n", why);
    house_free(house);
    loops_free(loops);
    tls_server_free(tls);
    config_release(&options.config);
    return error < 0;
}
