#pragma once
// Writes an SVG picture, element by element. Looks are classes of the style sheet given at the start;
// coordinates are pixels, y downwards. A file that cannot be written is told at the end, once.

#include <stdio.h>

struct svg {
    FILE *file;
    char path[4096];     // where it belongs
    char beside[4104];   // where it is written until it is whole
    int pen_down;        // within a path: the next point continues a line
    unsigned clips;
};

// title and description are for screen readers and browsers. -errno.
int svg_open(struct svg *svg, const char *path, double width, double height, const char *title,
             const char *description, const char *style);
int svg_close(struct svg *svg);  // -errno: the picture was not written, and what stood at the path stands

// class is letters and spaces; text is escaped.
__attribute__((format(printf, 5, 6)))
void svg_text(struct svg *svg, double x, double y, const char *class, const char *format, ...);
__attribute__((format(printf, 5, 6)))
void svg_text_upwards(struct svg *svg, double x, double y, const char *class, const char *format, ...);
void svg_line(struct svg *svg, double x1, double y1, double x2, double y2, const char *class);
void svg_rectangle(struct svg *svg, double x, double y, double width, double height, const char *class);
void svg_ellipse(struct svg *svg, double x, double y, double rx, double ry, double opacity, const char *class);

// Everything until svg_group_end is cut off outside of the rectangle.
void svg_group_within(struct svg *svg, double x, double y, double width, double height);
void svg_group_end(struct svg *svg);

// A line or an area. A point that is not finite lifts the pen.
void svg_path(struct svg *svg, const char *class);
void svg_path_to(struct svg *svg, double x, double y);
void svg_path_end(struct svg *svg, int closed);
