// Writes a small model with random weights, for tests that are not in C:  write_model FILE [oracle]

#include "tests/agent/sample.h"

#include <string.h>

int main(int argc, char **argv)
{
    struct model_shape oracle = sample_oracle();
    int is_oracle = argc == 3 && !strcmp(argv[2], "oracle");
    struct model *model = sample_model(is_oracle ? &oracle : &sample_small, 1);
    int error = argc != 2 + is_oracle || model_save(model, argv[1]);
    model_free(model);
    return error;
}
