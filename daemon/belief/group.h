#pragma once
// Private to this folder: the solves of several beliefs under one prior at once. A lane is a session, and each gets
// the bits that posterior_solve_interest gives it alone. Whoever needs refinement, or cannot be solved, is left to
// that function.

#include "representation.h"
#include "solve.h"

// What together is solved for.
struct group_interest {
    unsigned parts;               // as of posterior_solve_interest, without POSTERIOR_SCALE
    const double *rows;           // the same for all sessions   (count, D)
    size_t count;
    const int32_t *const *last;   // each session's transition, a row of interest more, or NULLs; NULL: nobody has one
};

// Solves for 1 to kernels->group beliefs. Returns a bit for each that is solved, with nothing to refine.
unsigned group_solve(struct posterior_group *group, const struct prior *prior, const struct belief *const beliefs[],
                     size_t sessions, const struct group_interest *interest);

// The results of one of them, where a solve of its own would have left them: everything that was asked for but the
// panel. *distance: |L22^-1 (y - M_n' phi)|^2 of its last row, if it has one.
void group_take(const struct posterior_group *group, struct posterior *posterior, const struct prior *prior,
                const struct belief *belief, size_t session, const struct group_interest *interest, double *distance);
