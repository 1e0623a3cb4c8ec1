// Small multiples, one panel for each robot, ordered by task; the contract is in picture.h.
//
// One-dimensional tasks are drawn over time: the hidden target as a line, the belief as a band of one standard
// deviation around its estimate, and what the robot really does. A belief knows most of what it will ever know
// after a few steps, so time runs on a square-root scale. Two-dimensional ones are drawn in their plane: the
// hidden goal, the paths of the episodes, the belief as ellipses that shrink.
#include "picture.h"

#include "client/kinds.h"
#include "client/svg/svg.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PANELS_LIMIT = 16, WIDTH = 1280, LEFT = 84, RIGHT = 36, TOP = 186, BOTTOM = 64, GAP_X = 26, GAP_Y = 36,
       ELLIPSES = 6 };
static const double SMOOTHING_SECONDS = 0.5;  // about one gallop of a cheetah
static const int SMOOTHING_STEPS = 5;         // in worlds without seconds
static const double CLOSE = 0.05;             // of the task's range: the belief knows

// Colours that every eye tells apart (Okabe and Ito): vermilion for the truth, blue for the belief, black for
// deeds.
static const char style[] =
    "svg { background: #ffffff; }\n"
    ".page { fill: #ffffff; }\n"
    "text { font-family: Inter, 'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif; "
    "fill: #57606a; font-size: 13px; }\n"
    ".title { font-size: 27px; font-weight: 600; fill: #1f2328; }\n"
    ".message { font-size: 16px; fill: #424a53; }\n"
    ".legend { font-size: 14px; fill: #1f2328; }\n"
    ".name { font-size: 13px; fill: #57606a; }\n"
    ".value { font-size: 13px; font-weight: 600; fill: #b35900; text-anchor: end; }\n"
    ".tick { font-size: 12px; }\n"
    ".left { text-anchor: end; }\n"
    ".middle { text-anchor: middle; }\n"
    ".axis { font-size: 14px; fill: #1f2328; text-anchor: middle; }\n"
    ".panel { fill: #f6f8fa; }\n"
    ".grid { stroke: #ffffff; stroke-width: 1.5; }\n"
    ".break { stroke: #8c959f; stroke-width: 1; stroke-dasharray: 2 3; }\n"
    ".truth { stroke: #d55e00; stroke-width: 2; fill: none; }\n"
    ".target { stroke: #e69f00; stroke-width: 5; }\n"
    ".spot { fill: #d55e00; }\n"
    ".band { fill: #56b4e9; fill-opacity: 0.38; }\n"
    ".mean { stroke: #0072b2; stroke-width: 1.8; fill: none; stroke-linejoin: round; }\n"
    ".ellipse { stroke: #0072b2; stroke-width: 1.5; fill: #56b4e9; fill-opacity: 0.25; }\n"
    ".deed { stroke: #1f2328; stroke-width: 1.4; fill: none; stroke-linejoin: round; }\n"
    ".first { stroke: #8c959f; stroke-width: 1.4; fill: none; stroke-linejoin: round; }\n"
    ".start { fill: #1f2328; }\n";

struct axes {
    double x, y, width, height;           // of the panel, pixels
    double x_low, x_high, y_low, y_high;  // of the data
    int root;                             // x from 0 on a square-root scale
};

static double place_x(const struct axes *a, double x)
{
    double share = (x - a->x_low) / (a->x_high - a->x_low);
    return a->x + (a->root ? sqrt(share) : share) * a->width;
}

static double place_y(const struct axes *a, double y)
{
    return a->y + a->height - (y - a->y_low) / (a->y_high - a->y_low) * a->height;
}

// ---- Words ----------------------------------------------------------------------------------------------------

// "target speed (m/s)" is the noun "target speed", the quantity "speed (m/s)" and the unit " m/s".
struct words {
    char noun[64], quantity[64], unit[32];
};

static struct words words_of(const struct world *world)
{
    struct words words = {0};
    const char *name = world->task_names[0], *bracket = strchr(name, '(');
    snprintf(words.noun, sizeof words.noun, "%s", name);
    char *end = strstr(words.noun, " (");
    if (end)
        *end = 0;
    if (world->task_dim > 1 && (end = strrchr(words.noun, ' ')))
        *end = 0;  // "goal x"
    snprintf(words.quantity, sizeof words.quantity, "%s", strncmp(name, "target ", 7) == 0 ? name + 7 : name);
    if (bracket) {
        snprintf(words.unit, sizeof words.unit, " %s", bracket + 1);
        words.unit[strcspn(words.unit, ")")] = 0;
    }
    return words;
}

static double range_of(const struct world *world)
{
    double sum = 0;
    for (size_t k = 0; k < world->task_dim; k++)
        sum += (world->task_high[k] - world->task_low[k]) * (world->task_high[k] - world->task_low[k]);
    return sqrt(sum);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Steps after which a robot's belief was, and stayed, close to the truth; infinity: it did not.
static double steps_to_know(const struct fleet *fleet, const struct robot *robot)
{
    double known = INFINITY, close = CLOSE * range_of(fleet->options.world);
    for (size_t k = robot->estimate_count; k-- > 0;) {
        if (!(estimate_error(fleet, robot, &robot->estimates[k]) <= close))
            break;
        known = (double)robot->estimates[k].step;
    }
    return known;
}

static double median_steps_to_know(const struct fleet *fleet)
{
    double steps[FLEET_COUNT_LIMIT];
    for (size_t i = 0; i < fleet->options.count; i++)
        steps[i] = steps_to_know(fleet, &fleet->robots[i]);
    qsort(steps, fleet->options.count, sizeof *steps, ascending);
    return steps[fleet->options.count / 2];
}

// "1.93 m/s", "0.31, 0.95"; whole numbers without their zeros.
static void write_task(char *out, size_t room, const struct world *world, const double *task, const char *unit)
{
    size_t length = 0;
    for (size_t k = 0; k < world->task_dim && length < room; k++)
        length += (size_t)snprintf(out + length, room - length, "%s%.*f", k ? ", " : "",
                                   task[k] == round(task[k]) ? 0 : 2, task[k]);
    if (length < room)
        snprintf(out + length, room - length, "%s", unit);
}

// What the picture shows, in numbers.
static void write_message(char *out, size_t room, const struct fleet *fleet, const struct words *words)
{
    const struct world *world = fleet->options.world;
    double steps = median_steps_to_know(fleet), close = CLOSE * range_of(world);
    if (!fleet->believes)
        snprintf(out, room, "Nothing is learnt on the way.");
    else if (!fleet->can_estimate)
        snprintf(out, room,
                 "Each has only its rewards to learn from. (This model has no landmarks to ask its belief with.)");
    else if (isfinite(steps) && world->step_seconds > 0)
        snprintf(out, room, "From rewards alone, half of them know it to within %.2g%s after %.0f steps (%.2g s), "
                 "and act on it.",
                 close, words->unit, steps, steps * world->step_seconds);
    else if (isfinite(steps))
        snprintf(out, room,
                 "From rewards alone, half of them know it to within %.2g%s after %.0f steps, and act on it.",
                 close, words->unit, steps);
    else
        snprintf(out, room, "From rewards alone. At the end their beliefs are off by %.2f%s on average.",
                 fleet_error(fleet), words->unit);
}

static void write_returns(char *out, size_t room, const struct fleet *fleet, const struct picture_returns *returns)
{
    size_t length = 0;
    out[0] = 0;
    for (size_t e = 0; e < fleet->episodes_done && length < room; e++)
        length += (size_t)snprintf(out + length, room - length, "%s%.0f in episode %zu",
                                   e ? ", " : "Mean return: ", fleet_return(fleet, e), e + 1);
    if (!isnan(returns->prior) && length < room)
        length += (size_t)snprintf(out + length, room - length, ";  %.0f for robots that may not learn",
                                   returns->prior);
    if (!isnan(returns->oracle) && length < room)
        length += (size_t)snprintf(out + length, room - length, ";  %.0f for robots that are told",
                                   returns->oracle);
    if (length && length + 1 < room)
        strcpy(out + length, ".");
}

// ---- Panels ---------------------------------------------------------------------------------------------------

// A step between ticks that people like, for about `count` of them.
static double tick_step(double range, double count)
{
    double raw = range / count, power = pow(10, floor(log10(raw))), rest = raw / power;
    return power * (rest <= 1 ? 1 : rest <= 2 ? 2 : rest <= 5 ? 5 : 10);
}

static double tick_after(double low, double step)
{
    return ceil(low / step - 1e-9) * step;
}

// From one tick of x to the next: equal steps; on a square-root scale 0 and then 1, 2, 5, 10, 20, 50 of something.
static double next_tick(const struct axes *a, double x)
{
    if (!a->root)
        return tick_step(a->x_high - a->x_low, 5);
    return tick_step(x > 0 ? 1.01 * x : a->x_high / 32, 1) - x;
}

// Background, grid, and numbers at the left and bottom panels.
static void draw_axes(struct svg *svg, const struct axes *a, int at_left, int at_bottom)
{
    svg_rectangle(svg, a->x, a->y, a->width, a->height, "panel");
    double step = tick_step(a->y_high - a->y_low, 4);
    for (double y = tick_after(a->y_low, step); y <= a->y_high + 1e-9; y += step) {
        svg_line(svg, a->x, place_y(a, y), a->x + a->width, place_y(a, y), "grid");
        if (at_left)
            svg_text(svg, a->x - 8, place_y(a, y) + 4, "tick left", "%.4g", fabs(y) < 1e-9 ? 0 : y);
    }
    for (double x = tick_after(a->x_low, next_tick(a, a->x_low)); x <= a->x_high + 1e-9; x += next_tick(a, x)) {
        svg_line(svg, place_x(a, x), a->y, place_x(a, x), a->y + a->height, "grid");
        if (at_bottom)
            svg_text(svg, place_x(a, x), a->y + a->height + 18, "tick middle", "%.4g", fabs(x) < 1e-9 ? 0 : x);
    }
}

static double seconds_per_step(const struct world *world)
{
    return world->step_seconds > 0 ? world->step_seconds : 1;
}

// The mean over the last steps of the same episode of what was achieved, leaving out what tells nothing.
static double smoothed(const struct fleet *fleet, const struct robot *robot, size_t t)
{
    const struct world *world = fleet->options.world;
    double dt = world->step_seconds;
    size_t window = dt > 0 ? (size_t)lround(SMOOTHING_SECONDS / dt) : (size_t)SMOOTHING_STEPS;
    size_t episode = t / world->horizon * world->horizon;
    size_t from = t + 1 > episode + window ? t + 1 - window : episode;
    double sum = 0, count = 0;
    for (size_t k = from; k <= t; k++) {
        if (!isnan(robot->achieved[k])) {
            sum += (double)robot->achieved[k];
            count++;
        }
    }
    return count > 0 ? sum / count : NAN;
}

static void draw_over_time(struct svg *svg, const struct axes *a, const struct fleet *fleet,
                           const struct robot *robot)
{
    const struct world *world = fleet->options.world;
    double dt = seconds_per_step(world);
    svg_group_within(svg, a->x, a->y, a->width, a->height);
    for (size_t e = 1; e < fleet->options.episodes; e++) {
        double x = place_x(a, (double)(e * world->horizon) * dt);
        svg_line(svg, x, a->y, x, a->y + a->height, "break");
    }
    svg_line(svg, a->x, place_y(a, robot->task[0]), a->x + a->width, place_y(a, robot->task[0]), "target");
    if (robot->estimate_count) {
        svg_path(svg, "band");
        for (size_t k = 0; k < robot->estimate_count; k++) {
            const struct estimate *e = &robot->estimates[k];
            svg_path_to(svg, place_x(a, (double)e->step * dt), place_y(a, e->mean[0] + e->sd[0]));
        }
        for (size_t k = robot->estimate_count; k-- > 0;) {
            const struct estimate *e = &robot->estimates[k];
            svg_path_to(svg, place_x(a, (double)e->step * dt), place_y(a, e->mean[0] - e->sd[0]));
        }
        svg_path_end(svg, 1);
    }
    svg_path(svg, "deed");
    for (size_t t = 0; t < fleet->total; t++) {
        if (t % world->horizon == 0)
            svg_path_to(svg, NAN, NAN);
        svg_path_to(svg, place_x(a, (double)(t + 1) * dt), place_y(a, smoothed(fleet, robot, t)));
    }
    svg_path_end(svg, 0);
    svg_path(svg, "mean");
    for (size_t k = 0; k < robot->estimate_count; k++)
        svg_path_to(svg, place_x(a, (double)robot->estimates[k].step * dt),
                    place_y(a, robot->estimates[k].mean[0]));
    svg_path_end(svg, 0);
    svg_group_end(svg);
}

static void draw_in_plane(struct svg *svg, const struct axes *a, const struct fleet *fleet,
                          const struct robot *robot)
{
    const struct world *world = fleet->options.world;
    double pixels_x = a->width / (a->x_high - a->x_low), pixels_y = a->height / (a->y_high - a->y_low);
    svg_group_within(svg, a->x, a->y, a->width, a->height);
    // Ellipses of the belief at steps that treble: 0, 1, 3, 9, ...
    size_t due = 0, drawn = 0;
    for (size_t k = 0; k < robot->estimate_count && drawn < ELLIPSES; k++) {
        const struct estimate *e = &robot->estimates[k];
        if (e->step < due)
            continue;
        svg_ellipse(svg, place_x(a, e->mean[0]), place_y(a, e->mean[1]), fmax(2, e->sd[0] * pixels_x),
                    fmax(2, e->sd[1] * pixels_y), 0.3 + 0.7 * (double)drawn / (ELLIPSES - 1), "ellipse");
        due = e->step ? 3 * e->step : 1;
        drawn++;
    }
    for (size_t t = 0, episode = 0; t < fleet->total; episode++) {
        svg_path(svg, episode + 1 == fleet->options.episodes ? "deed" : "first");
        svg_path_to(svg, place_x(a, (double)robot->starts[episode][0]),
                    place_y(a, (double)robot->starts[episode][1]));
        for (size_t end = t + world->horizon; t < end && t < fleet->total; t++)
            svg_path_to(svg, place_x(a, (double)robot->where[2 * t]), place_y(a, (double)robot->where[2 * t + 1]));
        svg_path_end(svg, 0);
    }
    if (world->sees_place)
        svg_ellipse(svg, place_x(a, (double)robot->starts[0][0]), place_y(a, (double)robot->starts[0][1]), 3, 3, 1,
                    "start");
    double x = place_x(a, robot->task[0]), y = place_y(a, robot->task[1]);
    svg_ellipse(svg, x, y, 7, 7, 1, "truth");
    svg_ellipse(svg, x, y, 2.5, 2.5, 1, "spot");
    svg_group_end(svg);
}

// ---- The page -------------------------------------------------------------------------------------------------

static void draw_legend(struct svg *svg, const struct fleet *fleet, const struct words *words, double y)
{
    const struct world *world = fleet->options.world;
    double x = LEFT;
    if (world->task_dim == 1) {
        svg_line(svg, x, y, x + 30, y, "target");
        svg_text(svg, x + 38, y + 5, "legend", "hidden %s", words->noun);
        x += 230;
        svg_rectangle(svg, x, y - 8, 30, 16, "band");
        svg_line(svg, x, y, x + 30, y, "mean");
        svg_text(svg, x + 38, y + 5, "legend", "what its belief thinks (± one standard deviation)");
        x += 410;
        svg_line(svg, x, y, x + 30, y, "deed");
        svg_text(svg, x + 38, y + 5, "legend", "what it does (mean of %.2g s)", SMOOTHING_SECONDS);
        return;
    }
    svg_ellipse(svg, x + 15, y, 7, 7, 1, "truth");
    svg_ellipse(svg, x + 15, y, 2.5, 2.5, 1, "spot");
    svg_text(svg, x + 38, y + 5, "legend", "hidden %s", words->noun);
    x += 190;
    svg_ellipse(svg, x + 15, y, 15, 8, 0.4, "ellipse");
    svg_ellipse(svg, x + 19, y, 7, 4, 1, "ellipse");
    svg_text(svg, x + 38, y + 5, "legend", "its belief after 0, 1, 3, 9, ... steps (± one standard deviation)");
    x += 490;
    svg_line(svg, x, y, x + 30, y, "first");
    if (fleet->options.episodes > 1) {
        svg_text(svg, x + 38, y + 5, "legend", "%s", world->sees_place ? "its paths before" : "what it did before");
        x += 170;
        svg_line(svg, x, y, x + 30, y, "deed");
        svg_text(svg, x + 38, y + 5, "legend", "and in the last episode");
    } else {
        svg_line(svg, x, y, x + 30, y, "deed");
        svg_text(svg, x + 38, y + 5, "legend", "%s", world->sees_place ? "its path" : "what it does");
    }
}

static const struct robot *const *by_task(const struct fleet *fleet, const struct robot **order, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t at = i;
        for (; at > 0 && order[at - 1]->task[0] > fleet->robots[i].task[0]; at--)
            order[at] = order[at - 1];
        order[at] = &fleet->robots[i];
    }
    return order;
}

int picture_draw(const struct fleet *fleet, const struct picture_returns *returns, const char *path)
{
    const struct world *world = fleet->options.world;
    if (world->task_dim > 2)
        return -ENOTSUP;
    const struct words words = words_of(world);
    size_t count = fleet->options.count < PANELS_LIMIT ? fleet->options.count : PANELS_LIMIT;
    size_t columns = (size_t)ceil(sqrt((double)count)), rows = (count + columns - 1) / columns;
    int plane = world->task_dim == 2;
    struct axes a = {.width = (double)(WIDTH - LEFT - RIGHT - (int)(columns - 1) * GAP_X) / (double)columns};
    double margin = 0.07 * (world->task_high[0] - world->task_low[0]);
    if (plane) {
        margin *= 2;
        a.x_low = world->task_low[0] - margin;
        a.x_high = world->task_high[0] + margin;
        a.y_low = (world->sees_place ? fmin(world->task_low[1], 0) : world->task_low[1]) - margin;
        a.y_high = world->task_high[1] + margin;
        a.height = a.width * (a.y_high - a.y_low) / (a.x_high - a.x_low);  // a circle is round
    } else {
        a.root = 1;
        a.x_high = (double)(world->horizon * fleet->options.episodes) * seconds_per_step(world);
        a.y_low = world->task_low[0] - margin;
        a.y_high = world->task_high[0] + margin;
        a.height = columns > 2 ? 148 : 300;
    }
    double height = TOP + (double)rows * (a.height + GAP_Y) - GAP_Y + BOTTOM;

    char title[256], message[512], line[512];
    const char *how = kind_is_told(fleet->model) ? "are told"
                      : fleet->believes          ? "find out what nobody tells them:" : "do not know";
    snprintf(title, sizeof title, "%zu robots %s the %s", fleet->options.count, how, words.noun);
    write_message(message, sizeof message, fleet, &words);
    write_returns(line, sizeof line, fleet, returns);
    struct svg svg;
    int error = svg_open(&svg, path, WIDTH, height, title, message, style);
    if (error)
        return error;
    svg_rectangle(&svg, 0, 0, WIDTH, height, "page");
    svg_text(&svg, LEFT, 48, "title", "%s", title);
    svg_text(&svg, LEFT, 78, "message", "%s", message);
    svg_text(&svg, LEFT, 102, "message", "%s", line);
    draw_legend(&svg, fleet, &words, 138);

    const struct robot *order[PANELS_LIMIT];
    by_task(fleet, order, count);
    for (size_t i = 0; i < count; i++) {
        const struct robot *robot = order[i];
        size_t row = i / columns, column = i % columns;
        a.x = LEFT + (double)column * (a.width + GAP_X);
        a.y = TOP + (double)row * (a.height + GAP_Y);
        svg_text(&svg, a.x + 1, a.y - 7, "name", "robot %zu", (size_t)(robot - fleet->robots) + 1);
        write_task(line, sizeof line, world, robot->task, words.unit);
        svg_text(&svg, a.x + a.width, a.y - 7, "value", "%s", line);
        draw_axes(&svg, &a, column == 0, i + columns >= count);
        if (plane)
            draw_in_plane(&svg, &a, fleet, robot);
        else
            draw_over_time(&svg, &a, fleet, robot);
    }
    double middle_x = LEFT + (WIDTH - LEFT - RIGHT) / 2.0, middle_y = TOP + (height - TOP - BOTTOM) / 2;
    svg_text_upwards(&svg, 30, middle_y, "axis", "%s", plane ? world->task_names[1] : words.quantity);
    if (plane)
        svg_text(&svg, middle_x, height - 18, "axis", "%s", world->task_names[0]);
    else
        svg_text(&svg, middle_x, height - 18, "axis", "time (%s), on a scale that shows the beginning best; "
                 "the next episode begins at the dotted line", world->step_seconds > 0 ? "s" : "steps");
    return svg_close(&svg);
}
