// Names of statuses and error codes as people read them; the contract is in wire.h.
#include "wire.h"

const char *wire_status_name(enum wire_status status)
{
    static const char *const names[] = {
        "none", "absorbed", "duplicate", "not_finite", "out_of_range", "other_task", "undurable", "out_of_order"};
    return (size_t)status < sizeof names / sizeof *names ? names[status] : "unknown";
}

const char *wire_error_name(enum wire_error_code code)
{
    static const char *const names[] = {
        "UNKNOWN", "BAD_FRAME", "TOO_LARGE", "UNSUPPORTED", "INVALID", "UNKNOWN_SESSION", "UNKNOWN_MODEL",
        "FENCED", "OUT_OF_STEP", "LIMIT", "DRAINING", "INTERNAL", "IDLE", "PERMISSION",
        "UNAUTHENTICATED", "MOVED", "UNDURABLE", "DEADLINE", "BUSY", "WRONG_MODEL", "RATE"};
    return (size_t)code < sizeof names / sizeof *names ? names[code] : "UNKNOWN";
}
