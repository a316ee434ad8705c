"""The process that errands are forked from: it has the harness imported, and a single thread.

pytest's own process is not forked: it may have threads (pytest-xdist's for one) and a running event
loop, and whatever else its tests bring. This one reads errands from a socket until pytest's end is
closed, however that happens. Each is done in a child, which speaks on a socket of its own and dies
with this process; everything that it made dies with it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import traceback
from functools import partial

from harness.errors import DefinitionError, HarnessError, MachineError, OutputError
from harness.plugin import work
from harness.plugin.asked import Asked
from harness.runtime.child import finish
from harness.runtime.pool import MAX_MESSAGE, send_on
from harness.runtime.syscalls import die_with_parent


def main() -> None:
    """Serve on the socket whose descriptor is the only argument."""
    sock = socket.socket(fileno=int(sys.argv[1]))
    # The kernel reaps: nobody here asks how a child ended.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    parent = os.getpid()
    while True:
        data, descriptors, _, _ = socket.recv_fds(sock, MAX_MESSAGE, 1)
        if not data:
            return
        errand, asked = socket.socket(fileno=descriptors[0]), Asked(**json.loads(data))
        work.prepare(asked)
        if os.fork() == 0:
            sock.close()
            finish(partial(_do, parent, errand, asked))
        errand.close()


def _do(parent: int, errand: socket.socket, asked: Asked) -> None:
    """Do an errand, and say what came of it or why nothing did."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    die_with_parent()
    if os.getppid() != parent:
        return
    send = send_on(errand)
    try:
        # With it pytest can end this very process, and no other that got its number since.
        socket.send_fds(errand, [b"{}"], [os.pidfd_open(os.getpid())])
        work.DOES[asked.do](asked, errand)
    except (KeyboardInterrupt, BrokenPipeError):
        return  # pytest does not want it any more
    except (DefinitionError, OutputError) as error:
        send({"wrong": str(error)})
    except MachineError as error:
        send({"machine": str(error)})
    except HarnessError as error:
        send({"failed": str(error)})
    except Exception:  # noqa: BLE001 - it is said, where somebody hears it
        send({"failed": traceback.format_exc()})


if __name__ == "__main__":
    main()
