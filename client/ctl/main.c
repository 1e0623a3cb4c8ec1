// beliefctl: what operators ask of a daemon, and what they do with its experience log.
//
// Here are the words and options; each command is a file of its own.
#include "ctl.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char default_control[] = "unix:/run/beliefd/control";

struct command {
    const char *name, *words;       // words after it, as the help says them
    int word_least, word_most;
    const char *options;            // letters of those it takes besides -c -j -t -h
    ctl_run *run;
    const char *summary, *help;
};

static const struct command commands[] = {
    {"sessions", "", 0, 0, "", sessions_run, "what sessions there are",
     "All sessions that the daemon knows, in memory and in its experience log, by name.\n"},
    {"show", "SESSION", 1, 1, "", show_run, "one session: belief, evidence, estimate, gaps",
     "What one session believes and how it came there: transitions, duplicates, gaps of each writer, the evidence\n"
     "of its heads, their noise, the spread of their weights, and the task it believes in.\n"},
    {"top", "", 0, 0, "1i", top_run, "requests, latencies, sessions and log, live",
     "Draws again every second until a key q or the interrupt. --once prints one picture of one interval.\n"},
    {"models", "[list | load FILE | unload NAME | alias ALIAS [NAME]]", 0, 3, "", models_run,
     "what is served; load, unload, alias",
     "list    the models served, and those that sessions still use\n"
     "load    sends a model file; it is checked, kept and served at once, or refused and nothing changes\n"
     "unload  no new sessions with it; those that have it keep it\n"
     "alias   a second name for a model; without NAME the alias goes\n"},
    {"reload", "", 0, 0, "", reload_run, "read models, identities and certificates again",
     "What is broken is named and refused, and what was served before goes on. Exit code 1 if anything was.\n"},
    {"rebuild", "SESSION", 1, 1, "", rebuild_run, "move a session to its model's newest version",
     "The session's belief is made again from the experience log with the model that its model's name stands for\n"
     "now, while it goes on serving with the old one.\n"},
    {"drain", "", 0, 0, "TkACKNl", drain_run, "stop without clients noticing; --to hands over first",
     "The daemon answers what has come, keeps every session in its log and ends. With --to every session moves to\n"
     "the other daemon before that; then this one stays for --linger seconds to tell clients where.\n"},
    {"snapshot", "[SESSION]", 0, 1, "o", snapshot_run, "keep all sessions now; or one in a file",
     "Without SESSION: the state of all sessions in memory goes into the experience log. With SESSION and --out:\n"
     "its whole state goes into a file (a SessionState message) that opens on any daemon with the same model.\n"},
    {"restore", "FILE", 1, 1, "TkACKN", restore_run, "bring a session back from a file",
     "Here, or at --to. Refused if the session is there with an epoch that is not smaller, if its model is another,\n"
     "or if anything in the file contradicts.\n"},
    {"move", "SESSION", 1, 1, "TkACKN", move_run, "hand a session to another daemon",
     "The session freezes, its state goes to the daemon at --to, and clients are told where it is. If the other\n"
     "daemon refuses, it thaws and goes on here. Its digest is the same on both sides, or it does not move.\n"},
    {"verify", "[DIRECTORY]", 0, 1, "s", verify_log_run, "make every belief again from the log, compare digests",
     "DIRECTORY is the daemon's data_directory (/var/lib/beliefd/log); a daemon may be writing it meanwhile. Names each\n"
     "mismatch. Exit code 0: all agree; 1: they do not, or the log cannot be read.\n"},
    {"export", "[DIRECTORY]", 0, 1, "smfo", export_log_run, "the log as a data set",
     "One row for each transition, by session, writer and number; docs/log.md has the columns. To standard output, or\n"
     "with --out into a file.\n"},
    {"health", "", 0, 0, "", health_run, "is it serving, and does its log take",
     "Exit code 0: ready; 1: there, but not ready; 3: not there.\n"},
    {"metrics", "", 0, 0, "", metrics_run, "what it counts, as Prometheus reads it",
     "The same text as /metrics of the admin listener, for where there is none.\n"},
};

enum { COMMANDS = sizeof commands / sizeof *commands };

static const struct {
    char letter;
    const char *name, *value, *help;
} options[] = {
    {'c', "control", "ADDRESS", "the daemon's control socket (unix:/run/beliefd/control)"},
    {'j', "json", NULL, "one JSON object, on the last line"},
    {'t', "timeout", "SECONDS", "how long to wait for an answer (10)"},
    {'T', "to", "ADDRESS", "another daemon: unix:PATH, tcp:HOST:PORT or tls:HOST:PORT"},
    {'k', "token-file", "FILE", "whose first line is the token for the other daemon"},
    {'A', "ca-file", "FILE", "who may have signed the other daemon's certificate, for tls: addresses"},
    {'C', "certificate", "FILE", "ours, if it asks for one"},
    {'K', "key", "FILE", "of that certificate"},
    {'N', "server-name", "NAME", "that its certificate must have, if not the address's"},
    {'o', "out", "FILE", "where to write; an existing file is replaced at once or not at all"},
    {'l', "linger", "SECONDS", "how long to tell clients where their sessions are (5)"},
    {'1', "once", NULL, "one picture, then end"},
    {'i', "interval", "SECONDS", "between pictures (1)"},
    {'s', "session", "NAME", "only this session"},
    {'m', "model", "NAME", "only sessions of this model"},
    {'f', "format", "NAME", "csv, jsonl or npy, for numpy.load (csv)"},
    {'h', "help", NULL, "this"},
};

enum { OPTIONS = sizeof options / sizeof *options };

static int takes(const struct command *command, char letter)
{
    return strchr("cjth", letter) || strchr(command->options, letter);
}

static void print_command_help(const struct command *command)
{
    printf("beliefctl %s%s%s [OPTION]...: %s\n\n%s\n", command->name, *command->words ? " " : "", command->words,
           command->summary, command->help);
    for (size_t i = 0; i < OPTIONS; i++)
        if (takes(command, options[i].letter)) {
            char option[32];
            snprintf(option, sizeof option, "--%s%s%s", options[i].name, options[i].value ? " " : "",
                     options[i].value ? options[i].value : "");
            printf("  %-20s %s\n", option, options[i].help);
        }
    puts("\nExit code: 0 done, 1 refused or failed, 2 wrong usage, 3 no daemon");
}

static void print_help(FILE *out)
{
    fputs("beliefctl " BELIEFD_VERSION ": what operators ask of a beliefd\n\n"
          "    beliefctl [--control ADDRESS] [--json] COMMAND [OPTION]...\n\n", out);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fputs("\nbeliefctl COMMAND --help tells its options.\n", out);
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int seconds(const struct ctl *ctl, const char *option, double least, double most, double *out)
{
    char *end;
    double value = strtod(optarg, &end);
    if (*end || end == optarg || !(value >= least && value <= most))
        return ctl_fail(ctl, CTL_USAGE, "--%s %s: a number of seconds from %g to %g", option, optarg, least, most);
    *out = value;
    return 0;
}

static int take_option(struct ctl *ctl, int letter)
{
    switch (letter) {
    case 'c': ctl->control = optarg; return 0;
    case 'j': ctl->json = 1; return 0;
    case 't': return seconds(ctl, "timeout", 0.1, 3600, &ctl->own.timeout);
    case 'T': ctl->to = optarg; return 0;
    case 'k': ctl->peer.token_file = optarg; return 0;
    case 'A': ctl->peer.tls.ca_file = optarg; return 0;
    case 'C': ctl->peer.tls.certificate = optarg; return 0;
    case 'K': ctl->peer.tls.key = optarg; return 0;
    case 'N': ctl->peer.tls.server_name = optarg; return 0;
    case 'o': ctl->out = optarg; return 0;
    case 'l': return seconds(ctl, "linger", 0, 3600, &ctl->linger);
    case '1': ctl->once = 1; return 0;
    case 'i': return seconds(ctl, "interval", 0.1, 3600, &ctl->interval);
    case 'm': ctl->model = optarg; return 0;
    case 's': ctl->session = optarg; return 0;
    default: ctl->format = optarg; return 0;
    }
}

// Command and options in any order; the first word is the command. -1: go on and run it, else the exit code.
static int read_arguments(struct ctl *ctl, const struct command **command, int argc, char **argv)
{
    struct option list[OPTIONS + 1] = {0};
    for (size_t i = 0; i < OPTIONS; i++)
        list[i] = (struct option){options[i].name, options[i].value ? required_argument : no_argument, NULL,
                                  options[i].letter};
    char given[OPTIONS + 1] = "";
    int letter, help = 0, code;
    opterr = 0;
    while ((letter = getopt_long(argc, argv, "", list, NULL)) != -1) {
        if (letter == '?')
            return ctl_fail(ctl, CTL_USAGE, "%s: unknown, or without its value (see --help)", argv[optind - 1]);
        if (letter == 'h') {
            help = 1;
            continue;
        }
        if (!strchr(given, letter))
            given[strlen(given)] = (char)letter;
        if ((code = take_option(ctl, letter)))
            return code;
    }
    if (optind == argc) {
        print_help(help ? stdout : stderr);
        return help ? CTL_DONE : CTL_USAGE;
    }
    *command = find_command(argv[optind]);
    if (!*command)
        return ctl_fail(ctl, CTL_USAGE, "%s: there is no such command (see --help)", argv[optind]);
    if (help) {
        print_command_help(*command);
        return CTL_DONE;
    }
    for (const char *at = given; *at; at++)
        for (size_t i = 0; i < OPTIONS; i++)
            if (options[i].letter == *at && !takes(*command, *at))
                return ctl_fail(ctl, CTL_USAGE, "%s takes no --%s (see --help)", (*command)->name, options[i].name);
    ctl->words = argv + optind + 1;
    ctl->word_count = argc - optind - 1;
    if (ctl->word_count < (*command)->word_least || ctl->word_count > (*command)->word_most)
        return ctl_fail(ctl, CTL_USAGE, "it is: beliefctl %s %s (see --help)", (*command)->name, (*command)->words);
    return -1;
}

int main(int argc, char **argv)
{
    struct ctl ctl = {.control = default_control, .own.timeout = 10, .interval = 1, .linger = 5};
    const struct command *command = NULL;
    int code = read_arguments(&ctl, &command, argc, argv);
    ctl.peer.timeout = ctl.own.timeout;
    return code >= 0 ? code : command->run(&ctl);
}
