#pragma once
// The posterior that both losses are made of, and the small dense algebra under it.

#include "evidence.h"

// Arrays are within the scratch of evidence_scratch doubles.
struct evidence_solved {
    double *Xi, *Xi_inverse;         // Xi_n (its factor in the lower triangle), Xi_n^-1      (D, D)
    double *M, *right, *pull;        // M_n, room, M_n - M0                                   (D, d)
    double *pull_W;                  // room                                                  (D, d)
    double *Omega_inverse;           // Omega_n^-1, or Sigma^-1 when it is known              (d, d)
    double *square;                  // R'R + pull' Xi0 pull                                  (d, d)
    double *factor;                  // room                                                  (d, d)
    double *R, *R_W;                 // Y - C M_n, room                                       (T, d)
    double *V, *H;                   // room of evidence_ahead                                (T, D), (D, D)
    double log_det_Xi0, log_det_Xi;
    double log_det_Omega0, log_det_Omega;  // of Omega0 and Omega_n; both of Sigma when it is known
    double degrees;                  // nu_n
};

// -EDOM: not positive definite. T may be 0: the prior.
int evidence_solve(struct evidence_solved *solved, const struct evidence_prior *prior, const double *phi,
                   const double *y, size_t T, double *scratch, size_t scratch_T);

// C (rows, columns) = alpha A B + beta C, where A (rows, inner) and B (inner, columns) may be stored transposed.
void evidence_multiply(double *C, const double *A, const double *B, size_t rows, size_t columns, size_t inner,
                       int transpose_a, int transpose_b, double alpha, double beta);
