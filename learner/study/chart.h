#pragma once
// Lines with bands in panels side by side, each line named where it ends; an SVG that is readable on light and on
// dark pages.

#include <stddef.h>

enum { CHART_COLOURS = 10, CHART_PANELS = 3, CHART_SERIES = 24 };

// Colours that every eye tells apart; each model kind has one of its own, the others are for variants.
enum chart_colour { CHART_BLUE, CHART_VERMILION, CHART_GREEN, CHART_PURPLE, CHART_INK, CHART_GREY };

struct chart_series {
    const char *label;
    unsigned colour;             // 0 .. CHART_COLOURS - 1
    int dashed;                  // what is no contestant, but a measure for them
    size_t count;
    const double *x, *y;         // x ascending; y not finite: a gap
    const double *low, *high;    // band, or NULL
};

struct chart_panel {
    const char *x_name;          // "frames"
    double x_low, x_high;
    size_t count;
    const struct chart_series *series;
    size_t mark_count;
    const double *marks;         // x of dotted lines
    size_t name_count;
    const char *const *names;    // of x = 0, 1, .. instead of numbers
};

struct chart {
    const char *title, *message; // message: the sentence below the title; "" for none
    const char *notes[3];        // small, at the foot: where it is from; NULL ends
    const char *y_name;
    double y_low, y_high;        // NaN: what the lines and the ends of their bands need
    size_t panel_count;
    struct chart_panel panels[CHART_PANELS];  // the lines of the last one are named
};

// 0 or a negative errno; then what stood at path stands.
int chart_draw(const struct chart *chart, const char *path);

// A row for each agent: its runs as dots, their middle, and the interval around it.
struct chart_row {
    const char *label;
    unsigned colour;
    size_t count;
    const double *values;        // of the runs
    double middle, low, high;    // low and high NaN: one run
};

int chart_draw_rows(const char *title, const char *message, const char *note, const char *x_name,
                    const struct chart_row *rows, size_t count, const char *path);

// What both kinds of charts share.
enum { CHART_STYLE = 8192 };
void chart_style(char style[CHART_STYLE]);
double chart_tick_step(double range, double count);  // a step between ticks that people like, for about `count`
void chart_tick(char text[32], double value, double high, double step);
