"""Say in one line what this machine lacks, before anything is installed or started.

    python3 scripts/preflight.py python       is this Python new enough, can it make environments?
    python3 scripts/preflight.py port 8888    is the port free?

It runs before there is an environment, on whatever `python3` is: only the standard library, and
only syntax that a very old Python reads too, or the line would be a SyntaxError.
"""

import socket
import sys

OLDEST = (3, 11)


def python_problem():
    """Return what is wrong with the running Python, or None."""
    if sys.version_info[:2] < OLDEST:
        return (
            "bestbt needs Python %d.%d or newer, and %s is %d.%d. "
            "Install a newer one and name it: make PYTHON=python3.12 ..."
            % (OLDEST + (sys.executable,) + tuple(sys.version_info[:2]))
        )
    try:
        import ensurepip  # noqa: F401  Debian ships it apart from python3
        import venv  # noqa: F401
    except ImportError:
        return (
            "bestbt needs Python's venv module, and %s has none. "
            "Install it: sudo apt install python3-venv" % sys.executable
        )
    return None


def is_free(port):
    """Whether a server can listen on *port* at every address of localhost, as Jupyter will."""
    for family, kind, protocol, _, address in socket.getaddrinfo(
        "localhost", port, type=socket.SOCK_STREAM
    ):
        with socket.socket(family, kind, protocol) as probe:
            # a port whose last connections are still closing is free, as it is to Jupyter
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError:
                return False
    return True


def port_problem(text):
    """Return what is wrong with a port given as text, or None."""
    if not (text.isdigit() and 1024 <= int(text) <= 65535):
        return "PORT=%s is not a port. Give a number from 1024 to 65535: make lab PORT=8889" % text
    port = int(text)
    if is_free(port):
        return None
    free = next((p for p in range(port + 1, 65536) if is_free(p)), 8888)
    return (
        "Port %d is taken, perhaps by a JupyterLab that is still open. "
        "Close it or use another port: make lab PORT=%d" % (port, free)
    )


if __name__ == "__main__":
    problem = python_problem() if sys.argv[1] == "python" else port_problem(sys.argv[2])
    if problem:
        sys.exit("error: " + problem)
