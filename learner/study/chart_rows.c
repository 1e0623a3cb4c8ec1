// Rows of runs and intervals; the contract is in chart.h.

#include "chart.h"

#include "client/svg/svg.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WIDTH = 960, TOP = 92, ROW = 34, BOTTOM = 62, NOTE = 17, RIGHT = 40, VALUE = 90, EDGE = 30 };
static const double LETTER = 7.6;

static void find_range(const struct chart_row *rows, size_t count, double *low, double *high)
{
    *low = INFINITY;
    *high = -INFINITY;
    for (size_t r = 0; r < count; r++)
        for (size_t i = 0; i < rows[r].count; i++) {
            *low = fmin(*low, rows[r].values[i]);
            *high = fmax(*high, rows[r].values[i]);
        }
    double margin = fmax(0.05 * (*high - *low), 1e-6 + 1e-3 * fabs(*high));
    *low -= margin;
    *high += margin;
}

static void draw_row(struct svg *svg, const struct chart_row *row, double y, double left, double scale, double low)
{
    char class[48], letter = (char)('a' + row->colour);
    snprintf(class, sizeof class, "range stroke%c", letter);
    if (isfinite(row->low))
        svg_line(svg, left + (row->low - low) * scale, y, left + (row->high - low) * scale, y, class);
    snprintf(class, sizeof class, "run fill%c", letter);
    for (size_t i = 0; i < row->count; i++)
        svg_ellipse(svg, left + (row->values[i] - low) * scale, y, 3, 3, 1, class);
    snprintf(class, sizeof class, "line stroke%c", letter);
    svg_line(svg, left + (row->middle - low) * scale, y - 9, left + (row->middle - low) * scale, y + 9, class);
    snprintf(class, sizeof class, "label left fill%c", letter);
    svg_text(svg, left - 12, y + 4, class, "%s", row->label);
    snprintf(class, sizeof class, "label fill%c", letter);
    double size = fabs(row->middle);
    svg_text(svg, WIDTH - VALUE - RIGHT + 16, y + 4, class, "%.*f", size < 100 ? 2 : size < 1000 ? 1 : 0, row->middle);
}

int chart_draw_rows(const char *title, const char *message, const char *note, const char *x_name,
                    const struct chart_row *rows, size_t count, const char *path)
{
    char style[CHART_STYLE], text[32];
    size_t longest = 4;
    for (size_t r = 0; r < count; r++)
        longest = strlen(rows[r].label) > longest ? strlen(rows[r].label) : longest;
    double left = EDGE + 16 + LETTER * (double)longest, width = WIDTH - left - VALUE - RIGHT;
    double height = ROW * (double)count, low, high;
    find_range(rows, count, &low, &high);
    double scale = width / (high - low), step = chart_tick_step(high - low, width / 90);

    chart_style(style);
    struct svg svg;
    int error = svg_open(&svg, path, WIDTH, TOP + height + BOTTOM + NOTE, title, message, style);
    if (error)
        return error;
    svg_rectangle(&svg, 0, 0, WIDTH, TOP + height + BOTTOM + NOTE, "page");
    svg_text(&svg, EDGE, 38, "title", "%s", title);
    svg_text(&svg, EDGE, 64, "message", "%s", message);
    svg_rectangle(&svg, left, TOP, width, height, "panel");
    for (double x = ceil(low / step) * step; x <= high; x += step) {
        double at = fabs(x) < step * 1e-9 ? 0 : x, place = left + (at - low) * scale;
        svg_line(&svg, place, TOP, place, TOP + height, "grid");
        chart_tick(text, at, fmax(fabs(low), fabs(high)) / 10, step);
        svg_text(&svg, place, TOP + height + 18, "tick middle", "%s", text);
    }
    for (size_t r = 0; r < count; r++)
        draw_row(&svg, &rows[r], TOP + ROW * ((double)r + 0.5), left, scale, low);
    svg_text(&svg, left + width / 2, TOP + height + 40, "axis middle", "%s", x_name);
    svg_text(&svg, EDGE, TOP + height + BOTTOM + 4, "note", "%s", note);
    return svg_close(&svg);
}
