#pragma once
// What a network computes, written out: plain loops in double and the C library's tanh.

#include "daemon/policy/network.h"

enum { PLAIN_NETWORK_WIDTH = 256 };  // no layer may be wider

// out (outputs), in (inputs).
void plain_network(double *out, const struct network *network, const double *in);
