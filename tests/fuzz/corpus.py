"""Where fuzzing begins: the vectors, as inputs of each target, and words that texts are made of.

`python -m tests.fuzz.corpus DIR` writes a folder of files for each target, the same ones every time.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from streaming.compression import CompressionHandler
from streaming.core.deflate import deflate
from streaming.core.frames import FrameFlag, FrameKind, encode_frame, encode_json_frame, pack_json_frame
from streaming.core.framing import encode_bundle
from streaming.core.strict_json import MAX_SERVER_TEXT_BYTES, to_json
from streaming.ecg.codec import decode, read_header
from streaming.exceptions import ProtocolError
from tests.fuzz.targets import ALIASES, MAX_INPUT_BYTES, TARGETS

VECTORS = Path(__file__).parent.parent / "vectors"
REGRESSIONS = Path(__file__).parent / "regressions"
"""What was once not refused as it should be: REGRESSIONS / target / any name."""


def main(directory: Path) -> None:
    """Write the seeds of every target."""
    for name in TARGETS:
        write(name, directory / name)


def write(name: str, directory: Path) -> None:
    """Write the seeds of one target as files by number, and beside the folder its dictionary, NAME.dict."""
    directory.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(name)):
        (directory / f"seed-{number:04}").write_bytes(seed)
    (directory.parent / f"{name}.dict").write_text(dictionary())


def seeds(name: str) -> list[bytes]:
    """Inputs of a target in a fixed order, without repeats."""
    made: dict[bytes, None] = dict.fromkeys(_SEEDS[name]())
    made |= dict.fromkeys(path.read_bytes() for path in sorted((REGRESSIONS / name).glob("*")))
    return list(made)


def bombs(name: str) -> list[bytes]:
    """Inputs that take as much memory as any: to be replayed, but no seeds, for a mutant takes 0.3 s."""
    if name == "decompress":
        plain = _lists(_MOST_INFLATED * (MAX_INPUT_BYTES - 256))
        told = {"algorithm": "deflate", "kind": "json", "original_size": len(plain)}
        return [_with_metadata(_deflated(plain), told)]
    if name in ("bundle", "sdk"):
        plain = b'{"type":"alarm","a":' + _lists(MAX_SERVER_TEXT_BYTES - 100) + b"}"
        return [encode_bundle([encode_frame(FrameKind.JSON, 0, 0, _deflated(plain), FrameFlag.DEFLATED)])]
    return []


def dictionary() -> str:
    """Names of fields and short values of the protocol's texts, as libFuzzer reads them."""
    words: set[str] = set()
    for text in _texts("client", "server"):
        _collect(json.loads(text), words)
    escaped = (word.replace("\\", "\\\\").replace('"', '\\"') for word in sorted(words))
    return "".join(f'"{word}"\n' for word in escaped)


def _vectors(name: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = json.loads((VECTORS / f"{name}.json").read_text())
    return found


def _payloads() -> Iterator[bytes]:
    for name in ("waveforms", "ecg1"):
        for cases in _vectors(name).values():
            yield from (bytes.fromhex(case["hex"]) for case in cases)


def _bundles() -> Iterator[bytes]:
    for cases in _vectors("frames").values():
        yield from (bytes.fromhex(case["hex"]) for case in cases)


def _lists(size_bytes: int) -> bytes:
    """A list of empty lists, as JSON of up to so many bytes: what takes most memory for its length."""
    return b"[" + b",".join([b"[]"] * ((size_bytes - 1) // 3)) + b"]"


def _deflated(plain: bytes) -> bytes:
    return deflate(plain, level=9, window_bits=15, mem_level=9)


def _texts(*parts: str) -> Iterator[str]:
    vectors = _vectors("messages")
    for part in parts or tuple(vectors):
        yield from (case["text"] for case in vectors[part])


def _encoded_texts() -> Iterator[bytes]:
    return (text.encode() for text in _texts())


def _to_the_sdk() -> Iterator[bytes]:
    yield from _encoded_texts()
    yield from _bundles()
    for text in filter(None, _texts()):
        yield encode_bundle([encode_json_frame(text)])
        yield encode_bundle([pack_json_frame(text)])
    for payload in filter(None, _payloads()):
        yield encode_bundle([encode_frame(FrameKind.WAVEFORM, _alias(payload), 360, payload)])


def _alias(payload: bytes) -> int:
    """One of as many leads; any, where there is none."""
    try:
        leads = read_header(payload).leads
    except ProtocolError:
        leads = 0
    return next((alias for alias, known in ALIASES.items() if known == leads), 0)


def _compressed() -> Iterator[bytes]:
    values: list[Any] = [b"", b"\x00" * 3000, "short", "long " * 400, {"a": [1, 2.5, None]}, list(range(900))]
    values += [
        np.arange(12, dtype=dtype).reshape(3, 4) for dtype in ("u1", "<i2", "<i4", "<f4", "<f8", "<c8")
    ]
    values += [np.zeros((2, 4097), np.int16), np.zeros((17, 5), np.int32), np.zeros((2, 3, 4), np.int16)]
    values += [np.zeros((0, 3), np.float32), np.array([4], np.float32), np.arange(900, dtype=np.int64)]
    handler = CompressionHandler()
    for value in values:
        body, metadata = handler.compress(value)
        yield _with_metadata(body, {name: fact for name, fact in metadata.items() if name in _TOLD})
    for case in _vectors("ecg1")["valid"]:
        payload = bytes.fromhex(case["hex"])
        samples = decode(payload)
        told = {"algorithm": "ecg1", "kind": "array", "original_size": samples.nbytes}
        yield _with_metadata(payload, told | {"dtype": samples.dtype.str, "shape": list(samples.shape)})


def _with_metadata(body: bytes, metadata: dict[str, Any]) -> bytes:
    return to_json(metadata).encode() + b"\n" + body


def _collect(value: Any, words: set[str]) -> None:
    if isinstance(value, dict):
        words.update(f"{json.dumps(name)}:" for name in value)
        for each in value.values():
            _collect(each, words)
    elif isinstance(value, list):
        for each in value:
            _collect(each, words)
    elif isinstance(value, str) and len(value) <= _LONGEST_WORD:
        words.add(json.dumps(value))


_LONGEST_WORD = 24
_MOST_INFLATED = 1028
"""Bytes out of one byte of deflate, at most: 258 for each two bits."""
_TOLD = {"algorithm", "kind", "dtype", "shape", "original_size"}
"""What `decompress` reads; what else `compress` tells differs from run to run."""
_SEEDS = {
    "waveform": _payloads,
    "bundle": _bundles,
    "viewer_message": _encoded_texts,
    "device_message": _encoded_texts,
    "server_messages": _encoded_texts,
    "decompress": _compressed,
    "sdk": _to_the_sdk,
}

if __name__ == "__main__":
    main(Path(sys.argv[1]))
