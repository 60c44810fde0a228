"""The guard: a small parent process that replaces a server whose loop stands still.

The server (the worker) writes a beat into a pipe from its loop. When no beat has come for the time-out, the guard kills
it with SIGKILL, whatever holds it (an endless loop, SIGSTOP, a call into C that does not return), and starts the next
one at once. The kernel then resets the dead worker's connections, so clients that wait move on within about a second;
and because the worker owns the listening socket, new connections are refused in between instead of queueing behind
nobody.

This file is run as a script (`python -I -S guard.py COMMAND...`) and imports next to nothing: its process must stay at
a few MiB and must have nothing in it that can hang. What the worker does with its end is in registry.guarded.

Lines that the worker writes: `beat`, `timeout MS`, `keep TEXT` (handed to the next worker), `ending` (no more beats).
The worker finds its ends of the pipes in HBEACON_GUARD_LINK: `beat fd|life fd|guard pid|restarts|wall ms|reason|kept`.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time

LINK_VARIABLE = "HBEACON_GUARD_LINK"
DEFAULT_TIMEOUT_MS = 1000
"""Until the worker has said what `hbeacon.guard.timeout_ms` is."""
START_TIMEOUT_MS = 15_000
"""From the start of a worker to its first beat: imports on a cold disk take seconds."""
BEATS_PER_TIMEOUT = 5
STARVED_TIMES_MAX = 2
"""A worker that waits for a processor gets up to this many time-outs more: killing it would make the machine busier."""
ENDING_TIMEOUT_MS = 5000
"""From a worker's last beat to its end: the interpreter takes itself apart, on a busy machine slowly."""
STACKS_MS = 30
"""A hung worker gets this long to write its threads' stacks before SIGKILL."""
KILLED_MS = 10_000
"""A killed process ends as soon as the kernel lets it."""
SHORT_LIFE_MS = 5000
"""A worker that lived shorter than this counts as a failed start, and the next one has to wait."""
BACK_OFF_MS, BACK_OFF_MS_MAX = 100, 5000
LINE_BYTES_MAX = 4096
SAME_WISH_MS = 200
"""A second SIGTERM within this long is the first one told twice; a later one means now."""

STOPPED, BAD_SETTING, CANNOT_LISTEN, REFUSED = 0, 2, 3, 4
FINAL_CODES = (STOPPED, BAD_SETTING, CANNOT_LISTEN, REFUSED)
"""Exit codes that another start would only repeat: the guard ends with the same."""
UNGUARDED_CODE = 75
"""The worker found `hbeacon.guard` off in its files: run it again in the guard's place."""

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
FORWARDED = (signal.SIGHUP, signal.SIGQUIT)
STACKS_SIGNAL = signal.SIGUSR2
"""Has a hung worker write its stacks. Reading those of threads that run may crash it, so nobody else sends it."""


class Silence:
    """How long one worker has said nothing, and whether that is too long. Fed by whoever reads its pipe."""

    def __init__(self, pid: int, timeout_ms: int = DEFAULT_TIMEOUT_MS) -> None:
        self.pid = pid
        self.timeout_ms = timeout_ms
        self.has_beaten = False
        self.is_ending = False
        self.silent_ms = 0.0
        self.starved_ms_before = 0.0
        """What `starved_ms` was at the last beat."""

    @property
    def tick_ms(self) -> int:
        """How often to look."""
        return max(1, self.timeout_ms // BEATS_PER_TIMEOUT)

    def passed(self, elapsed_ms: float) -> None:
        """Time without a beat.

        A machine that slept, a frozen container or a busy one stops us as well as the worker: of such a gap only two
        ticks count, so that the worker gets the rest of its time to beat.
        """
        self.silent_ms += min(elapsed_ms, 2 * self.tick_ms)

    def take(self, line: bytes) -> bool:
        """A line of the worker's; whether it was a beat."""
        word, _, rest = line.partition(b" ")
        if word == b"beat":
            self.has_beaten = True
            return True
        if word == b"ending":
            self.is_ending = True
        elif word == b"timeout" and rest.isdigit():
            self.timeout_ms = max(10, int(rest))
        return False

    def heard(self) -> None:
        """One or more beats were taken: from here on it is silent again."""
        self.silent_ms = 0.0
        self.starved_ms_before = starved_ms(self.pid)

    def is_too_long(self) -> bool:
        """Whether the worker hangs. Time in which it wanted a processor and got none is not its silence."""
        if self.is_ending:
            silence_ms_max = ENDING_TIMEOUT_MS
        else:
            silence_ms_max = self.timeout_ms if self.has_beaten else START_TIMEOUT_MS
        if self.silent_ms <= silence_ms_max:
            return False
        starved_since_ms = starved_ms(self.pid) - self.starved_ms_before
        return self.silent_ms - min(starved_since_ms, STARVED_TIMES_MAX * silence_ms_max) > silence_ms_max


class Guard:
    """Keeps one worker running. Single-threaded; everything happens in `run`."""

    def __init__(self, command: list[str]) -> None:
        self.command = command
        self.silence = Silence(0)
        self.kept = ""
        """What the last worker asked to keep for the next: real ports, the version it served."""
        self.restarts = 0
        self.reason = ""
        self.restart_wall_ms = 0
        self.failed_starts = 0
        self.stopping = False
        self.told_ms = 0.0
        self.pid = 0
        self.beats_fd = -1
        self.life_fd = -1
        self.started_ms = 0.0
        self.pending = b""
        self.wake_fd, wake_write_fd = os.pipe()
        os.set_blocking(self.wake_fd, False)
        os.set_blocking(wake_write_fd, False)
        signal.set_wakeup_fd(wake_write_fd, warn_on_full_buffer=False)
        for number in (*STOP_SIGNALS, *FORWARDED, signal.SIGCHLD):
            signal.signal(number, lambda _number, _frame: None)

    def run(self) -> int:
        """Watch workers until one ends for good; gives the exit code."""
        self.start()
        last_ms = monotonic_ms()
        while True:
            self.wait(self.silence.tick_ms)
            now_ms = monotonic_ms()
            self.silence.passed(now_ms - last_ms)
            last_ms = now_ms
            if self.read_beats():
                self.silence.heard()
            status = self.reaped()
            if status is None and self.silence.is_too_long():
                status = self.kill_hung()
            if status is None:
                continue
            code = self.ended(status)
            if code is not None:
                return code
            last_ms = monotonic_ms()

    def start(self) -> None:
        """Start a worker with its ends of two pipes: one for beats, one that closes when the guard ends."""
        self.beats_fd, beat_fd = os.pipe()
        worker_life_fd, self.life_fd = os.pipe()
        os.set_blocking(self.beats_fd, False)
        for fd in (beat_fd, worker_life_fd):
            os.set_inheritable(fd, True)
        fields = (beat_fd, worker_life_fd, os.getpid(), self.restarts, self.restart_wall_ms, self.reason, self.kept)
        environ = {**os.environ, LINK_VARIABLE: "|".join(map(str, fields))}
        # A group of its own: Ctrl-C in a terminal reaches the guard alone, which passes it on once.
        self.pid = os.posix_spawnp(self.command[0], self.command, environ, setpgroup=0)
        os.close(beat_fd)
        os.close(worker_life_fd)
        self.silence = Silence(self.pid, self.silence.timeout_ms)
        self.pending = b""
        self.started_ms = monotonic_ms()

    def wait(self, timeout_ms: int) -> None:
        """Sleep until a beat, a signal or the time-out; pass signals on."""
        poll = select.poll()
        poll.register(self.wake_fd, select.POLLIN)
        if self.beats_fd >= 0:
            poll.register(self.beats_fd, select.POLLIN)
        poll.poll(timeout_ms)
        try:
            numbers = os.read(self.wake_fd, 256)
        except BlockingIOError:
            return
        for number in numbers:
            if number in STOP_SIGNALS:
                # timeout(1) and some shells signal the process and its group: the same wish, told twice in one moment
                if not self.stopping or monotonic_ms() - self.told_ms > SAME_WISH_MS:
                    self.send(signal.SIGTERM)
                self.stopping = True
                self.told_ms = monotonic_ms()
            elif number in FORWARDED:
                self.send(number)

    def send(self, number: int) -> None:
        """Signal the worker; one that has just ended is not an error."""
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def read_beats(self) -> bool:
        """Take what the worker has written; True when it beat."""
        if self.beats_fd < 0:
            return False
        try:
            data = os.read(self.beats_fd, 65536)
        except BlockingIOError:
            return False
        if not data:  # the worker has closed its end: it has ended, or is about to
            os.close(self.beats_fd)
            self.beats_fd = -1
            return False
        *lines, self.pending = (self.pending + data).split(b"\n")
        self.pending = self.pending[-LINE_BYTES_MAX:]
        beaten = False
        for line in lines:
            word, _, rest = line.partition(b" ")
            if word == b"keep":
                self.kept = rest[:LINE_BYTES_MAX].decode("ascii", "replace")
            else:
                beaten |= self.silence.take(line)
        return beaten

    def reaped(self) -> int | None:
        """The wait status of a worker that has ended by itself."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return status if pid else None

    def kill_hung(self) -> int | None:
        """End a silent worker: first its stacks for the log, then SIGKILL."""
        silent_ms = self.silence.silent_ms
        if self.silence.has_beaten:
            log("WARN", f"worker {self.pid} has been silent for {silent_ms:.0f} ms: killing it")
            self.reason = f"silent for {silent_ms:.0f} ms"
            self.send(STACKS_SIGNAL)
            time.sleep(STACKS_MS / 1000)
        else:
            log("WARN", f"worker {self.pid} did not start within {START_TIMEOUT_MS} ms: killing it")
            self.reason = "did not start"
        self.send(signal.SIGKILL)
        deadline_ms = monotonic_ms() + KILLED_MS
        while monotonic_ms() < deadline_ms:
            status = self.reaped()
            if status is not None:
                return status
            time.sleep(0.001)
        log("ERROR", f"worker {self.pid} does not end although it was killed: still waiting")
        self.silence.silent_ms = 0.0
        return None

    def ended(self, status: int) -> int | None:
        """Decide after the end of a worker: the guard's exit code, or None when the next one has been started."""
        self.read_beats()  # what it still asked to keep
        for fd in (self.beats_fd, self.life_fd):
            if fd >= 0:
                os.close(fd)
        self.beats_fd = self.life_fd = -1
        pid, self.pid = self.pid, 0
        killed_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 1
        if code == UNGUARDED_CODE:
            os.execvpe(self.command[0], self.command, {**os.environ, "HBEACON_GUARD": "off"})
        if self.stopping:
            return STOPPED if killed_by == signal.SIGTERM else code
        if not killed_by and code in FINAL_CODES:
            return code
        lived_ms = monotonic_ms() - self.started_ms
        if not self.reason:
            self.reason = f"ended by signal {killed_by}" if killed_by else f"ended with exit code {code}"
        delay_ms = self.delay_ms(lived_ms)
        self.restarts += 1
        self.restart_wall_ms = int(time.time() * 1000)
        log("WARN", f"worker {pid} {self.reason} after {lived_ms / 1000:.1f} s: next one in {delay_ms} ms")
        if delay_ms and self.stopped_while_waiting(delay_ms):
            return STOPPED
        self.start()
        self.reason = ""  # told to the worker that has just been started
        return None

    def delay_ms(self, lived_ms: float) -> int:
        """Nothing after a life of some length, and after the first short one; then twice as long each time."""
        if self.silence.has_beaten and lived_ms >= SHORT_LIFE_MS:
            self.failed_starts = 0
            return 0
        self.failed_starts += 1
        if self.failed_starts == 1:
            return 0
        return min(BACK_OFF_MS << min(self.failed_starts - 2, 10), BACK_OFF_MS_MAX)

    def stopped_while_waiting(self, delay_ms: int) -> bool:
        """Wait before the next start; True when told to stop meanwhile."""
        deadline_ms = monotonic_ms() + delay_ms
        while not self.stopping and (left_ms := deadline_ms - monotonic_ms()) > 0:
            self.wait(max(1, int(left_ms)))
        return self.stopping


def starved_ms(pid: int) -> float:
    """How long a process's main thread has waited for a processor in its life; 0 where the kernel does not tell.

    Source: Documentation/scheduler/sched-stats.rst, /proc/<pid>/schedstat: time run, time waited (ns), slices.
    """
    try:
        fd = os.open(f"/proc/{pid}/schedstat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0.0
    try:
        return int(os.read(fd, 100).split()[1]) / 1e6
    except (OSError, ValueError, IndexError):
        return 0.0
    finally:
        os.close(fd)


def monotonic_ms() -> float:
    """Milliseconds that do not count while the machine is suspended."""
    return time.monotonic() * 1000.0


def log(level: str, message: str) -> None:
    """One line as the worker's log has it, written by one system call."""
    now_s = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(now_s))
    line = f"{stamp},{int(now_s * 1000) % 1000:03d} {level:<5} [guard] registry.guard: {message}\n"
    with contextlib.suppress(OSError):  # a log nobody reads must not stop the guard
        os.write(2, line.encode())


def become_guard(command: list[str]) -> None:
    """Replace this process by a guard that runs `command`; the process id stays. Does not return."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-I", "-S", __file__, *command])


if __name__ == "__main__":
    sys.exit(Guard(sys.argv[1:]).run())
