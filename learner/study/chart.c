// The drawing of charts; the contract is in chart.h.

#include "chart.h"

#include "client/svg/svg.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 960, LEFT = 70, TOP = 92, PANEL_HEIGHT = 300, BOTTOM = 62, NOTE = 17, GAP = 38, LABEL_GAP = 17 };
static const double LETTER = 7.3;    // width of a label's letter, about

// Okabe and Ito's colours, darker where they name a line in words; and brighter on a dark page.
static const struct { const char *light, *dark; } colours[CHART_COLOURS] = {
    {"#0069a8", "#58a6ff"}, {"#c75000", "#ff9248"}, {"#00805c", "#3fd6a3"}, {"#a8437f", "#f0a3d0"},
    {"#1f2328", "#f0f3f6"}, {"#7d858e", "#8b949e"}, {"#a87400", "#e3b341"}, {"#2b9bd6", "#8ad4ff"},
    {"#7b4fb5", "#c4a1ff"}, {"#8a5a36", "#d9a77c"},
};

static const char plain_style[] =
    "text { font-family: Inter, 'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif; "
    "font-size: 13px; }\n"
    ".title { font-size: 21px; font-weight: 600; }\n"
    ".message { font-size: 14px; }\n"
    ".note { font-size: 11px; }\n"
    ".tick { font-size: 12px; }\n"
    ".left { text-anchor: end; }\n"
    ".middle { text-anchor: middle; }\n"
    ".label { font-size: 13px; font-weight: 600; }\n"
    ".line { fill: none; stroke-width: 2.2; stroke-linejoin: round; stroke-linecap: round; }\n"
    ".dashed { stroke-dasharray: 6 5; stroke-width: 1.8; }\n"
    ".band { fill-opacity: 0.16; stroke: none; }\n"
    ".lead { stroke-width: 1; stroke-opacity: 0.6; fill: none; }\n"
    ".grid { stroke-width: 1; }\n"
    ".range { stroke-width: 7; stroke-opacity: 0.3; }\n"
    ".run { fill-opacity: 0.55; }\n"
    ".mark { stroke-width: 1; stroke-dasharray: 2 3; }\n";

static const char light_style[] =
    ".page { fill: #ffffff; }\ntext { fill: #57606a; }\n.title { fill: #1f2328; }\n.message { fill: #424a53; }\n"
    ".axis { fill: #1f2328; }\n.panel { fill: #f6f8fa; }\n.grid { stroke: #e3e8ed; }\n.mark { stroke: #8c959f; }\n";
static const char dark_style[] =
    ".page { fill: #0d1117; }\ntext { fill: #9198a1; }\n.title { fill: #f0f3f6; }\n.message { fill: #c9d1d9; }\n"
    ".axis { fill: #e6edf3; }\n.panel { fill: #151b23; }\n.grid { stroke: #262d36; }\n.mark { stroke: #6e7681; }\n";

void chart_style(char out[CHART_STYLE])
{
    const size_t room = CHART_STYLE;
    size_t used = (size_t)snprintf(out, room, "%s%s", plain_style, light_style);
    for (int dark = 0; dark < 2; dark++) {
        if (dark)
            used += (size_t)snprintf(out + used, room - used, "@media (prefers-color-scheme: dark) {\n%s", dark_style);
        for (unsigned i = 0; i < CHART_COLOURS; i++) {
            const char *colour = dark ? colours[i].dark : colours[i].light;
            const char letter = (char)('a' + i);
            used += (size_t)snprintf(out + used, room - used, ".stroke%c { stroke: %s; } .fill%c { fill: %s; }\n",
                                     letter, colour, letter, colour);
        }
    }
    snprintf(out + used, room - used, "}\n");
}

struct axes {
    double x, y, width, height;           // pixels
    double x_low, x_high, y_low, y_high;  // data
};

static double place_x(const struct axes *a, double x)
{
    return a->x + (x - a->x_low) / (a->x_high - a->x_low) * a->width;
}

static double place_y(const struct axes *a, double y)
{
    return a->y + a->height - (y - a->y_low) / (a->y_high - a->y_low) * a->height;
}

double chart_tick_step(double range, double count)
{
    double raw = range / count, power = pow(10, floor(log10(raw))), digit = raw / power;
    return power * (digit < 1.5 ? 1 : digit < 3.5 ? 2 : digit < 7.5 ? 5 : 10);
}

void chart_tick(char text[32], double value, double high, double step)
{
    const char *unit = high >= 2e6 ? "M" : high >= 2e4 ? "k" : "";
    double scale = high >= 2e6 ? 1e-6 : high >= 2e4 ? 1e-3 : 1;
    double scaled = step * scale;
    int digits = scaled >= 1 ? 0 : (int)ceil(-log10(scaled) - 1e-9);
    snprintf(text, 32, "%.*f%s", value != 0 ? digits : 0, value * scale, value != 0 ? unit : "");
}

// What the lines need, and the last eighth of the bands: early bands are wide, and would hide what matters.
static void find_range(const struct chart *chart, double *low, double *high)
{
    *low = INFINITY;
    *high = -INFINITY;
    for (size_t p = 0; p < chart->panel_count; p++)
        for (size_t s = 0; s < chart->panels[p].count; s++) {
            const struct chart_series *series = &chart->panels[p].series[s];
            for (size_t i = 0; i < series->count; i++) {
                int late = i >= series->count - series->count / 8;
                double bottom = late && series->low && isfinite(series->low[i]) ? series->low[i] : series->y[i];
                double top = late && series->high && isfinite(series->high[i]) ? series->high[i] : series->y[i];
                if (isfinite(bottom))
                    *low = fmin(*low, bottom);
                if (isfinite(top))
                    *high = fmax(*high, top);
            }
        }
    if (!(*low <= *high))
        *low = *high = 0;
    double margin = fmax(0.05 * (*high - *low), 1e-6 + 1e-3 * fabs(*high));
    *low = isnan(chart->y_low) ? *low - margin : chart->y_low;
    *high = isnan(chart->y_high) ? *high + margin : chart->y_high;
}

static void draw_axes(struct svg *svg, const struct axes *a, const struct chart_panel *panel, int first)
{
    char text[32];
    svg_rectangle(svg, a->x, a->y, a->width, a->height, "panel");
    double step = chart_tick_step(a->y_high - a->y_low, 6);
    for (double y = ceil(a->y_low / step) * step; y <= a->y_high; y += step) {
        y = fabs(y) < step * 1e-9 ? 0 : y;
        svg_line(svg, a->x, place_y(a, y), a->x + a->width, place_y(a, y), "grid");
        chart_tick(text, y, fmax(fabs(a->y_low), fabs(a->y_high)) / 10, step);
        if (first)
            svg_text(svg, a->x - 9, place_y(a, y) + 4, "tick left", "%s", text);
    }
    for (size_t i = 0; i < panel->name_count; i++) {
        svg_line(svg, place_x(a, (double)i), a->y, place_x(a, (double)i), a->y + a->height, "grid");
        svg_text(svg, place_x(a, (double)i), a->y + a->height + 18, "tick middle", "%s", panel->names[i]);
    }
    step = chart_tick_step(a->x_high - a->x_low, a->width / 90);
    for (double x = panel->name_count ? INFINITY : ceil(a->x_low / step) * step; x <= a->x_high * (1 + 1e-9); x += step) {
        svg_line(svg, place_x(a, x), a->y, place_x(a, x), a->y + a->height, "grid");
        chart_tick(text, x, a->x_high, step);
        svg_text(svg, place_x(a, x), a->y + a->height + 18, "tick middle", "%s", text);
    }
    for (size_t i = 0; i < panel->mark_count; i++)
        svg_line(svg, place_x(a, panel->marks[i]), a->y, place_x(a, panel->marks[i]), a->y + a->height, "mark");
    svg_text(svg, a->x + a->width / 2, a->y + a->height + 40, "axis middle", "%s", panel->x_name);
}

static void draw_band(struct svg *svg, const struct axes *a, const struct chart_series *series)
{
    char class[32];
    snprintf(class, sizeof class, "band fill%c", (char)('a' + series->colour));
    size_t i = 0;
    while (i < series->count) {
        size_t end = i;
        while (end < series->count && isfinite(series->low[end]) && isfinite(series->high[end]))
            end++;
        if (end > i + 1) {
            svg_path(svg, class);
            for (size_t k = i; k < end; k++)
                svg_path_to(svg, place_x(a, series->x[k]), place_y(a, series->low[k]));
            for (size_t k = end; k-- > i;)
                svg_path_to(svg, place_x(a, series->x[k]), place_y(a, series->high[k]));
            svg_path_end(svg, 1);
        }
        i = end + 1;
    }
}

static void draw_line(struct svg *svg, const struct axes *a, const struct chart_series *series)
{
    char class[48];
    snprintf(class, sizeof class, "line%s stroke%c", series->dashed ? " dashed" : "", (char)('a' + series->colour));
    svg_path(svg, class);
    for (size_t i = 0; i < series->count; i++)
        svg_path_to(svg, place_x(a, series->x[i]), place_y(a, series->y[i]));
    svg_path_end(svg, 0);
}

struct label {
    const struct chart_series *series;
    double x, wanted, y;
};

static int by_height(const void *a, const void *b)
{
    double x = ((const struct label *)a)->wanted, y = ((const struct label *)b)->wanted;
    return (x > y) - (x < y);
}

// Labels as near to their lines as can be without meeting: isotonic regression of their heights, by pooling those
// that are in each other's way.
static void spread_labels(struct label *labels, size_t count, double low, double high)
{
    double sum[CHART_SERIES];
    size_t size[CHART_SERIES], blocks = 0;
    for (size_t i = 0; i < count; i++) {
        sum[blocks] = labels[i].wanted - (double)i * LABEL_GAP;
        size[blocks++] = 1;
        while (blocks > 1 && sum[blocks - 2] / (double)size[blocks - 2] > sum[blocks - 1] / (double)size[blocks - 1]) {
            blocks--;
            sum[blocks - 1] += sum[blocks];
            size[blocks - 1] += size[blocks];
        }
    }
    double top = low, bottom = high - (double)(count - 1) * LABEL_GAP;
    for (size_t b = 0, i = 0; b < blocks; b++)
        for (size_t k = 0; k < size[b]; k++, i++)
            labels[i].y = fmax(top, fmin(bottom, sum[b] / (double)size[b])) + (double)i * LABEL_GAP;
}

static void draw_labels(struct svg *svg, const struct axes *a, const struct chart_panel *panel)
{
    struct label labels[CHART_SERIES];
    size_t count = 0;
    for (size_t s = 0; s < panel->count && count < CHART_SERIES; s++) {
        const struct chart_series *series = &panel->series[s];
        size_t last = series->count;
        while (last && !isfinite(series->y[last - 1]))
            last--;
        if (last) {
            double y = place_y(a, series->y[last - 1]);
            labels[count++] = (struct label){.series = series, .x = place_x(a, series->x[last - 1]),
                                             .wanted = fmax(a->y, fmin(a->y + a->height, y))};
        }
    }
    if (!count)
        return;
    qsort(labels, count, sizeof *labels, by_height);
    spread_labels(labels, count, a->y + 6, a->y + a->height - 2);
    for (size_t i = 0; i < count; i++) {
        char class[48], letter = (char)('a' + labels[i].series->colour);
        double edge = a->x + a->width;
        snprintf(class, sizeof class, "lead stroke%c", letter);
        svg_path(svg, class);
        svg_path_to(svg, labels[i].x + 3, labels[i].wanted);
        svg_path_to(svg, fmax(edge, labels[i].x) + 5, labels[i].wanted);
        svg_path_to(svg, edge + 17, labels[i].y);
        svg_path_end(svg, 0);
        snprintf(class, sizeof class, "label fill%c", letter);
        svg_text(svg, edge + 21, labels[i].y + 4, class, "%s", labels[i].series->label);
    }
}

int chart_draw(const struct chart *chart, const char *path)
{
    char style[CHART_STYLE];
    size_t notes = 0, longest = 4;
    const struct chart_panel *named = &chart->panels[chart->panel_count - 1];
    for (size_t s = 0; s < named->count; s++)
        longest = strlen(named->series[s].label) > longest ? strlen(named->series[s].label) : longest;
    while (notes < 3 && chart->notes[notes])
        notes++;
    double right = 30 + LETTER * (double)(longest < 30 ? longest : 30);
    double height = TOP + PANEL_HEIGHT + BOTTOM + NOTE * (double)notes;
    struct axes a = {.y = TOP, .height = PANEL_HEIGHT};
    a.width = (WIDTH - LEFT - right - GAP * (double)(chart->panel_count - 1)) / (double)chart->panel_count;
    find_range(chart, &a.y_low, &a.y_high);

    chart_style(style);
    struct svg svg;
    int error = svg_open(&svg, path, WIDTH, height, chart->title, chart->message, style);
    if (error)
        return error;
    svg_rectangle(&svg, 0, 0, WIDTH, height, "page");
    svg_text(&svg, LEFT, 38, "title", "%s", chart->title);
    svg_text(&svg, LEFT, 64, "message", "%s", chart->message);
    svg_text_upwards(&svg, 20, TOP + PANEL_HEIGHT / 2.0, "axis middle", "%s", chart->y_name);
    for (size_t p = 0; p < chart->panel_count; p++) {
        const struct chart_panel *panel = &chart->panels[p];
        a.x = LEFT + (double)p * (a.width + GAP);
        a.x_low = panel->x_low;
        a.x_high = panel->x_high;
        draw_axes(&svg, &a, panel, p == 0);
        svg_group_within(&svg, a.x, a.y, a.width, a.height);
        for (size_t s = 0; s < panel->count; s++)
            if (panel->series[s].low && panel->series[s].high)
                draw_band(&svg, &a, &panel->series[s]);
        for (size_t s = panel->count; s-- > 0;)  // the first on top
            draw_line(&svg, &a, &panel->series[s]);
        svg_group_end(&svg);
        if (p + 1 == chart->panel_count)
            draw_labels(&svg, &a, panel);
    }
    for (size_t i = 0; i < notes; i++)
        svg_text(&svg, LEFT, TOP + PANEL_HEIGHT + BOTTOM + NOTE * (double)i, "note", "%s", chart->notes[i]);
    return svg_close(&svg);
}
