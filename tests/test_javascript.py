"""The page's own tests, `node --test`, one case per file: with the machine's node, else playwright's.

And where both sides decode the same bytes, whether they say the same.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from streaming.ecg.codec import decode
from streaming.exceptions import ProtocolError
from tests.conftest import unavailable
from tests.make_ecg1_vectors import crc
from tests.servers import ROOT

FILES = sorted((ROOT / "tests" / "js").rglob("*.test.*js"))
OLDEST = 18
"""The first node whose test runner is part of it."""


@pytest.fixture(scope="session")
def node() -> str:
    """A node that has a test runner."""
    if (found := shutil.which("node")) and major(found) >= OLDEST:
        return found
    try:
        import playwright
    except ImportError:
        unavailable(f"no node >= {OLDEST}, and no playwright, which ships one")
    return str(Path(playwright.__file__).parent / "driver" / "node")


def major(node: str) -> int:
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    return int(version.lstrip("v").partition(".")[0])


def test_there_are_tests() -> None:
    assert FILES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_node(node: str, path: Path) -> None:
    # Inherited, NODE_TEST_CONTEXT would make it report to a parent that is not there.
    environment = {name: value for name, value in os.environ.items() if name != "NODE_TEST_CONTEXT"}
    done = subprocess.run(
        [node, "--test", "--test-reporter=spec", str(path)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "pass 0" not in done.stdout, "no test ran"


def test_python_and_javascript_say_the_same_of_mutated_ecg1(node: str) -> None:
    valid = json.loads((ROOT / "tests" / "vectors" / "ecg1.json").read_text())["valid"]
    rng = random.Random(14)  # a test's
    payloads = [mutated(bytes.fromhex(valid[at % len(valid)]["hex"]), rng) for at in range(3000)]
    done = subprocess.run(
        [node, str(ROOT / "tests" / "js" / "ecg1-verdicts.mjs")],
        input=json.dumps([payload.hex() for payload in payloads]),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    expected = [verdict(payload) for payload in payloads]
    assert json.loads(done.stdout) == expected
    accepted = len(expected) - expected.count(None)
    assert min(accepted, expected.count(None)) > 300, "nothing to compare"


def mutated(payload: bytes, rng: random.Random) -> bytes:
    """With a few bits flipped, and sometimes longer or shorter; half of them as long as before."""
    changed = bytearray(payload)
    for _ in range(rng.randint(1, 3)):
        # Of the first byte only the flags: another codec is another test's.
        bit = rng.randrange(4, 8 * len(changed))
        changed[bit >> 3] ^= 0x80 >> (bit & 7)
    match rng.randrange(4):
        case 0:
            del changed[rng.randrange(1, len(changed)) :]
        case 1:
            changed += rng.randbytes(rng.randint(1, 3))
    return bytes(changed)


def verdict(payload: bytes) -> int | None:
    """The CRC-32 of the samples; None for what is refused."""
    try:
        return crc(decode(payload))
    except ProtocolError:
        return None
