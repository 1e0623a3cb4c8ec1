// The SVG writer; the contract is in svg.h.
#include "svg.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

// Escaped for XML; a hyphen that begins a number becomes a minus sign.
static void escaped(struct svg *svg, const char *text)
{
    for (const char *start = text; *text; text++) {
        switch (*text) {
        case '-':
            fputs(isdigit((unsigned char)text[1]) && (text == start || text[-1] == ' ') ? "\u2212" : "-",
                  svg->file);
            break;
        case '&': fputs("&amp;", svg->file); break;
        case '<': fputs("&lt;", svg->file); break;
        case '>': fputs("&gt;", svg->file); break;
        case '"': fputs("&quot;", svg->file); break;
        default: fputc(*text, svg->file);
        }
    }
}

int svg_open(struct svg *svg, const char *path, double width, double height, const char *title,
             const char *description, const char *style)
{
    *svg = (struct svg){0};
    if ((size_t)snprintf(svg->path, sizeof svg->path, "%s", path) >= sizeof svg->path)
        return -ENAMETOOLONG;
    snprintf(svg->beside, sizeof svg->beside, "%s.part", svg->path);
    svg->file = fopen(svg->beside, "w");
    if (!svg->file)
        return -errno;
    fprintf(svg->file, "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" width=\"%.0f\" height=\"%.0f\" "
            "viewBox=\"0 0 %.0f %.0f\">\n<title>", width, height, width, height);
    escaped(svg, title);
    fputs("</title>\n<desc>", svg->file);
    escaped(svg, description);
    fprintf(svg->file, "</desc>\n<style>\n%s</style>\n", style);
    return 0;
}

int svg_close(struct svg *svg)
{
    fputs("</svg>\n", svg->file);
    int failed = ferror(svg->file);
    errno = EIO;
    failed |= fclose(svg->file);
    if (!failed)
        failed = rename(svg->beside, svg->path);
    int error = -errno;
    if (failed)
        unlink(svg->beside);
    return failed ? error : 0;
}

static void text_body(struct svg *svg, const char *format, va_list arguments)
{
    char text[1024];
    vsnprintf(text, sizeof text, format, arguments);
    escaped(svg, text);
    fputs("</text>\n", svg->file);
}

void svg_text(struct svg *svg, double x, double y, const char *class, const char *format, ...)
{
    va_list arguments;
    fprintf(svg->file, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\">", x, y, class);
    va_start(arguments, format);
    text_body(svg, format, arguments);
    va_end(arguments);
}

void svg_text_upwards(struct svg *svg, double x, double y, const char *class, const char *format, ...)
{
    va_list arguments;
    fprintf(svg->file, "<text transform=\"translate(%.1f %.1f) rotate(-90)\" class=\"%s\">", x, y, class);
    va_start(arguments, format);
    text_body(svg, format, arguments);
    va_end(arguments);
}

void svg_line(struct svg *svg, double x1, double y1, double x2, double y2, const char *class)
{
    fprintf(svg->file, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"%s\"/>\n", x1, y1, x2, y2,
            class);
}

void svg_rectangle(struct svg *svg, double x, double y, double width, double height, const char *class)
{
    fprintf(svg->file, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" class=\"%s\"/>\n", x, y,
            width, height, class);
}

void svg_ellipse(struct svg *svg, double x, double y, double rx, double ry, double opacity, const char *class)
{
    fprintf(svg->file,
            "<ellipse cx=\"%.1f\" cy=\"%.1f\" rx=\"%.1f\" ry=\"%.1f\" opacity=\"%.2f\" class=\"%s\"/>\n",
            x, y, rx, ry, opacity, class);
}

void svg_group_within(struct svg *svg, double x, double y, double width, double height)
{
    unsigned clip = ++svg->clips;
    fprintf(svg->file,
            "<clipPath id=\"c%u\"><rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/></clipPath>\n"
            "<g clip-path=\"url(#c%u)\">\n", clip, x, y, width, height, clip);
}

void svg_group_end(struct svg *svg)
{
    fputs("</g>\n", svg->file);
}

void svg_path(struct svg *svg, const char *class)
{
    fprintf(svg->file, "<path class=\"%s\" d=\"", class);
    svg->pen_down = 0;
}

void svg_path_to(struct svg *svg, double x, double y)
{
    if (!isfinite(x) || !isfinite(y)) {
        svg->pen_down = 0;
        return;
    }
    fprintf(svg->file, "%c%.1f %.1f", svg->pen_down ? 'L' : 'M', x, y);
    svg->pen_down = 1;
}

void svg_path_end(struct svg *svg, int closed)
{
    fprintf(svg->file, "%s\"/>\n", closed && svg->pen_down ? "Z" : "");
}
