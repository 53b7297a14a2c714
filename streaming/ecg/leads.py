"""How the twelve standard leads follow from the heart's dipole and from one another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TWELVE_LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
"""In the order of a printed twelve-lead ECG."""

DOWER: dict[str, tuple[float, float, float]] = {
    "I": (0.632, -0.235, 0.059),
    "II": (0.235, 1.066, -0.132),
    "V1": (-0.515, 0.157, -0.917),
    "V2": (0.044, 0.164, -1.387),
    "V3": (0.882, 0.098, -1.277),
    "V4": (1.213, 0.127, -0.601),
    "V5": (1.125, 0.127, -0.086),
    "V6": (0.831, 0.076, 0.230),
}
"""The eight independent leads as weights of Frank's X (left), Y (feet), Z (back): Dower et al. 1980."""

LIMB: dict[str, tuple[float, float]] = {
    "III": (-1.0, 1.0),
    "aVR": (-0.5, -0.5),
    "aVL": (1.0, -0.5),
    "aVF": (-0.5, 1.0),
}
"""The four derived limb leads as weights of I and II: Einthoven's law and Goldberger's leads."""


def measured_leads(leads: tuple[str, ...]) -> tuple[str, ...]:
    """The independent leads that `leads` need, in DOWER's order.

    Raises ValueError for an unknown or repeated name, and for none at all.
    """
    unknown = [name for name in leads if name not in TWELVE_LEADS]
    if unknown:
        raise ValueError(f"not one of the twelve standard leads: {', '.join(unknown)}")
    needed = set(leads)
    if not leads or len(needed) < len(leads):
        raise ValueError("leads must be one or more different names")
    if needed & LIMB.keys():
        needed |= {"I", "II"}
    return tuple(name for name in DOWER if name in needed)


def derive_leads(
    leads: tuple[str, ...], measured: tuple[str, ...], samples: NDArray[np.int16]
) -> NDArray[np.int16]:
    """`leads` (leads, n) out of the `measured` ones (len(measured), n), all in one gain and baseline 0.

    The derived leads come from I and II after these were digitised, as in a real recorder, so that
    I + III = II holds to the last bit; the halves of the augmented leads are rounded to even. A derived
    value beyond 16 bits stays at the rail.
    """
    rows = {name: samples[index] for index, name in enumerate(measured)}
    limits = np.iinfo(np.int16)
    for name in leads:
        if name in LIMB:
            of_i, of_ii = LIMB[name]
            value = np.rint(of_i * rows["I"].astype(np.float64) + of_ii * rows["II"])
            rows[name] = np.clip(value, limits.min, limits.max).astype(np.int16)
    return np.stack([rows[name] for name in leads])
