// Writes a small model with random weights, for tests that are not in C:  write_model FILE

#include "tests/agent/sample.h"

int main(int argc, char **argv)
{
    struct model *model = sample_model(&sample_small, 1);
    int error = argc != 2 || model_save(model, argv[1]);
    model_free(model);
    return error;
}
