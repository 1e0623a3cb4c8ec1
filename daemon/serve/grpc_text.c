// Values of metadata; the contract is in grpc_text.h.
#include "grpc_text.h"

#include <errno.h>

int grpc_timeout_parse(const char *text, size_t size, uint64_t *timeout_us)
{
    enum { DIGITS = 8 };
    uint64_t number = 0;
    if (size < 2 || size > DIGITS + 1)
        return -EINVAL;
    for (size_t i = 0; i + 1 < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -EINVAL;
        number = 10 * number + (uint64_t)(text[i] - '0');
    }
    switch (text[size - 1]) {
    case 'H': *timeout_us = number * 3600000000; return 0;
    case 'M': *timeout_us = number * 60000000; return 0;
    case 'S': *timeout_us = number * 1000000; return 0;
    case 'm': *timeout_us = number * 1000; return 0;
    case 'u': *timeout_us = number; return 0;
    case 'n': *timeout_us = (number + 999) / 1000; return 0;
    default: return -EINVAL;
    }
}

size_t grpc_percent_encode(char *out, size_t room, const char *text)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t size = 0;
    for (; *text; text++) {
        uint8_t c = (uint8_t)*text;
        int plain = c >= ' ' && c <= '~' && c != '%';
        if (size + (plain ? 1 : 3) >= room)
            break;
        if (plain) {
            out[size++] = (char)c;
        } else {
            out[size++] = '%';
            out[size++] = digits[c >> 4];
            out[size++] = digits[c & 15];
        }
    }
    out[size] = 0;
    return size;
}

size_t grpc_base64_encode(char *out, size_t room, const uint8_t *bytes, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t wanted = grpc_base64_size(size), written = 0;
    if (wanted >= room)
        return 0;
    for (size_t i = 0; i < size; i += 3) {
        uint32_t three = (uint32_t)bytes[i] << 16;
        three |= i + 1 < size ? (uint32_t)bytes[i + 1] << 8 : 0;
        three |= i + 2 < size ? bytes[i + 2] : 0;
        for (int k = 0; k < 4 && written < wanted; k++)
            out[written++] = digits[three >> (18 - 6 * k) & 63];
    }
    out[written] = 0;
    return written;
}

int grpc_is_printable(const uint8_t *text, size_t size)
{
    int printable = 1;
    for (size_t i = 0; i < size; i++)
        printable &= text[i] >= ' ' && text[i] <= '~';
    return printable;
}
