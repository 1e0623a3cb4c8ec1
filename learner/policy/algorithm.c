// Which algorithms there are.

#include "algorithm.h"

const struct algorithm *algorithm_of(enum learn_algorithm algorithm)
{
    static const struct algorithm *const all[] = {[LEARN_PPO] = &algorithm_ppo, [LEARN_SAC] = &algorithm_sac};
    return (size_t)algorithm < sizeof all / sizeof *all ? all[algorithm] : NULL;
}
