// Which door a connection came through; the contract is in door.h.
#include "door.h"

const struct door *door_of(const uint8_t *bytes, size_t size)
{
    // A capital letter is some kind of HTTP: as a frame's length it would be a gigabyte. "PRI " is the right one; others are
    // refused in HTTP/2, which such clients rather understand.
    return size == 0 ? NULL : bytes[0] >= 'A' && bytes[0] <= 'Z' ? &grpc_door : &frame_door;
}
