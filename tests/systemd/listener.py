#!/usr/bin/python3
"""Listens on a D-Bus socket as whoever runs it, and prints every message it gets as one line.

    listener.py SOCKET [subscribe] [MATCH...]

Each MATCH is asked for by AddMatch; "subscribe" calls Subscribe of Marcel's object. "listening" is
printed once all was asked for, whatever was answered: answers are messages like others. It speaks
the protocol itself, so that nothing a library would hide stays unseen. Ends with its input.
"""

import os
import selectors
import socket
import struct
import sys

NAME = "org.marceld.Marcel1"
OBJECT = "/org/marceld/Marcel1"
DRIVER = "org.freedesktop.DBus"
CALL = 1
PATH, INTERFACE, MEMBER, DESTINATION, SIGNATURE = 1, 2, 3, 6, 8


def padded(data, to):
    return data + b"\0" * (-len(data) % to)


def text(value):
    return struct.pack("<I", len(value.encode())) + value.encode() + b"\0"


def call(serial, destination, path, member, *arguments):
    """A method call with texts as arguments."""
    body = b""
    for argument in arguments:
        body = padded(body, 4) + text(argument)
    named = [(PATH, "o", path), (INTERFACE, "s", destination), (MEMBER, "s", member),
             (DESTINATION, "s", destination)]
    fields = b""
    for code, kind, value in named:
        fields = padded(fields, 8) + bytes([code, 1]) + kind.encode() + b"\0" + text(value)
    if arguments:
        signature = b"s" * len(arguments)
        fields = padded(fields, 8) + bytes([SIGNATURE, 1]) + b"g\0"
        fields += bytes([len(signature)]) + signature + b"\0"
    head = b"l" + bytes([CALL, 0, 1]) + struct.pack("<III", len(body), serial, len(fields))
    return padded(head + fields, 8) + body


def whole_message(data):
    """How long the message is that DATA begins with; 0 while that cannot be told."""
    if len(data) < 16:
        return 0
    order = "<" if data[:1] == b"l" else ">"
    body, _, fields = struct.unpack_from(order + "III", data, 4)
    length = 16 + fields + -fields % 8 + body
    return length if len(data) >= length else 0


def shown(message):
    return message.decode(errors="replace").translate({i: "." for i in range(32)})


def main():
    path, *wishes = sys.argv[1:]
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    peer.settimeout(30)
    peer.connect(path)
    peer.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
    answer = b""
    while not answer.endswith(b"\r\n"):
        answer += peer.recv(1)
    print(shown(answer), flush=True)
    peer.sendall(b"BEGIN\r\n" + call(1, DRIVER, "/org/freedesktop/DBus", "Hello"))
    for serial, wish in enumerate(wishes, 2):
        if wish == "subscribe":
            peer.sendall(call(serial, NAME, OBJECT, "Subscribe"))
        else:
            peer.sendall(call(serial, DRIVER, "/org/freedesktop/DBus", "AddMatch", wish))
    data = b""
    answers = 0
    waiting = selectors.DefaultSelector()
    waiting.register(peer, selectors.EVENT_READ)
    waiting.register(sys.stdin, selectors.EVENT_READ)
    while True:
        ready = [key.fileobj for key, _ in waiting.select()]
        if sys.stdin in ready:
            return
        more = peer.recv(65536)
        if not more:
            print("the end", flush=True)
            return
        data += more
        while length := whole_message(data):
            message, data = data[:length], data[length:]
            print(shown(message), flush=True)
            # Method returns and errors.
            answers += message[1] in (2, 3)
            if answers == 1 + len(wishes) and message[1] in (2, 3):
                print("listening", flush=True)


if __name__ == "__main__":
    main()
