"""A ZeroMQ client that is none of ours: libzmq, by pyzmq.

Its argument is JSON: address, from, mechanism ("null", "plain" or "curve"), serverKey, publicKey, secretKey (Z85; a
pair of its own unless given) and frames (hex). It connects once, sends the frames unless it is sent away before, and
prints as JSON what its monitor told and what it was sent, when the other end has answered a frame or has closed the
connection.
"""

import json
import sys

import zmq
from zmq.utils.monitor import recv_monitor_message

PATIENCE_MS = 20_000
# What ends the visit, whichever version of libzmq names it.
ENDS = {
    "HANDSHAKE_FAILED_NO_DETAIL",
    "HANDSHAKE_FAILED_PROTOCOL",
    "HANDSHAKE_FAILED_AUTH",
    "DISCONNECTED",
    "CLOSED",
    "CONNECT_RETRIED",
}


def dealer(context, how):
    socket = context.socket(zmq.DEALER)
    socket.linger = 0
    socket.reconnect_ivl = -1
    if how["mechanism"] == "plain":
        socket.plain_username = b"stranger"
        socket.plain_password = b"let me in"
    if how["mechanism"] == "curve":
        public, secret = zmq.curve_keypair()
        socket.curve_publickey = how.get("publicKey", public.decode()).encode()
        socket.curve_secretkey = how.get("secretKey", secret.decode()).encode()
        socket.curve_serverkey = how.get("serverKey", zmq.curve_keypair()[0].decode()).encode()
    return socket


def visit(socket, how):
    events, received = [], []
    monitor = socket.get_monitor_socket()
    source = how["from"]
    socket.connect(f"tcp://{source}:0;{how['address']}")
    try:
        for frame in how["frames"]:
            socket.send(bytes.fromhex(frame), zmq.NOBLOCK)
    except zmq.Again:
        # Race: the connection may be over by now, and there is no other. The monitor tells how it ended.
        events.append("NOT_SENT")
    poller = zmq.Poller()
    poller.register(monitor, zmq.POLLIN)
    poller.register(socket, zmq.POLLIN)
    while not received and not ENDS.intersection(events):
        ready = dict(poller.poll(PATIENCE_MS))
        if not ready:
            events.append("NOTHING")
            break
        if socket in ready:
            received.append(socket.recv().hex())
        # What led to an answer was told before the answer came: it is read to its end, whichever was seen first.
        while monitor.poll(0):
            events.append(zmq.Event(recv_monitor_message(monitor)["event"]).name)
    return {"events": events, "received": received}


if __name__ == "__main__":
    how = json.loads(sys.argv[1])
    context = zmq.Context()
    print(json.dumps(visit(dealer(context, how), how)))
