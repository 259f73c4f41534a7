"""A real Apache Kafka on this machine, from its Maven jars: for ``wardbeat demo --kafka`` and for the tests.

A hospital runs its own brokers; what stands here is one KRaft node without replicas.
"""

import atexit
import base64
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from types import TracebackType

VERSION = "4.1.1"  # the version that pom.xml names
POM = Path(__file__).with_name("pom.xml")
JARS = Path(".kafka") / f"libs-{VERSION}"
FETCH_S = 300  # 43 MB: seconds on a good line, minutes on a slow one
FORMAT_S = 60  # takes 1 s; a busy laptop has been seen to take ten times as long
START_S = 60  # takes 3 s after a clean stop; after a kill the log is checked first
STOP_S = 20  # a clean stop takes 1 s; longer means that it hangs and is killed

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
# a topic that the broker makes by itself has its own number of partitions, and Faust crashes on that
auto.create.topics.enable=false
# one node has nowhere to put replicas
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
# the default of 50 partitions makes 50 files for a handful of groups
offsets.topic.num.partitions=4
# do not wait 3 s for more workers before the first one may begin
group.initial.rebalance.delay.ms=0
# a node that was killed may only come back when its old session is over: 9 s by default
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=1000
"""

# The kernel kills the broker when the process that started it dies, even while it is stopped by SIGSTOP; and if that
# process died before the call, there is nobody left to wait for. A wrapper, because a hook between fork and exec
# (preexec_fn) can deadlock in a process with threads.
_DIE_WITH_PARENT = """\
import ctypes, os, signal, sys
parent = int(sys.argv[1])
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
if os.getppid() != parent:
    sys.exit("the starter is gone")
os.execvp(sys.argv[2], sys.argv[2:])
"""


class BrokerError(RuntimeError):
    """The broker could not be fetched, formatted or started; says why and quotes the end of its log."""


def fetch_jars(jars: Path = JARS) -> Path:
    """Kafka's jars in ``jars``, fetched with Maven where they are not there yet.

    Raises:
        BrokerError: there is no Maven, or it failed; quotes the end of what it said.
    """
    jars = jars.absolute()
    if jars.is_dir():
        return jars
    mvn = shutil.which("mvn")
    if mvn is None:
        raise BrokerError(f"Kafka's jars are not in {jars}, and Maven (mvn), which fetches them, is not installed")
    jars.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fetch-", dir=jars.parent) as scratch:
        libs = Path(scratch) / "libs"
        command = [mvn, "-q", "-B", "-f", str(POM), "dependency:copy-dependencies"]
        command += [f"-DoutputDirectory={libs}", "-DincludeScope=runtime"]
        _run(command, FETCH_S, "Maven could not fetch Kafka's jars")
        try:
            libs.rename(jars)
        except OSError as error:
            if not jars.is_dir():  # otherwise another process was faster, with the same jars
                raise BrokerError(f"cannot put Kafka's jars into {jars}: {error}") from error
    return jars


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that are still closing do not count
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _run(command: list[str], timeout_s: float, failure: str) -> None:
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout_s, text=True, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise BrokerError(f"{failure}: not done after {timeout_s} s") from error
    if done.returncode:
        raise BrokerError(f"{failure}: exit code {done.returncode}\n{done.stdout[-2000:]}")


class KafkaServer:
    """One Kafka node that lives in ``directory`` and dies with the thread that starts it: start it from one that stays.

    Started again in the same directory it has kept everything. Use it as a context manager, or ``start`` and ``stop``.

    Args:
        directory: where its data, configuration and log stand; created where missing.
        port: TCP port on 127.0.0.1; 0 takes a free one, and keeps it over restarts.
        jars: where Kafka's jars stand or are to be put.
        heap_mb: memory for the JVM's heap.
    """

    def __init__(self, directory: Path, port: int = 0, *, jars: Path = JARS, heap_mb: int = 512) -> None:
        self.directory = directory.absolute()
        self.port = port or free_port()
        self.log = self.directory / "broker.log"
        self._controller = free_port()
        self.jars = jars
        self._heap_mb = heap_mb
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """``host:port``, as clients want it."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Process id of the running broker. Raises BrokerError where none runs."""
        return self._running().pid

    def start(self) -> "KafkaServer":
        """Start the node and wait until it listens.

        Raises:
            BrokerError: Java or Maven is missing, or the node did not come up; quotes the end of its log.
        """
        if self._process is not None:
            raise BrokerError(f"the broker in {self.directory} is already running, process {self._process.pid}")
        java = shutil.which("java")
        if java is None:
            raise BrokerError("Kafka needs Java 17 or newer, and java is not installed")
        classpath = f"{fetch_jars(self.jars)}/*"
        if not _is_free(self.port):
            raise BrokerError(f"port {self.port} on 127.0.0.1 is taken: another broker, or another program")
        self.directory.mkdir(parents=True, exist_ok=True)
        properties = self.directory / "server.properties"
        data = self.directory / "data"
        properties.write_text(_PROPERTIES.format(port=self.port, controller=self._controller, data=data))
        if not (data / "meta.properties").exists():
            cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
            tool = [java, "-XX:TieredStopAtLevel=1", "-cp", classpath, "kafka.tools.StorageTool", "format"]
            # With "=": one id in 64 begins with a dash and would be read as an option.
            tool += ["--standalone", f"--cluster-id={cluster}", "-c", str(properties)]
            _run(tool, FORMAT_S, f"Kafka could not format its storage in {data}")
        command = [java, f"-Xmx{self._heap_mb}m", "-XX:+UseSerialGC"]  # G1's threads only cost on a small machine
        command += ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true"]
        command += ["-cp", classpath, "kafka.Kafka", str(properties)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _DIE_WITH_PARENT, str(os.getpid()), *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us: we stop the broker after those who still write to it
            )
        atexit.register(self.kill)
        self._wait_until_it_listens()
        return self

    def stop(self) -> None:
        """Stop the node cleanly; kill it if that takes too long. Does nothing where none runs."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._forget()

    def kill(self) -> None:
        """Kill the node as a power cut would. Does nothing where none runs."""
        if self._process is not None:
            self._process.kill()
            self._forget()

    def restart(self) -> None:
        """Stop the node cleanly and start it again on the same port, with what it kept."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Stop the node's clock (SIGSTOP): connections stay open, and nothing answers once this returns."""
        process = self._running()
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)  # its threads stop one after another, some after an answer more

    def thaw(self) -> None:
        """Let a frozen node go on."""
        self._running().send_signal(signal.SIGCONT)

    def __enter__(self) -> "KafkaServer":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise BrokerError(f"no broker runs in {self.directory}")
        return self._process

    def _forget(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.wait()
        atexit.unregister(self.kill)

    def _wait_until_it_listens(self) -> None:
        process = self._running()
        until = time.monotonic() + START_S
        while True:
            if process.poll() is not None:
                self._forget()
                raise BrokerError(f"Kafka ended with exit code {process.returncode} while starting\n{self._log_tail()}")
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                if time.monotonic() > until:
                    self.kill()
                    raise BrokerError(
                        f"Kafka does not listen on port {self.port} after {START_S} s\n{self._log_tail()}"
                    ) from None
            time.sleep(0.05)

    def _log_tail(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]


if __name__ == "__main__":
    try:
        print(f"Kafka's jars are in {fetch_jars()}")
    except BrokerError as failure:
        sys.exit(str(failure))
