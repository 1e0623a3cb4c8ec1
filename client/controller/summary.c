// The summary; the contract is in summary.h.
#include "summary.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>

enum { BAR = 50 };

// How late the ticks were, in powers of two, as bars of the logarithm of how many, so that one in ten thousand
// shows.
static void print_histogram(const struct samples *late)
{
    size_t counts[32] = {0}, most = 0;
    int low = 31, high = 0;
    for (size_t i = 0; i < late->count; i++) {
        int bin = late->values[i] < 1 ? 0 : 1 + ilogb((double)late->values[i]);
        bin = bin > 31 ? 31 : bin;
        counts[bin]++;
        most = counts[bin] > most ? counts[bin] : most;
        low = bin < low ? bin : low;
        high = bin > high ? bin : high;
    }
    printf("\n  late by        ticks\n");
    for (int bin = low; bin <= high; bin++) {
        int bar = counts[bin] ? 1 + (int)((BAR - 1) * log1p((double)counts[bin]) / log1p((double)most)) : 0;
        printf("  < %8.0f us %8zu  %.*s\n", ldexp(1, bin), counts[bin], bar,
               "##################################################");
    }
}

void summary_print(const struct run *run, const struct outcome *out, int histogram)
{
    const struct samples *late = &out->ticker.late, *reaction = &out->reaction;
    if (histogram && late->count)
        print_histogram(late);
    printf("\n%llu ticks at %g Hz%s. Late: %.0f us (median), %.0f us (p99), %.0f us (largest); %llu skipped.\n",
           (unsigned long long)out->ticks, run->rate, run->realtime ? ", with realtime priority" : "",
           samples_at(late, 0.5), samples_at(late, 0.99), samples_at(late, 1),
           (unsigned long long)out->ticker.overruns);
    printf("From sensing to command: %.0f us (median), %.0f us (p99).\n", samples_at(reaction, 0.5),
           samples_at(reaction, 0.99));
    printf("%llu deadlines missed, %llu fallbacks, %llu late replies thrown away, %llu commands dropped by the robot's "
           "watchdog.\n", (unsigned long long)out->missed, (unsigned long long)out->fallbacks,
           (unsigned long long)run->counters.late_replies, (unsigned long long)run->watchdogs);
    printf("%llu reconnects; resumed %llu times, after %.0f ms at most.\n",
           (unsigned long long)run->counters.reconnects, (unsigned long long)out->resumed, out->longest_outage_ms);
    printf("%llu transitions made, %llu told, %llu in the belief, %llu refused, %llu lost; ",
           (unsigned long long)out->transitions, (unsigned long long)out->reported, (unsigned long long)out->absorbed,
           (unsigned long long)out->refused, (unsigned long long)out->lost);
    if (out->logged)
        printf("%llu on the daemon's disk.\n", (unsigned long long)out->durable);
    else
        printf("the daemon keeps no log.\n");
    if (out->episodes)
        printf("%llu episodes of %s, mean return %.1f.\n", (unsigned long long)out->episodes, run->world,
               out->return_sum / (double)out->episodes);
}

static void add(cJSON *object, const char *name, double value)
{
    if (isnan(value))
        cJSON_AddNullToObject(object, name);
    else
        cJSON_AddNumberToObject(object, name, value);
}

int summary_print_json(const struct run *run, const struct outcome *out)
{
    const struct { const char *name; double value; } numbers[] = {
        {"rate", run->rate}, {"ticks", (double)out->ticks},
        {"jitter_p50_us", samples_at(&out->ticker.late, 0.5)}, {"jitter_p99_us", samples_at(&out->ticker.late, 0.99)},
        {"jitter_max_us", samples_at(&out->ticker.late, 1)},
        {"reaction_p50_us", samples_at(&out->reaction, 0.5)}, {"reaction_p99_us", samples_at(&out->reaction, 0.99)},
        {"overruns", (double)out->ticker.overruns}, {"missed_deadlines", (double)out->missed},
        {"fallbacks", (double)out->fallbacks}, {"late_replies", (double)run->counters.late_replies},
        {"watchdogs", (double)run->watchdogs}, {"reconnects", (double)run->counters.reconnects},
        {"resumed", (double)out->resumed},
        {"longest_outage_ms", out->longest_outage_ms}, {"transitions", (double)out->transitions},
        {"reported", (double)out->reported}, {"absorbed", (double)out->absorbed}, {"refused", (double)out->refused},
        {"durable", out->logged ? (double)out->durable : NAN}, {"lost", (double)out->lost},
        {"episodes", (double)out->episodes},
        {"return_mean", out->episodes ? out->return_sum / (double)out->episodes : NAN},
    };
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "world", run->world);
    cJSON_AddStringToObject(object, "model", run->model);
    cJSON_AddBoolToObject(object, "realtime", run->realtime);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        add(object, numbers[i].name, numbers[i].value);
    char *text = cJSON_PrintUnformatted(object);
    cJSON_Delete(object);
    if (!text)
        return -ENOMEM;
    puts(text);
    cJSON_free(text);
    return 0;
}
