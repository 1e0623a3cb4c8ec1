// bel-learn export: a model as ONNX graphs.

#include "commands.h"

#include "arguments.h"
#include "onnx/agent_graph.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int export_command(int argc, char **argv)
{
    const char *directory = NULL;
    char why[WHY];
    int status;
    const struct argument arguments[] = {
        {"--onnx", 't', &directory, 0, 0, "DIR", "where policy.onnx and belief.onnx go; it is made if it is not there"},
    };
    const struct command_line line = {
        "export", "bel-learn export writes a model as ONNX graphs (docs/model.md).\n\n"
        "    bel-learn export MODEL --onnx DIR", "which model?", 1, 1, arguments, sizeof arguments / sizeof *arguments};
    if (arguments_read(&line, argc, argv, &status) < 0)
        return status;
    const char *path = argv[2];
    if (!directory)
        return fail("export --onnx into which directory? (see bel-learn export --help)"), 2;
    struct model *model;
    if (model_load(&model, path, why, sizeof why))
        return fail("%s: %s", path, why);
    int error = mkdir(directory, 0777) && errno != EEXIST ? -errno : 0;
    if (error)
        fail("cannot make %s: %s", directory, strerror(-error));
    else if ((error = agent_graph_save(model, directory, why, sizeof why)))
        fail("%s", why);
    else if (model->kind == MODEL_ORACLE || model->kind == MODEL_NONE)
        printf("%s/policy.onnx\n", directory);
    else
        printf("%s/policy.onnx, %s/belief.onnx\n", directory, directory);
    model_free(model);
    return error != 0;
}
