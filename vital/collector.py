"""Python's garbage collector, kept from holding up every stream: it stops the process while it looks."""

from __future__ import annotations

import gc

_THRESHOLDS = (20_000, 5, 5)
"""A look at what is young after so many new objects, at all of it after 25 of those: by default 700 and 100.

Reference counts free nearly everything here; what they cannot are the cycles of connections that have ended,
60 kB each: of 1,500 that had lasted before all is looked at, 90 MB.
"""


def settle() -> None:
    """Let the collector pass over all that the start has made, for good, and look less often at the rest.

    Django and what it imports are 140,000 objects that stay until the process ends. Looking through them
    held up the event loop for 110 ms every few seconds with 200 viewers; without them, for a tenth of that.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
