"""Record which parts of a video file were read and which were lost, and describe that in a sentence."""

from __future__ import annotations

SKIPPED_BYTES = 1000  # in a whole Matroska file, headers between packets take only some 20 bytes
INDEX_SHARE = 0.05  # share of the file that its index may take after the last packet
TOLERANCE_S = 0.1


class Losses:
    """Records what is lost while one file is read.

    Args:
        expected_frames: The count in the header, or None if it states none that can be trusted.
        cut_off: Whether the file is known to end before its container does.
        gapless: Whether packets follow each other without gaps in this format, so that a gap proves damage.
    """

    def __init__(
        self, expected_frames: int | None = None, cut_off: bool = False, gapless: bool = False
    ) -> None:
        self._expected_frames = expected_frames
        self._cut_off = cut_off
        self._gapless = gapless
        self._read = 0
        self._undecodable = 0
        self._damaged = 0
        self._too_large = 0
        self._last_is_damaged = False
        self._ended_early = False
        self._has_gap = False
        self._packet_end: int | None = None  # where the last packet ended, in bytes
        self._end_s = 0.0
        self._time_s = 0.0
        self._longest_gap_s = 0.0

    def note_packet(self, position: int | None, size: int, end_s: float) -> None:
        """Note a packet of any stream: its position in the file in bytes, and when its content ends."""
        self._end_s = max(self._end_s, end_s)
        if position is not None and position >= 0 and size:
            if self._gapless and self._packet_end is not None:
                self._has_gap |= position > self._packet_end + SKIPPED_BYTES
            self._packet_end = position + size

    def note_undecodable(self) -> None:
        """Note a packet that could not be decoded."""
        self._undecodable += 1
        self._last_is_damaged = True

    def note_too_large(self) -> None:
        """Note a picture that was not decoded because it has too many pixels."""
        self._too_large += 1

    def note_picture(self, time_s: float, is_damaged: bool) -> None:
        """Note a picture that was decoded, at least in part."""
        self._read += 1
        self._damaged += is_damaged
        self._last_is_damaged = is_damaged
        self._longest_gap_s = max(self._longest_gap_s, time_s - self._time_s)
        self._time_s = time_s

    def note_failure(self) -> None:
        """Note that the rest of the container cannot be read."""
        self._ended_early = True

    def note_end(self, size: int, duration_s: float | None) -> None:
        """Note the end of reading, and check by the file's size in bytes and duration if it is complete.

        Up to three of the longest gaps may be missing at the end, because Matroska does not state how long
        the last picture of a slide show is shown.
        """
        unread = size - (self._packet_end or 0)
        gives_up = self._gapless and unread > SKIPPED_BYTES + INDEX_SHARE * size
        falls_short = (
            duration_s is not None and self._end_s + 3 * self._longest_gap_s + TOLERANCE_S < duration_s
        )
        self._ended_early = self._cut_off or self._last_is_damaged or gives_up or falls_short

    def sentence(self) -> str | None:
        """Return a sentence about what is missing so far, or None if nothing is."""
        parts = []
        read = _frames(self._read)
        if self._expected_frames is not None and self._expected_frames > self._read:
            read = f"{self._read} of about {_frames(self._expected_frames)}"
        if self._ended_early:
            parts.append(f"the file ends early: {read} could be read")
        elif self._has_gap:
            parts.append(f"a part of the file is damaged: {read} could be read")
        if self._undecodable:
            parts.append(f"{_frames(self._undecodable, 'damaged ')} could not be decoded")
        if self._too_large:
            parts.append(f"{_frames(self._too_large)} of too many pixels {_were(self._too_large)} left out")
        if self._damaged:
            parts.append(f"{_frames(self._damaged, 'damaged ')} could be decoded in part")
        return "; ".join(parts) or None


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def _frames(count: int, kind: str = "") -> str:
    return f"{count} {kind}frame{'' if count == 1 else 's'}"
