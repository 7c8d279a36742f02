# SPDX-License-Identifier: Apache-2.0

# A fork server is a Python process that has imported what a program needs, and
# forks for each run of it: the child is in the state of a process that has
# just imported, and does from there on what the program does. Package forkserver
# writes this to a folder as sitecustomize.py, which Python imports at its start
# (https://docs.python.org/3/library/site.html).
import atexit
import gc
import importlib
import json
import os
import selectors
import socket
import sys

# Imports may change the environment, and children have to see that.
before = dict(os.environ)


def nurse(path, work):
    """Answers at a socket for as long as standard input is open.

    A request has arguments, environment and folder as a line of JSON, and three
    files with its first byte. In a child nurse returns what work does; its
    status goes to who has asked.
    """
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    ready = selectors.DefaultSelector()
    ready.register(listener, selectors.EVENT_READ)
    ready.register(0, selectors.EVENT_READ)
    print("ready", flush=True)
    while True:
        for key, _ in ready.select():
            if key.fileobj == 0:
                os._exit(0)
            if key.fileobj is not listener:
                finish(ready, key)
                continue
            asking, _ = listener.accept()
            request, files = receive(asking)
            told, tell = os.pipe()
            gc.freeze()  # what is imported is no garbage
            child = os.fork()
            if child == 0:
                for there in listener, ready, asking:
                    there.close()
                become(request, files)
                atexit.register(report, tell)
                return work()
            for there in *files, tell:
                os.close(there)
            ready.register(os.pidfd_open(child), selectors.EVENT_READ, (child, asking, told))


def receive(asking):
    text, files = b"", []
    while not text.endswith(b"\n"):
        more, sent, _, _ = socket.recv_fds(asking, 1 << 16, 3)
        if not more:
            break
        text, files = text + more, files + sent
    return json.loads(text), files


def become(request, files):
    """Makes this process what the request describes."""
    changed = {k: v for k, v in os.environ.items() if before.get(k) != v}
    os.environ.clear()
    os.environ.update({**request["environment"], **changed})
    os.chdir(request["folder"])
    sys.argv[1:] = request["arguments"]
    for number, there in enumerate(files):
        os.dup2(there, number)
        os.close(there)


def report(tell):
    """Says what was imported from files, which the next child need not."""
    names = [n for n, m in list(sys.modules.items()) if os.path.isfile(getattr(m, "__file__", None) or "")]
    os.set_blocking(tell, False)
    os.write(tell, "\n".join(names).encode())


def finish(ready, key):
    child, asking, told = key.data
    ready.unregister(key.fileobj)
    os.close(key.fileobj)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with asking:
        asking.sendall(b"%d\n" % (status if status >= 0 else 128 - status))
    with os.fdopen(told) as names:
        for name in names.read().split("\n"):
            if name and name not in sys.modules:
                try:
                    importlib.import_module(name)
                except Exception:
                    pass  # the child that needs it says why


def aws(path):
    """Makes this process, which is about to run the AWS CLI, a fork server of it."""
    try:
        import awscli.clidriver as driver
    except ImportError:
        return
    main = driver.main
    driver.main = lambda: nurse(path, main)


def script():
    """Runs what is on standard input, as Python does without arguments."""
    import types
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    main.__dict__["__builtins__"] = __builtins__
    exec(compile(sys.stdin.buffer.read(), "<stdin>", "exec"), main.__dict__)


if hasattr(os, "pidfd_open") and "POSTERN_FORKSERVER_AWS" in os.environ:
    aws(os.environ["POSTERN_FORKSERVER_AWS"])
