// bel-learn train --help: all options, and the defaults of what is to be trained.

#include "commands.h"
#include "options.h"

#include "client/worlds/world.h"

#include <stdio.h>
#include <string.h>

static const char about[] =
    "bel-learn train meta-trains a model for a family of simulated tasks.\n\n"
    "    bel-learn train WORLD [options]\n\n"
    "options\n"
    "    --model KIND         glibrl (an exact belief), varibad, rl2 or pearl (learnt encoders), oracle (told the\n"
    "                         task) or none (nothing)\n"
    "    --algorithm NAME     ppo, or sac: fewer frames, more time for each\n"
    "    --frames F           environment steps\n"
    "    --seed S             same seed, same bits, with any number of threads\n"
    "    --threads T          0: one for each processor\n"
    "    --out FILE           the model, for beliefd\n"
    "    --log DIR            train.jsonl and a TensorBoard event file\n"
    "    --checkpoint FILE    written every so often, and on SIGINT and SIGTERM\n"
    "    --checkpoint-seconds S\n"
    "    --resume             go on from the checkpoint, if there is one, with the same bits\n"
    "    --stop-after F       end after F frames as if interrupted\n"
    "    --evaluation-tasks N, --evaluation-seed S    fresh tasks of the last evaluation; 0: none\n"
    "    --oracle MODEL       evaluated beside it\n"
    "    --from ADDRESS       of a daemon: bel-rollout --explore makes the experience, through it (docs/online.md)\n"
    "    --alias NAME         that each model is published under (online)\n"
    "    --learner NAME       who we are; a second learner of one alias is refused\n"
    "    --token-file FILE    for a daemon that asks\n"
    "    --patience S         without experience, then an iteration goes on with what it has (60); 0: it waits\n"
    "    --forget             experience that is in the checkpoint is deleted at the daemon\n"
    "    --json               one JSON line at the end\n"
    "    --quiet              no progress\n";

struct column {
    const char *name;
    struct options options;
};

static int same_readers_before(size_t row)
{
    for (size_t i = 0; i < row; i++)
        if (options_row(i)->readers == options_row(row)->readers)
            return 1;
    return 0;
}

static void print_row(const struct option_row *row, const struct column *columns, size_t count)
{
    printf("    --%-20s ", row->name);
    for (size_t i = 0; i < count; i++) {
        options_print(stdout, &columns[i].options, row, 8);
        printf(" ");
    }
    printf(" %s\n", row->help);
}

// Options that the same trainings read stand together.
static void print_rows(const struct column *columns, size_t count)
{
    const struct options *only = count == 1 ? &columns[0].options : NULL;
    for (size_t i = 0; options_row(i); i++) {
        const struct option_row *first = options_row(i);
        if (same_readers_before(i) || (only && !options_read(first, only->kind, only->algorithm)))
            continue;
        printf("\nhyper-parameters");
        options_tell_readers(stdout, first);
        printf("\n");
        for (size_t k = i; options_row(k); k++)
            if (options_row(k)->readers == first->readers)
                print_row(options_row(k), columns, count);
    }
}

void worlds_help(void)
{
    printf("\nworlds\n");
    for (size_t i = 0; world_at(i); i++)
        printf("    %-20s %s\n", world_at(i)->name, world_at(i)->summary);
}

void train_help(int argc, char **argv)
{
    struct column columns[2] = {{"half-cheetah-vel", {0}}, {"point", {0}}};
    char why[WHY];
    fputs(about, stdout);
    if (argc > 0 && !options_parse(&columns[0].options, argc, argv, why, sizeof why)) {
        const struct options *o = &columns[0].options;
        printf("\nA number is what bel-learn train %s --model %s --algorithm %s would have.\n", o->world->name,
               learn_kind_name(o->kind), learn_algorithm_name(o->algorithm));
        print_rows(columns, 1);
        return;
    }
    for (size_t i = 0; i < 2; i++)
        options_defaults(&columns[i].options, world_find(columns[i].name), LEARN_GLIBRL, LEARN_PPO);
    printf("\nNumbers are the defaults of half-cheetah-vel and of point with glibrl and ppo;\n"
           "bel-learn train WORLD [--model KIND] [--algorithm NAME] --help tells those of another training.\n");
    print_rows(columns, 2);
    worlds_help();
}
