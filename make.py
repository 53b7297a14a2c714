#!/usr/bin/env python3
"""Everything that `make` can do, in the standard library alone: `python3 make.py demo` works without make.

It is one script on purpose, long as it is: it runs before anything is installed, by any python3, and can be
read from top to bottom. It keeps to what an old python3 still parses, so that it can say which one is needed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from itertools import chain
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import FrameType
    from typing import NoReturn

ROOT = Path(__file__).resolve().parent
VENV = Path(os.environ.get("VITAL_VENV") or ROOT / ".venv")
PYTHON = str(VENV / "bin" / "python")
LOCKS = ("demo", "test", "check", "fuzz")
"""requirements/<name>.lock; each contains the ones before it."""
READY_DEADLINE_S = 60.0
STOP_DEADLINE_S = 8.0
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class MakeError(Exception):
    """Something that the user can mend; its text says how."""


def main(arguments: Sequence[str]) -> int:
    """Run one command; the exit status is 0 when all of it went well."""
    options = parse(arguments)
    if sys.version_info < (3, 11):
        say(f"VITAL needs Python 3.11 or newer; this is {platform.python_version()} ({sys.executable}).")
        say("Install one, for example `apt install python3.11-venv`, and run `python3.11 make.py demo`.")
        return 2
    try:
        return COMMANDS[options.command](options)
    except MakeError as fault:
        say(str(fault))
        return 2
    except KeyboardInterrupt:
        say("Stopped.")
        return 130


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line; what follows `--` goes to pytest or to the benches as it is."""
    described = "\n".join(f"  {name:<9}{command.__doc__}" for name, command in COMMANDS.items())
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="make.py", description=described, formatter_class=as_written)
    parser.add_argument("command", choices=list(COMMANDS), metavar="command")
    parser.add_argument(
        "--port",
        type=port,
        default=os.environ.get("VITAL_PORT") or "8000",
        help="where the demo listens, else VITAL_PORT, else 8000; with make: `make demo PORT=8080`",
    )
    parser.add_argument("rest", nargs="*", metavar="-- ...", help="for pytest, or the names of benches")
    return parser.parse_args(list(arguments))


def port(text: str) -> int:
    """The number of a port, of `--port` or of VITAL_PORT."""
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, 1 to 65535 (VITAL_PORT is the default)")
    return int(text)


# -- setup


def setup(options: argparse.Namespace) -> int:
    """Make the virtual environment and install what the demo needs."""
    install("demo")
    say(f"Ready: {PYTHON}")
    return 0


def install(lock: str) -> None:
    """Bring the virtual environment to a lock; nothing is done when it is there already."""
    if any(is_installed(name) for name in LOCKS[LOCKS.index(lock) :]):
        return
    make_venv()
    path = ROOT / "requirements" / f"{lock}.lock"
    say(f"Installing {path.relative_to(ROOT)}, each package checked by its hash: a minute or two, this once")
    for name in LOCKS:
        stamp(name).unlink(missing_ok=True)
    pip = [
        PYTHON,
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-input",
        "--progress-bar",
        "off",
    ]
    narrate([*pip, "--require-hashes", "-r", str(path)], len(path.read_text().splitlines()))
    stamp(lock).write_text(digest(lock))


def is_installed(lock: str) -> bool:
    """Whether the virtual environment runs, and holds what the lock says today."""
    return stamp(lock).exists() and stamp(lock).read_text() == digest(lock) and works([PYTHON, "--version"])


def stamp(lock: str) -> Path:
    """The file that says which content of a lock is installed."""
    return VENV / f".{lock}.installed"


def digest(lock: str) -> str:
    """The lock's content and the interpreter it was installed for, as one word."""
    content = (ROOT / "requirements" / f"{lock}.lock").read_bytes()
    return hashlib.sha256(content + platform.python_version().encode()).hexdigest()


def make_venv() -> None:
    """Create the virtual environment; one that is broken, or lacks pip, is made again."""
    if works([PYTHON, "-m", "pip", "--version"]):
        return
    if not works([sys.executable, "-c", "import venv, ensurepip"]):
        raise MakeError(
            "This Python cannot make a virtual environment: its venv or ensurepip module is missing.\n"
            "On Debian and Ubuntu: `apt install python3-venv`. Then run the same command again."
        )
    say(f"Making a virtual environment in {VENV}")
    made = subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], capture_output=True, text=True)
    if made.returncode != 0:
        raise MakeError(f"The virtual environment could not be made:\n{made.stdout}{made.stderr}")


def works(command: Sequence[str]) -> bool:
    """Whether a command can be run and succeeds."""
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


def narrate(command: Sequence[str], lines: int) -> None:
    """Run pip on a lock of so many lines and show how far it is; when it fails, show what it said."""
    output: list[str] = []
    quarter = 0
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as pip:
        assert pip.stdout is not None
        for line in pip.stdout:
            output.append(line)
            at_line = re.search(r"\(line (\d+)\)", line)  # pip names the lock's line of each package
            if at_line:
                percent = 100 * int(at_line[1]) // lines
                progress(f"  {percent} % fetched", in_log=percent // 25 > quarter)
                quarter = percent // 25
            elif line.startswith("Installing collected packages"):
                progress("  unpacking", in_log=True)
    progress("", in_log=False)
    if pip.returncode != 0:
        raise MakeError(f"{''.join(output[-40:])}\npip failed; its last lines say why.")


def progress(text: str, *, in_log: bool) -> None:
    """Overwrite the last line on a terminal; elsewhere, print only what is worth a line in a log."""
    if sys.stdout.isatty():
        sys.stdout.write(f"\r\033[K{text}")
        sys.stdout.flush()
    elif in_log:
        say(text)


# -- demo


def demo(options: argparse.Namespace) -> int:
    """Start Daphne with eight demo patients, after all that it needs, and print where to look."""
    listen_to_signals()
    require_free(options.port)
    install("demo")
    say("Preparing the database")
    manage("migrate", "--verbosity", "0")
    manage("setup_demo")
    logs = Path(os.environ.get("VITAL_VAR_DIR") or ROOT / "var") / "demo"
    logs.mkdir(parents=True, exist_ok=True)
    address = f"127.0.0.1:{options.port}"
    serve = ["-m", "daphne", "-b", "127.0.0.1", "-p", str(options.port), "vital.asgi:application"]
    crew = Crew(logs)
    try:
        say("Starting the server")
        crew.start("daphne", [PYTHON, *serve], VITAL_LAB=os.environ.get("VITAL_LAB", "1"))
        crew.wait_until_ready(f"http://{address}/readyz", READY_DEADLINE_S)
        crew.start("feed", [PYTHON, "manage.py", "feed_demo", "--url", f"ws://{address}"])
        say(f"\n  VITAL runs at  http://{address}/\n  Logs are in    {logs}\n  Ctrl-C ends it\n")
        crew.wait_for_an_end()
    except KeyboardInterrupt:  # the way it is meant to end
        crew.stop()
        say("Stopped.")
        return 0
    finally:
        crew.stop()


def listen_to_signals() -> None:
    """End as Ctrl-C does on SIGTERM and SIGHUP too; a shell's `&` ignores Ctrl-C for us, `nohup` SIGHUP."""
    ending = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        ending.append(signal.SIGHUP)
    for number in ending:
        signal.signal(number, interrupt)


def interrupt(number: int, frame: FrameType | None) -> None:
    """End as Ctrl-C does, whatever the signal."""
    raise KeyboardInterrupt


def require_free(port: int) -> None:
    """Raise MakeError when the port cannot be listened on."""
    fault = refusal(port)
    if fault is not None:
        others = chain(range(max(port + 1, 1024), 65536), range(8000, 65536))
        other = next(number for number in others if refusal(number) is None)
        raise MakeError(
            f"Port {port} cannot be used: {fault}{holder(port)}.\nEnd what holds it, or take "
            f"another: `make demo PORT={other}`, or `python3 make.py demo --port {other}`."
        )


def refusal(port: int) -> str | None:
    """Why a port cannot be listened on; None when it can."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return error.strerror
    return None


def holder(port: int) -> str:
    """Who listens on a port, as far as this user may know: ', by process 42 (...)', or nothing."""
    try:
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    except OSError:  # not Linux
        return ""
    listening = [row for row in rows if row[3] == "0A" and int(row[1].split(":")[1], 16) == port]
    sockets = {f"socket:[{row[9]}]" for row in listening}
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(descriptor.readlink()) in sockets:
                process = descriptor.parents[1]
                words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                return f", by process {process.name} ({words.strip()[:80]})"
        except OSError:  # it ended while we looked, or is not ours to see
            continue
    return ""


class Crew:
    """The processes of the demo: each in a session of its own, all ended together."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._members: list[tuple[str, subprocess.Popen[bytes]]] = []

    def start(self, name: str, command: Sequence[str], **variables: str) -> None:
        """Start one; its output goes to <name>.log, and a Ctrl-C at the terminal reaches only us."""
        with self._log(name).open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **variables},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._members.append((name, process))

    def wait_until_ready(self, url: str, timeout_s: float) -> None:
        """Ask until the answer is 200. Raises MakeError when a process ends or the time is over."""
        deadline = time.monotonic() + timeout_s
        while not answers(url):
            self._require_all_alive()
            if time.monotonic() > deadline:
                raise MakeError(f"{url} is not ready after {timeout_s:.0f} s.\n{self._tail('daphne')}")
            time.sleep(0.1)

    def wait_for_an_end(self) -> NoReturn:
        """Wait until a process ends, which it should not: raises MakeError with the end of its log."""
        while True:
            self._require_all_alive()
            time.sleep(0.2)

    def stop(self) -> None:
        """End all, the last started first: SIGTERM, a deadline, SIGKILL."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave half of them running
        for _, process in reversed(self._members):
            signal_group(process, signal.SIGTERM)
        deadline = time.monotonic() + STOP_DEADLINE_S
        for _, process in self._members:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                signal_group(process, signal.SIGKILL)
                process.wait()

    def _require_all_alive(self) -> None:
        for name, process in self._members:
            if process.poll() is not None:
                raise MakeError(f"{name} ended with status {process.returncode}.\n{self._tail(name)}")

    def _tail(self, name: str) -> str:
        lines = self._log(name).read_text(errors="replace").splitlines()[-25:]
        return "\n  ".join([f"The end of {self._log(name)}:", *lines])

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"


def signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    """Signal a process and its children; one that is gone already is no fault."""
    if process.poll() is None:
        os.killpg(process.pid, number)


def answers(url: str) -> bool:
    """Whether a GET is answered by 200 within 5 s; asked directly, as no proxy reaches our loopback."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def manage(*arguments: str) -> None:
    """Run manage.py in the foreground."""
    if subprocess.run([PYTHON, "manage.py", *arguments], cwd=ROOT).returncode != 0:
        raise MakeError(f"`manage.py {' '.join(arguments)}` failed; what it printed says why.")


# -- test, check, bench, docs, nightly, chaos


def test(options: argparse.Namespace) -> int:
    """Run all tests but the nightly ones; what follows `--` goes to pytest."""
    if options.rest:
        return pytest(options.rest)
    pure = pytest(["-n", "2", "--dist", "loadfile", "-m", "not (nightly or server or browser)"])
    # A sample that is a second late expires, rightly: what runs in real time runs with nothing beside it.
    real = pytest(["-m", "(server or browser) and not nightly"])
    if pure:
        say("The first part, without servers and browsers, failed: see above.")
    return pure or real


def nightly(options: argparse.Namespace) -> int:
    """Run the tests that take minutes, the fuzzer among them, then the benches."""
    try:
        install("fuzz")
    except MakeError as fault:
        say(f"{fault}\nWithout the fuzzer: its tests say so.")
    status = pytest(["-m", "nightly", *options.rest])
    options.rest = []
    survived = mutants(options)
    return bench(options) or survived or (0 if status == 5 else status)  # 5: no test is marked nightly


def mutants(options: argparse.Namespace) -> int:
    """Make each of a list of faults, and see a test fail; words after `--` choose among them."""
    install("test")
    return run([PYTHON, "-m", "tests.mutants", *options.rest])


def chaos(options: argparse.Namespace) -> int:
    """Raise 100,000 alarms while servers, Valkey and viewers are killed: none lost, none shown twice."""
    install("test")
    provide_chromium()
    return run([PYTHON, "-m", "tests.chaos", *options.rest], {"PYTHONDONTWRITEBYTECODE": ""})


def pytest(arguments: Sequence[str]) -> int:
    """Install what the tests need, and run them."""
    install("test")
    provide_chromium()
    # Where compiled modules are kept, collecting the tests and starting a server take a third of the time.
    return run([PYTHON, "-m", "pytest", *arguments], {"PYTHONDONTWRITEBYTECODE": ""})


def provide_chromium() -> None:
    """Find a Chromium or try to install playwright's; without one, its tests say why they do not run."""
    if os.environ.get("CHROMIUM") or any(map(shutil.which, BROWSERS)):
        return
    where = (
        "import playwright.sync_api as p\nwith p.sync_playwright() as q: print(q.chromium.executable_path)"
    )
    found = subprocess.run([PYTHON, "-c", where], capture_output=True, text=True).stdout.strip()
    if Path(found).is_file():
        return
    say("No Chromium on this machine: asking playwright for its own")
    try:
        subprocess.run([PYTHON, "-m", "playwright", "install", "chromium"], timeout=600, check=True)
    except (subprocess.SubprocessError, OSError):
        say("It could not be installed. For the browser's tests: `apt install chromium`, or set CHROMIUM.")


def check(options: argparse.Namespace) -> int:
    """Run every static check; all of them run, and a summary says which failed."""
    install("check")
    tools = str(VENV / "bin") + os.sep
    checks = {
        "ruff check": [tools + "ruff", "check"],
        "ruff format": [tools + "ruff", "format", "--check"],
        "mypy": [tools + "mypy", "."],
        "import-linter": [tools + "lint-imports"],
        "bandit": [tools + "bandit", "-q", "-c", "pyproject.toml", "-r", "vital", "monitoring", "streaming"],
        "check --deploy": [PYTHON, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        "makemigrations": [PYTHON, "manage.py", "makemigrations", "--check", "--dry-run"],
    }
    results: dict[str, int | None] = {name: run(command, production()) for name, command in checks.items()}
    results["coverage"] = check_coverage()
    results["tsc"] = check_javascript()
    say("")
    for name, status in results.items():
        say(f"  {name:<16}{'skipped' if status is None else 'FAILED' if status else 'ok'}")
    return 1 if any(results.values()) else 0


def check_coverage() -> int:
    """Whether the tests of the pure core alone take every branch of it."""
    coverage = [PYTHON, "-m", "coverage"]
    with tempfile.TemporaryDirectory(prefix="vital-coverage-") as directory:
        data = {"COVERAGE_FILE": str(Path(directory) / "data")}
        tests = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/core"]
        status = run([*coverage, "run", *tests], data)
        return status or run([*coverage, "report"], data)


def production() -> Mapping[str, str]:
    """The environment of a real deployment, as `check --deploy` should see it."""
    return {
        "VITAL_ALLOWED_HOSTS": "ecg.example.org",
        "VITAL_CSRF_TRUSTED_ORIGINS": "https://ecg.example.org",
        "VITAL_HTTPS": "1",
        "VITAL_SECRET_KEY": os.urandom(64).hex(),
    }


def check_javascript() -> int | None:
    """Check the types of the page's modules; None (skipped) where npm is missing, unless CI is set."""
    if shutil.which("npm") is None:
        say("\ntsc: npm is not installed, so the JavaScript's types go unchecked (`apt install npm`)")
        return 1 if os.environ.get("CI") else None
    wanted = hashlib.sha256((ROOT / "package-lock.json").read_bytes()).hexdigest()
    installed = ROOT / "node_modules" / ".installed"
    if not installed.exists() or installed.read_text() != wanted:
        status = run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        if status != 0:
            return status
        installed.write_text(wanted)
    return run(["node", "node_modules/typescript/bin/tsc", "--project", "tsconfig.json"])


def bench(options: argparse.Namespace) -> int:
    """Run every bench, or those named after `--`."""
    install("test")
    names = options.rest or sorted(path.stem for path in (ROOT / "bench").glob("[!_]*.py"))
    failed = [name for name in names if run([PYTHON, "-m", f"bench.{name}"]) != 0]
    if failed:
        say(f"Failed: {', '.join(failed)}")
    return len(failed)


def docs(options: argparse.Namespace) -> int:
    """Verify the documentation: its links, its programs, and that no setting or message is missing."""
    install("test")
    pages = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests").glob("test_docs*.py"))
    return run([PYTHON, "-m", "pytest", "-q", *pages, "tests/test_readme.py", *options.rest])


def lock(options: argparse.Namespace) -> int:
    """Pin the newest versions that pyproject.toml allows; needs uv."""
    uv = shutil.which("uv") or str(VENV / "bin" / "uv")
    if not works([uv, "--version"]):
        raise MakeError(
            f"uv resolves the locks: `{PYTHON} -m pip install uv`, then run the same command again."
        )
    # No addresses: a lock that names a mirror is of use only beside that mirror.
    flags = "--generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header --quiet"
    resolve = [
        uv,
        "pip",
        "compile",
        "--universal",
        "--python-version",
        "3.11",
        *flags.split(),
        "pyproject.toml",
    ]
    everything = "requirements/fuzz.lock"
    status = run([*resolve, "--upgrade", "--extra", "fuzz", "-o", everything])
    extras = {"server": ["redis", "postgres"], "demo": ["demo"], "test": ["test"], "check": ["check"]}
    for name, wanted in extras.items():
        chosen = [word for extra in wanted for word in ("--extra", extra)]
        status = status or run([*resolve, *chosen, "-c", everything, "-o", f"requirements/{name}.lock"])
    return status


def run(command: Sequence[str], extra: Mapping[str, str] | None = None) -> int:
    """Say what is run, run it in the project's directory, and return its exit status."""
    say("\n$ " + " ".join(command).replace(f"{ROOT}{os.sep}", ""))
    try:
        return subprocess.run(command, cwd=ROOT, env={**os.environ, **(extra or {})}).returncode
    except FileNotFoundError as error:
        say(str(error))
        return 127


def say(text: str) -> None:
    """Print at once: what we start prints too, and the order tells the story."""
    print(text, flush=True)


COMMANDS = {
    "setup": setup,
    "demo": demo,
    "test": test,
    "check": check,
    "bench": bench,
    "docs": docs,
    "nightly": nightly,
    "mutants": mutants,
    "chaos": chaos,
    "lock": lock,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
