#pragma once
// The commands of bel-learn, and what they share. A command returns the exit code, having said what was wrong.

#include "evaluate.h"

#include <cjson/cJSON.h>
#include <stdint.h>

enum { WHY = 400 };

int train_command(int argc, char **argv);
int evaluate_command(int argc, char **argv);
int experiment_command(int argc, char **argv);
int report_command(int argc, char **argv);
int export_command(int argc, char **argv);
int study_command(int argc, char **argv);

void train_help(int argc, char **argv);  // of the arguments after train, if they make sense; of any training otherwise
void worlds_help(void);

// Says it on standard error, after the program's name; returns 1.
__attribute__((format(printf, 1, 2))) int fail(const char *format, ...);

cJSON *json_numbers(const double *values, size_t count);
int print_json(cJSON *json);  // one line on standard output; json is gone. 0, or 1 if it cannot be written

const char *learner_commit(void);  // of the source that this was built from; "unknown" without git

// A model's returns with its belief, with the belief held at the prior, and an oracle's beside it.
struct evaluations {
    size_t tasks, steps;         // tasks: of finitely many, rounded up to all of them again; steps: of a whole task
    uint64_t seed;
    int has_prior, has_oracle, goal_pays;
    struct evaluation model, prior, oracle;
};

int evaluations_make(struct evaluations *all, const struct world *world, const struct model *model,
                     const struct model *oracle, struct pool *pool);  // 0 or 1
void evaluations_release(struct evaluations *all);
void evaluations_add(cJSON *json, const struct evaluations *all);
// The return of each task and the mean reward of each step; nothing of evaluations of very many tasks.
void evaluations_add_details(cJSON *json, const struct evaluations *all);
void evaluations_print(const struct evaluations *all, const struct model *model);
int load_oracle(struct model **oracle, const char *path, const struct world *world);  // path NULL: none. 0 or 1
