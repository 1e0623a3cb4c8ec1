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

// Working memory of one prior.
struct prior_room {
    double *Xi, *mean;                    // (D, D), (D, ld)
    double *product, *product_low;        // Xi0 M0      (D, ld)
    double *transposed, *transposed_low;  // M0' Xi0     (d, D)
    double *square, *square_low;          // -M0' Xi0 M0 (d, ld)
    double *factor;                       // (n, kernel_padded(n)) of the larger dimension
};

static struct prior_room *room_new(size_t D, size_t d)
{
    size_t ld = kernel_padded(d), largest = D > d ? D : d;
    struct prior_room *room = calloc(1, sizeof *room);
    if (!room)
        return NULL;
    const struct {
        double **at;
        size_t count;
    } parts[] = {
        {&room->Xi, D * D}, {&room->mean, D * ld}, {&room->product, D * ld}, {&room->product_low, D * ld},
        {&room->transposed, d * D}, {&room->transposed_low, d * D}, {&room->square, d * ld},
        {&room->square_low, d * ld}, {&room->factor, largest * kernel_padded(largest)},
    };
    size_t total = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        total += kernel_padded(parts[i].count);
    double *memory = new_doubles(total);
    for (size_t i = 0; memory && i < sizeof parts / sizeof *parts; i++) {
        *parts[i].at = memory;
        memory += kernel_padded(parts[i].count);
    }
    if (room->Xi)
        return room;
    free(room);
    return NULL;
}

static void room_free(struct prior_room *room)
{
    if (room)
        free(room->Xi);
    free(room);
}

// Fills packed and packed_low. Xi0 and Omega0 are read from their lower triangles.
static void pack(struct prior *prior, const struct prior_values *values)
{
    size_t D = prior->D, d = prior->d, ld = kernel_padded(d);
    const struct lanes *lanes = lanes_for(kernels_best());
    const struct prior_room *room = prior->room;
    for (size_t i = 0; i < D; i++)
        for (size_t k = 0; k < D; k++)
            room->Xi[i * D + k] = i >= k ? values->precision[i * D + k] : values->precision[k * D + i];
    for (size_t i = 0; i < D; i++)
        memcpy(room->mean + i * ld, values->mean + i * d, d * sizeof *room->mean);
    lanes->residual(room->product, room->product_low, NULL, NULL, room->Xi, NULL, D, room->mean, ld, D, D, d);
    for (size_t i = 0; i < D; i++) {
        for (size_t j = 0; j < d; j++) {
            room->transposed[j * D + i] = -room->product[i * ld + j];
            room->transposed_low[j * D + i] = -room->product_low[i * ld + j];
        }
    }
    lanes->residual(room->square, room->square_low, NULL, NULL, room->transposed, room->transposed_low, D, room->mean,
                    ld, d, D, d);

    size_t entry = 0;
    for (size_t c = 0; c < D; c++) {
        for (size_t r = c; r < D; r++, entry++) {
            prior->packed[entry] = room->Xi[r * D + c];
            prior->packed_low[entry] = 0;
        }
        for (size_t j = 0; j < d; j++, entry++) {
            prior->packed[entry] = room->transposed[j * D + c];
            prior->packed_low[entry] = room->transposed_low[j * D + c];
        }
    }
    for (size_t c = 0; c < d; c++) {
        for (size_t r = c; r < d; r++, entry++) {
            // Omega0 - square, exactly, then its two leading parts
            double a = values->scale[r * d + c], b = -room->square[r * ld + c];
            double sum = a + b, t = sum - a, lost = (a - (sum - t)) + (b - t) - room->square_low[r * ld + c];
            prior->packed[entry] = sum + lost;
            prior->packed_low[entry] = lost - (prior->packed[entry] - sum);
        }
    }
}

// The half in use and the other one change places.
void prior_undo(struct prior *prior)
{
    struct prior_half now = {prior->degrees, prior->log_det_precision, prior->log_det_scale, prior->packed,
                             prior->packed_low};
    prior->degrees = prior->other.degrees;
    prior->log_det_precision = prior->other.log_det_precision;
    prior->log_det_scale = prior->other.log_det_scale;
    prior->packed = prior->other.packed;
    prior->packed_low = prior->other.packed_low;
    prior->other = now;
}

int prior_set(struct prior *prior, const struct prior_values *values)
{
    size_t D = prior->D, d = prior->d;
    if (values->features != D || values->targets != d || !isfinite(values->degrees)
        || !(values->degrees > (double)d - 1) || !all_finite(values->precision, D * D)
        || !all_finite(values->mean, D * d) || !all_finite(values->scale, d * d))
        return -EINVAL;
    prior_undo(prior);
    prior->degrees = values->degrees;
    int error = log_determinant(&prior->log_det_precision, values->precision, D, prior->room->factor);
    if (!error)
        error = log_determinant(&prior->log_det_scale, values->scale, d, prior->room->factor);
    if (!error) {
        pack(prior, values);
        // Finite values may still have a product that is not.
        error = all_finite(prior->packed, belief_entries(D, d)) ? 0 : -EINVAL;
    }
    if (error)
        prior_undo(prior);
    return error;
}

int prior_new(struct prior **result, const struct prior_values *values)
{
    size_t D = values->features, d = values->targets;
    if (!D || D > BELIEF_FEATURES_LIMIT || !d || d > BELIEF_TARGETS_LIMIT)
        return -EINVAL;
    struct prior *prior = calloc(1, sizeof *prior);
    if (!prior)
        return -ENOMEM;
    size_t entries = belief_entries(D, d);
    *prior = (struct prior){.D = D, .d = d, .packed = new_doubles(entries), .packed_low = new_doubles(entries),
                            .room = room_new(D, d)};
    prior->other = (struct prior_half){.packed = new_doubles(entries), .packed_low = new_doubles(entries)};
    int complete = prior->packed && prior->packed_low && prior->other.packed && prior->other.packed_low && prior->room;
    int error = complete ? prior_set(prior, values) : -ENOMEM;
    if (error)
        prior_free(prior);
    else
        *result = prior;
    return error;
}

void prior_free(struct prior *prior)
{
    if (!prior)
        return;
    free(prior->packed);
    free(prior->packed_low);
    free(prior->other.packed);
    free(prior->other.packed_low);
    room_free(prior->room);
    free(prior);
}

size_t prior_features(const struct prior *prior) { return prior->D; }
size_t prior_targets(const struct prior *prior) { return prior->d; }
double prior_degrees(const struct prior *prior) { return prior->degrees; }
