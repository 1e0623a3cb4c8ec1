// Reading metrics; the contract is in scrape.h.
#include "scrape.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EDGES_LIMIT = 64 };

// "name{labels} value" in place. -EINVAL.
static int parse_line(struct sample *sample, char *line)
{
    char *end = line + strcspn(line, "{ \t"), *value = end;
    *sample = (struct sample){.name = line, .labels = ""};
    if (end == line || !*end)
        return -EINVAL;
    if (*end == '{') {
        int quoted = 0;
        char *close = end + 1;
        for (; *close && (quoted || *close != '}'); close++) {
            if (*close == '\\' && close[1])
                close++;
            else if (*close == '"')
                quoted = !quoted;
        }
        if (!*close)
            return -EINVAL;
        *close = 0;
        sample->labels = end + 1;
        value = close + 1;
    } else {
        value = end + 1;
    }
    *end = 0;
    char *after;
    sample->value = strtod(value, &after);
    return after == value ? -EINVAL : 0;
}

int scrape_parse(struct scrape *scrape, const char *text)
{
    size_t lines = 1;
    for (const char *at = text; *at; at++)
        lines += *at == '\n';
    *scrape = (struct scrape){.text = strdup(text), .samples = malloc(lines * sizeof *scrape->samples)};
    int error = scrape->text && scrape->samples ? 0 : -ENOMEM;
    char *rest = scrape->text, *line;
    while (!error && (line = strsep(&rest, "\n")))
        if (*line && *line != '#')
            error = parse_line(&scrape->samples[scrape->count++], line);
    if (error)
        scrape_release(scrape);
    return error;
}

void scrape_release(struct scrape *scrape)
{
    free(scrape->text);
    free(scrape->samples);
    *scrape = (struct scrape){0};
}

int scrape_label(const struct sample *sample, const char *label, char *value, size_t size)
{
    size_t length = strlen(label);
    for (const char *at = sample->labels; *at;) {
        int mine = strncmp(at, label, length) == 0 && at[length] == '=' && at[length + 1] == '"';
        at = strchr(at, '"');
        if (!at)
            return 0;
        size_t used = 0;
        for (at++; *at && *at != '"'; at++) {
            if (*at == '\\' && at[1])
                at++;
            if (mine && used + 1 < size)
                value[used++] = *at;
        }
        if (mine) {
            value[used] = 0;
            return 1;
        }
        at += strspn(at, "\", ");
    }
    return 0;
}

double scrape_sum(const struct scrape *scrape, const char *name, const char *label, const char *value)
{
    double sum = 0;
    char found[128];
    for (size_t i = 0; i < scrape->count; i++) {
        const struct sample *sample = &scrape->samples[i];
        if (strcmp(sample->name, name) != 0)
            continue;
        if (!label || (scrape_label(sample, label, found, sizeof found) && strcmp(found, value) == 0))
            sum += sample->value;
    }
    return sum;
}

int scrape_has(const struct scrape *scrape, const char *name)
{
    for (size_t i = 0; i < scrape->count; i++)
        if (strcmp(scrape->samples[i].name, name) == 0)
            return 1;
    return 0;
}

// Cumulative counts by upper edge, summed over other labels, added to what is there with a sign.
struct edges {
    double edge[EDGES_LIMIT], count[EDGES_LIMIT];
    size_t used;
};

static void add_buckets(struct edges *edges, const struct scrape *scrape, const char *bucket, double sign)
{
    char text[64];
    for (size_t i = 0; i < scrape->count; i++) {
        const struct sample *sample = &scrape->samples[i];
        if (strcmp(sample->name, bucket) != 0 || !scrape_label(sample, "le", text, sizeof text))
            continue;
        double edge = strtod(text, NULL);
        size_t at = 0;
        while (at < edges->used && edges->edge[at] < edge)
            at++;
        if (at == edges->used || edges->edge[at] != edge) {
            if (edges->used == EDGES_LIMIT)
                return;
            memmove(edges->edge + at + 1, edges->edge + at, (edges->used - at) * sizeof *edges->edge);
            memmove(edges->count + at + 1, edges->count + at, (edges->used - at) * sizeof *edges->count);
            edges->edge[at] = edge;
            edges->count[at] = 0;
            edges->used++;
        }
        edges->count[at] += sign * sample->value;
    }
}

double scrape_quantile(const struct scrape *now, const struct scrape *before, const char *name, double q)
{
    struct edges edges = {.used = 0};
    char bucket[128];
    snprintf(bucket, sizeof bucket, "%s_bucket", name);
    add_buckets(&edges, now, bucket, 1);
    if (before)
        add_buckets(&edges, before, bucket, -1);
    double all = edges.used ? edges.count[edges.used - 1] : 0, wanted = q * all;
    if (!(all > 0))
        return NAN;
    size_t i = 0;
    while (i + 1 < edges.used && edges.count[i] < wanted)
        i++;
    double low = i ? edges.edge[i - 1] : 0, below = i ? edges.count[i - 1] : 0, inside = edges.count[i] - below;
    if (!isfinite(edges.edge[i]))
        return low;  // the last bucket has no upper edge
    return inside > 0 ? low + (edges.edge[i] - low) * (wanted - below) / inside : low;
}
