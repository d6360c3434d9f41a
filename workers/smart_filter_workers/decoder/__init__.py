"""Decode clients' pictures in a child process without credentials, network or files.

pool: the worker's side; it starts the children, asks them, and distrusts their answers.
turns: whose picture a child decodes next, and which one is stopped.
time_limits: how long a picture may be decoded.
entry: the start of the other side; it locks files before it loads anything large.
child: the other side; it locks itself, then decodes one picture after another.
answers: the messages between both.

Called by artifacts, learning, live, runtime, stock.
Calls images, shared, system.
"""
