// Which kind infers how.

#include "inference.h"

static const struct inference nothing;

const struct inference *inference_of(enum learn_kind kind)
{
    static const struct inference *const all[] = {
        [LEARN_GLIBRL] = &inference_glibrl, [LEARN_VARIBAD] = &inference_varibad, [LEARN_RL2] = &inference_rl2,
        [LEARN_PEARL] = &inference_pearl, [LEARN_ORACLE] = &nothing, [LEARN_NONE] = &nothing,
    };
    return (size_t)kind < sizeof all / sizeof *all ? all[kind] : NULL;
}
