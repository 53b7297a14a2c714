"""What the renditions of one stream take on the wire: what is usual, scaled by what this one took."""

from __future__ import annotations

from streaming.core.bundle import WaveFrame
from streaming.core.frames import HEADER
from streaming.core.renditions import LADDER, Quality, Rendition, bytes_per_s, frame_bytes
from streaming.core.streams import StreamInfo
from streaming.ecg import codec
from streaming.ecg.renditions import Renderer
from streaming.exceptions import ProtocolError

LEARNT_S = 10.0
"""Time constant of the mean: some breaths, and more than an artefact."""
FIRST_S = 1.0
TOLERANCE = 1.2
"""A mean that is off by no more than this factor is no news: each change makes ladders think anew."""
_DIAGNOSTIC_STEP_UV = 5.0


class Needs:
    """Follows the lossless frames of one epoch; `bytes_per_s` are those of each rendition of LADDER."""

    def __init__(self, info: StreamInfo) -> None:
        self.bytes_per_s: tuple[float, ...] = ()
        """The same object until there is news."""
        self._info = info
        self._samples = 0
        self._scale = 1.0
        """Bytes of a frame to those that were expected: the mean."""
        self._told_scale = 1.0
        self._known = False
        self._step = 1.0
        self._same = {
            quality: Renderer(quality, info.rate_hz, info.leads).unchanged
            for quality in Quality
            if quality is not Quality.VITALS
        }
        self._tell()

    def saw(self, frame: WaveFrame) -> bool:
        """Take a live frame; whether `bytes_per_s` changed."""
        leads, rate_hz = len(self._info.leads), self._info.rate_hz
        length_s = frame.count / rate_hz
        expected = frame_bytes(Rendition(Quality.LOSSLESS, length_s), leads=leads, rate_hz=rate_hz)
        self._samples += frame.count
        weight = length_s / min(LEARNT_S, self._samples / rate_hz)
        self._scale += weight * ((len(frame.payload) + HEADER.size) / expected - self._scale)
        off = self._scale / self._told_scale
        if self._samples < FIRST_S * rate_hz or (self._known and 1 / TOLERANCE < off < TOLERANCE):
            return False
        self._known = True
        self._told_scale, self._step = self._scale, _step_of(frame.payload)
        self._tell()
        return True

    def _tell(self) -> None:
        self.bytes_per_s = tuple(self._need(rendition) for rendition in LADDER)

    def _need(self, rendition: Rendition) -> float:
        """A quiet or a coarse signal makes lossless frames small, and those that are made coarse less so."""
        quality, scale = rendition.quality, self._told_scale
        lossless = scale * self._usual(Rendition(Quality.LOSSLESS, rendition.frame_s))
        if quality is Quality.VITALS:
            return self._usual(rendition)
        if self._same[quality] or (quality is Quality.DIAGNOSTIC and self._is_coarse):
            return lossless
        return min(lossless, max(1.0, scale) * self._usual(rendition))

    def _usual(self, rendition: Rendition) -> float:
        return bytes_per_s(rendition, leads=len(self._info.leads), rate_hz=self._info.rate_hz)

    @property
    def _is_coarse(self) -> bool:
        """Whether the source's real step is about that of `diagnostic`, which lies on another grid."""
        return self._step * max(lead.gain_uv for lead in self._info.leads) > _DIAGNOSTIC_STEP_UV / 2


def _step_of(payload: bytes) -> float:
    try:
        return codec.read_header(payload).step
    except ProtocolError:
        return 1.0
