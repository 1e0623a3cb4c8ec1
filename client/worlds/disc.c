// See disc.h.

#include "disc.h"

#include "daemon/base/random.h"

#include <math.h>

void disc_draw(struct random_stream *stream, double radius, double *place)
{
    double angle = random_between(stream, 0, 2 * M_PI), distance = radius * sqrt(random_between(stream, 0, 1));
    place[0] = distance * cos(angle);
    place[1] = distance * sin(angle);
}

int disc_nearest(double *place, double radius, double beyond)
{
    double distance = hypot(place[0], place[1]);
    if (!(distance <= radius + beyond))
        return 0;
    for (int i = 0; i < 2 && distance > radius; i++)
        place[i] *= radius / distance;
    return 1;
}
