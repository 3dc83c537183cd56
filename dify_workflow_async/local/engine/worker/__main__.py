"""``python -m dify_workflow_async.local.engine.worker``: messages in, facts out."""

import contextlib
import logging
import os
import signal
import sys

from ._host import Host, Sender


def main() -> None:
    """Serve until the server closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server ends this process
    logging.getLogger("graphon").setLevel(logging.CRITICAL)  # it is told as events
    # What nodes print must not get between the messages.
    output = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with contextlib.suppress(BrokenPipeError):
        Host(Sender(output)).serve(sys.stdin.buffer)
    os._exit(0)  # at once: threads of runs may be in the middle of a call


if __name__ == "__main__":
    main()
