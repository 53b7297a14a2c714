"""One target under atheris until it fails or ends: `python -m tests.fuzz.run TARGET [OPTIONS] CORPUS`.

The options are libFuzzer's. It keeps the input that failed as crash-..., timeout-... or oom-... in
`-artifact_prefix=DIR/`.
"""

from __future__ import annotations

import sys
import time

import atheris

with atheris.instrument_imports(include=["streaming"]):
    from tests.fuzz.targets import MAX_CPU_S, MAX_INPUT_BYTES, MAX_PROCESS_MIB, TARGETS


def main(name: str, options: list[str]) -> None:
    """Fuzz; does not return."""
    target = TARGETS[name]

    def one(data: bytes) -> None:
        began = time.thread_time()
        target.accepts(data)
        spent_s = time.thread_time() - began
        if spent_s > MAX_CPU_S:
            raise TimeoutError(f"{spent_s:.1f} s of CPU for {len(data)} bytes")

    bounds = [f"-max_len={MAX_INPUT_BYTES}", f"-rss_limit_mb={MAX_PROCESS_MIB}", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *bounds, *options], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
