"""A peer of bel-bench peers: websockets, msgpack and numpy, one asyncio loop.

    python3 peer_websocket.py SHAPE SOCKET
"""
import asyncio
import sys

import msgpack
import numpy
import websockets

from peer_model import Numpy

model = Numpy(sys.argv[1])


async def serve(socket, path=None):
    async for message in socket:
        asked = msgpack.unpackb(message)
        action = model.step(asked["session"], numpy.frombuffer(asked["obs"], numpy.float32),
                            numpy.frombuffer(asked["action"], numpy.float32), asked["reward"])
        await socket.send(msgpack.packb({"seq": asked["seq"], "action": action.tobytes()}))


async def main():
    # Without compression and pings: as cheap as this library can be.
    server = await websockets.unix_serve(serve, sys.argv[2], compression=None, ping_interval=None, max_size=None)
    await server.wait_closed()


asyncio.run(main())
