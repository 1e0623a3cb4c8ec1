// Which door a connection came through; the contract is in door.h.
#include "door.h"

const struct door *door_of(const uint8_t *bytes, size_t size)
{
    (void)bytes;
    return size > 0 ? &frame_door : NULL;
}
