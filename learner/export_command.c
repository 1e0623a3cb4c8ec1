// bel-learn export: a model as ONNX graphs.

#include "commands.h"

#include "onnx/agent_graph.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int export_command(int argc, char **argv)
{
    const char *path = NULL, *directory = NULL;
    char why[WHY];
    for (int i = 2; i < argc; i++) {
        if (!strcmp(argv[i], "--onnx") && i + 1 < argc)
            directory = argv[++i];
        else if (strncmp(argv[i], "--", 2) && !path)
            path = argv[i];
        else
            return fail("%s is not an option of export, or lacks its value (see bel-learn --help)", argv[i]), 2;
    }
    if (!path || !directory)
        return fail("export which model, and --onnx into which directory? (see bel-learn --help)"), 2;
    struct model *model;
    if (model_load(&model, path, why, sizeof why))
        return fail("%s", why);
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
