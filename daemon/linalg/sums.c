// Exact sums of z z' in 128-bit integers, and their way into doubles.

#include "set.h"

#include <math.h>

// (low, high) += value
static void add_128(uint64_t *low, int64_t *high, uint64_t value_low, uint64_t value_high)
{
    uint64_t sum = *low + value_low;
    *high = (int64_t)((uint64_t)*high + value_high + (sum < value_low));
    *low = sum;
}

void KERNEL(sum_add)(uint64_t *low, int64_t *high, const int32_t *z, size_t P, int sign)
{
    for (size_t c = 0; c < P; c++) {
        int64_t factor = (int64_t)sign * z[c];
        for (size_t r = c; r < P; r++, low++, high++) {
            int64_t product = factor * z[r];
            add_128(low, high, (uint64_t)product, product < 0 ? UINT64_MAX : 0);
        }
    }
}

void KERNEL(sum_merge)(uint64_t *low, int64_t *high, const uint64_t *other_low, const int64_t *other_high,
                       size_t count, int sign)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value_low = other_low[i], value_high = (uint64_t)other_high[i];
        if (sign < 0) {
            // -x = ~x + 1
            value_low = -value_low;
            value_high = ~value_high + (value_low == 0);
        }
        add_128(&low[i], &high[i], value_low, value_high);
    }
}

void KERNEL(sum_to_panel)(double *panel, size_t stride, const double *prior, const uint64_t *low,
                          const int64_t *high, size_t P, size_t columns)
{
    for (size_t c = 0; c < columns; c++)
        for (size_t r = c; r < P; r++, prior++, low++, high++)
            panel[c * stride + r] = *prior + fma((double)*high, 0x1p64, (double)*low) * 0x1p-48;
}
