"""A child that does what its questions say, for the tests of child processes."""

import os
import signal
import socket
import sys
import threading

from smart_filter_shared.child_processes import serving


def serve(parent: socket.socket) -> None:
    for question in serving.read_questions(parent):
        match question:
            case "pid":
                serving.send_answer(parent, os.getpid())
            case "crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "exit":
                sys.exit(3)
            case "hang":
                threading.Event().wait()
            case _:
                serving.send_answer(parent, question)
