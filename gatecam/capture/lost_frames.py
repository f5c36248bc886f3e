"""Keeps account of what of a video file was read and what was lost, and says so in a sentence."""

from __future__ import annotations

SKIPPED_BYTES = 1000  # between packets of a whole Matroska file lie some 20 bytes of headers
INDEX_SHARE = 0.05  # of the file, that its index may take behind the last packet
TOLERANCE_S = 0.1


class Losses:
    """The account of one reading of one file.

    Args:
        expected_frames: What the header states, or None if it states nothing trustworthy.
        cut_off: Whether the container is known to reach over the end of the file.
        gapless: Whether the format has packets follow each other without gaps, so that a gap proves damage.
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
        self._packet_end: int | None = None  # bytes
        self._end_s = 0.0
        self._time_s = 0.0
        self._longest_gap_s = 0.0

    def note_packet(self, position: int | None, size: int, end_s: float) -> None:
        """Note a packet of any stream: where it lies in the file, in bytes, and when its content ends."""
        self._end_s = max(self._end_s, end_s)
        if position is not None and position >= 0 and size:
            if self._gapless and self._packet_end is not None:
                self._has_gap |= position > self._packet_end + SKIPPED_BYTES
            self._packet_end = position + size

    def note_undecodable(self) -> None:
        """Note a packet that gave no picture."""
        self._undecodable += 1
        self._last_is_damaged = True

    def note_too_large(self) -> None:
        """Note a picture that was not decoded because it has too many pixels."""
        self._too_large += 1

    def note_picture(self, time_s: float, is_damaged: bool) -> None:
        """Note a picture that could be decoded, perhaps in part only."""
        self._read += 1
        self._damaged += is_damaged
        self._last_is_damaged = is_damaged
        self._longest_gap_s = max(self._longest_gap_s, time_s - self._time_s)
        self._time_s = time_s

    def note_failure(self) -> None:
        """Note that the container cannot be read on."""
        self._ended_early = True

    def note_end(self, size: int, duration_s: float | None) -> None:
        """Note the end of reading, to be judged by the file's size in bytes and the duration in its header.

        Three of the longest gaps may be missing: Matroska does not tell how long the last picture of a
        slide show stands.
        """
        unread = size - (self._packet_end or 0)
        gives_up = self._gapless and unread > SKIPPED_BYTES + INDEX_SHARE * size
        falls_short = (
            duration_s is not None and self._end_s + 3 * self._longest_gap_s + TOLERANCE_S < duration_s
        )
        self._ended_early = self._cut_off or self._last_is_damaged or gives_up or falls_short

    def sentence(self) -> str | None:
        """What is missing so far, or None if nothing is."""
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
