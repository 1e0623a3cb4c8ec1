// A prior in the shape of a sum, made once per model.
//
// Products with the prior mean are taken in double-double and kept in two parts, because a refined solve works
// against the exact matrix: the prior must not be its weakest term.

#include "prior.h"

#include "lanes.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int all_finite(const double *x, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!isfinite(x[i]))
            return 0;
    return 1;
}

static double *new_doubles(size_t count)
{
    size_t size = kernel_padded(count) * sizeof(double);
    double *x = aligned_alloc(KERNEL_ALIGNMENT, size ? size : KERNEL_ALIGNMENT);
    if (x)
        memset(x, 0, size);
    return x;
}

// ln |A| of a symmetric matrix (n, n), from its lower triangle; room (n kernel_padded(n)).
// -EDOM: not positive definite.
static int log_determinant(double *result, const double *A, size_t n, double *room)
{
    size_t stride = kernel_padded(n);
    for (size_t c = 0; c < n; c++)
        for (size_t r = c; r < n; r++)
            room[c * stride + r] = A[r * n + c];
    if (kernels_best()->factor(room, stride, n, n))
        return -EDOM;
    *result = 0;
    for (size_t i = 0; i < n; i++) {
        double part;
        lanes_for(kernels_best())->logarithm(&part, &room[i * stride + i], 1);
        *result += 2 * part;
    }
    return 0;
}

// Fills packed and packed_low. Xi0 and Omega0 are read from their lower triangles.
static int pack(struct prior *prior, const struct prior_values *values)
{
    size_t D = prior->D, d = prior->d, ld = kernel_padded(d);
    const struct lanes *lanes = lanes_for(kernels_best());
    double *Xi = new_doubles(D * D), *mean = new_doubles(D * ld);
    double *product = new_doubles(D * ld), *product_low = new_doubles(D * ld);      // Xi0 M0
    double *transposed = new_doubles(d * D), *transposed_low = new_doubles(d * D);  // M0' Xi0
    double *square = new_doubles(d * ld), *square_low = new_doubles(d * ld);        // -M0' Xi0 M0
    int error = -ENOMEM;
    if (!Xi || !mean || !product || !product_low || !transposed || !transposed_low || !square || !square_low)
        goto done;

    for (size_t i = 0; i < D; i++)
        for (size_t k = 0; k < D; k++)
            Xi[i * D + k] = i >= k ? values->precision[i * D + k] : values->precision[k * D + i];
    for (size_t i = 0; i < D; i++)
        memcpy(mean + i * ld, values->mean + i * d, d * sizeof *mean);
    lanes->residual(product, product_low, NULL, NULL, Xi, NULL, D, mean, ld, D, D, d);
    for (size_t i = 0; i < D; i++) {
        for (size_t j = 0; j < d; j++) {
            transposed[j * D + i] = -product[i * ld + j];
            transposed_low[j * D + i] = -product_low[i * ld + j];
        }
    }
    lanes->residual(square, square_low, NULL, NULL, transposed, transposed_low, D, mean, ld, d, D, d);

    size_t entry = 0;
    for (size_t c = 0; c < D; c++) {
        for (size_t r = c; r < D; r++, entry++)
            prior->packed[entry] = Xi[r * D + c];
        for (size_t j = 0; j < d; j++, entry++) {
            prior->packed[entry] = transposed[j * D + c];
            prior->packed_low[entry] = transposed_low[j * D + c];
        }
    }
    for (size_t c = 0; c < d; c++) {
        for (size_t r = c; r < d; r++, entry++) {
            // Omega0 - square, exactly, then its two leading parts
            double a = values->scale[r * d + c], b = -square[r * ld + c];
            double sum = a + b, t = sum - a, lost = (a - (sum - t)) + (b - t) - square_low[r * ld + c];
            prior->packed[entry] = sum + lost;
            prior->packed_low[entry] = lost - (prior->packed[entry] - sum);
        }
    }
    error = 0;
done:
    free(Xi), free(mean), free(product), free(product_low);
    free(transposed), free(transposed_low), free(square), free(square_low);
    return error;
}

int prior_new(struct prior **result, const struct prior_values *values)
{
    size_t D = values->features, d = values->targets;
    if (!D || D > BELIEF_FEATURES_LIMIT || !d || d > BELIEF_TARGETS_LIMIT)
        return -EINVAL;
    if (!isfinite(values->degrees) || !(values->degrees > (double)d - 1) || !all_finite(values->precision, D * D)
        || !all_finite(values->mean, D * d) || !all_finite(values->scale, d * d))
        return -EINVAL;

    int error = -ENOMEM;
    size_t entries = belief_entries(D, d), largest = D > d ? D : d;
    struct prior *prior = calloc(1, sizeof *prior);
    double *room = new_doubles(largest * kernel_padded(largest));
    if (!prior || !room)
        goto fail;
    *prior = (struct prior){.D = D, .d = d, .degrees = values->degrees};
    prior->packed = new_doubles(entries);
    prior->packed_low = new_doubles(entries);
    if (!prior->packed || !prior->packed_low)
        goto fail;
    if ((error = log_determinant(&prior->log_det_precision, values->precision, D, room))
        || (error = log_determinant(&prior->log_det_scale, values->scale, d, room)) || (error = pack(prior, values)))
        goto fail;
    // Finite values may still have a product that is not.
    error = -EINVAL;
    if (!all_finite(prior->packed, entries))
        goto fail;
    free(room);
    *result = prior;
    return 0;
fail:
    free(room);
    prior_free(prior);
    return error;
}

void prior_free(struct prior *prior)
{
    if (!prior)
        return;
    free(prior->packed);
    free(prior->packed_low);
    free(prior);
}

size_t prior_features(const struct prior *prior) { return prior->D; }
size_t prior_targets(const struct prior *prior) { return prior->d; }
double prior_degrees(const struct prior *prior) { return prior->degrees; }
