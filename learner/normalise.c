// Running moments: each batch by itself in two passes, then merged.

#include "normalise.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int moments_init(struct moments *moments, size_t width, double window)
{
    *moments = (struct moments){.width = width, .window = window, .mean = calloc(4 * width, sizeof(double))};
    if (!moments->mean)
        return -ENOMEM;
    moments->square = moments->mean + width;
    moments->batch = moments->square + width;
    return 0;
}

void moments_release(struct moments *moments)
{
    free(moments->mean);
    moments->mean = NULL;
}

void moments_add(struct moments *moments, const float *rows, size_t stride, size_t count)
{
    if (count == 0)
        return;
    size_t width = moments->width;
    double *mean = moments->batch, *square = mean + width, n = (double)count;
    memset(mean, 0, 2 * width * sizeof *mean);
    for (size_t r = 0; r < count; r++)
        for (size_t i = 0; i < width; i++)
            mean[i] += (double)rows[r * stride + i];
    for (size_t i = 0; i < width; i++)
        mean[i] /= n;
    for (size_t r = 0; r < count; r++)
        for (size_t i = 0; i < width; i++) {
            double deviation = (double)rows[r * stride + i] - mean[i];
            square[i] += deviation * deviation;
        }

    if (moments->window > 0 && moments->count > moments->window) {
        for (size_t i = 0; i < width; i++)
            moments->square[i] *= moments->window / moments->count;
        moments->count = moments->window;
    }
    double total = moments->count + n;
    for (size_t i = 0; i < width; i++) {
        double apart = mean[i] - moments->mean[i];
        moments->mean[i] += apart * n / total;
        moments->square[i] += square[i] + apart * apart * moments->count * n / total;
    }
    moments->count = total;
}

double moments_sd(const struct moments *moments, size_t i)
{
    if (moments->count == 0)
        return 1;
    return fmax(sqrt(moments->square[i] / moments->count), 1e-3);
}
