#pragma once
// A served model as two ONNX graphs that any runtime can compute:
//
//   policy.onnx   belief, observation -> action
//   belief.onnx   belief, observation, action, next_observation, reward -> belief
//
// The belief of a Bayesian linear head is kept in covariance form, in doubles, and updated by rank one (Sherman and
// Morrison): HEAD.covariance Xi^-1 (D, D), HEAD.mean M (D, d), HEAD.scale Omega (d, d), HEAD.degrees nu (1, 1). Inputs
// that nobody feeds are the prior. What daemon and learner compute is exact sums and a fresh solve; this recursion
// agrees with it as far as doubles carry. A recurrent encoder's belief is `state` (1, H), in floats; PEARL's
// `factors.precision` and `factors.information` (1, L), the sums of w and of w m. An oracle's policy takes `task`; it and a
// model without a belief have no belief.onnx.

#include "daemon/agent/model.h"

// directory must exist. 0 or a negative errno with a sentence; -ENOTSUP: a policy that reads natural statistics.
int agent_graph_save(const struct model *model, const char *directory, char *why, size_t why_size);
