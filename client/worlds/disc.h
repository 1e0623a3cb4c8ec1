#pragma once
// Hidden goals that are spread over a disc around (0, 0).

struct random_stream;

// A place (2), uniform in the disc.
void disc_draw(struct random_stream *stream, double radius, double *place);

// Moves a place (2) that lies outside by at most beyond to the nearest one inside. 0: it lies further out or is no
// number, and stays.
int disc_nearest(double *place, double radius, double beyond);
