#pragma once
// Private to this folder: a prior as the matrix that sums are added to.

#include "posterior.h"

struct prior {
    size_t D, d;
    double degrees;             // nu0
    double log_det_precision;   // ln |Xi0|
    double log_det_scale;       // ln |Omega0|
    // [Xi0, Xi0 M0; M0' Xi0, Omega0 + M0' Xi0 M0], packed as the sum is: nearest doubles and what they leave.
    double *packed, *packed_low;  // (P (P + 1) / 2)
    struct prior_half {
        double degrees, log_det_precision, log_det_scale;
        double *packed, *packed_low;
    } other;                    // what it was before the last prior_set
    struct prior_room *room;    // in which it is made
};
