"""What the demo stands on: a folder, free ports, processes that never outlive it, HTTP calls."""
import ctypes
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

STOP_SECONDS = 15
PR_SET_PDEATHSIG = 1


class DemoError(Exception):
    """Something did not happen; the message says what and where to look."""


def free_ports(count):
    """Loopback ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    for item in sockets:
        item.bind(("127.0.0.1", 0))
    ports = [item.getsockname()[1] for item in sockets]
    for item in sockets:
        item.close()
    return ports


def fetch(url, method="GET", body=None, headers=None, timeout=10):
    """(status, text); status 0 when nobody answered."""
    request = urllib.request.Request(url, method=method, data=body, headers=headers or {})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=timeout) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
    except OSError:
        return 0, ""


def fetch_json(url):
    """The decoded answer, or None when there is none (yet)."""
    status, text = fetch(url)
    return json.loads(text) if status == 200 else None


class Stage:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "logs").mkdir(parents=True)
        self._processes = {}

    def start(self, name, command):
        """Starts a program; what it prints goes to logs/NAME.log."""
        parent = os.getpid()

        def die_with_parent():
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)

        with open(self.log_of(name), "wb") as log:
            try:
                self._processes[name] = subprocess.Popen(
                    [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log,
                    stderr=log, cwd=self.folder, preexec_fn=die_with_parent,
                    start_new_session=True)  # Ctrl-C is for us alone: we stop them in order.
            except OSError as error:
                raise DemoError(f"cannot start {name}: {error}") from None

    def log_of(self, name):
        return self.folder / "logs" / f"{name}.log"

    def check_alive(self):
        for name, process in self._processes.items():
            if process.poll() is not None:
                tail = self.log_of(name).read_text(errors="replace").splitlines()[-5:]
                raise DemoError("\n    ".join(
                    [f"{name} ended with {process.returncode}; {self.log_of(name)} ends with:",
                     *tail]))

    def wait_for(self, what, seconds, probe, interval=0.2):
        """The first true answer of `probe`; DemoError when there is none in time."""
        deadline = time.monotonic() + seconds
        while True:
            self.check_alive()
            if answer := probe():
                return answer
            if time.monotonic() > deadline:
                raise DemoError(f"{what}: did not happen within {seconds} s "
                                f"(logs are in {self.folder / 'logs'})")
            time.sleep(interval)

    def wait_for_url(self, name, url, seconds=30):
        self.wait_for(f"{name} answers on {url}", seconds, lambda: fetch(url)[0] == 200)

    def stop(self, *names):
        """Asks these to end, in this order, and makes them if they do not."""
        for name in names:
            process = self._processes.pop(name, None)
            if process is None or process.poll() is not None:
                continue
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def stop_all(self):
        self.stop(*reversed(list(self._processes)))


class Terminal:
    """Timed lines; colours only where a person is looking."""

    def __init__(self):
        self._started = time.monotonic()
        self._colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    def _paint(self, code, text):
        return f"\033[{code}m{text}\033[0m" if self._colours else text

    def title(self, text):
        print(f"\n{self._paint('1', text)}\n", flush=True)

    def step(self, text, colour=""):
        seconds = f"{time.monotonic() - self._started:6.1f} s"
        print(f"{self._paint('2', seconds)}  {self._paint(colour, text) if colour else text}",
              flush=True)

    def good(self, text):
        self.step(text, "32")

    def bad(self, text):
        self.step(text, "31")

    def more(self, *lines):
        for line in lines:
            colour = {"+": "32", "-": "31"}.get(line.strip()[:1], "")
            print(" " * 10 + (self._paint(colour, line) if colour else line), flush=True)

    def elapsed(self):
        return time.monotonic() - self._started
