"""Choose the person whom the screen speaks to."""

from __future__ import annotations

from collections.abc import Sequence

from gatecam.types import Track, Verdict

# Another face is nearer only if its area is this many times larger. So the screen does not switch back and
# forth between two people side by side.
NEARER = 1.3
SETTLING_S = 1.0  # a younger track without a verdict comes last, so it does not interrupt what others read

_URGENCY = {Verdict.NONE: 3, Verdict.INCORRECT: 2, Verdict.UNKNOWN: 1, Verdict.CORRECT: 0}


class Addressee:
    """Chooses whom the screen of one camera speaks to, from frame to frame.

    Whoever must act comes first: a person without a mask, then one who wears it wrong. Next come people whose
    verdict is still unknown after `SETTLING_S`, then people who wear a mask, then everybody who has just
    come. Among equals, the nearest person is chosen, which is the one with the largest face. Pictures are
    never chosen.
    """

    def __init__(self) -> None:
        self._track_id = 0

    def of(self, tracks: Sequence[Track]) -> Track | None:
        """Return the person to speak to in this frame, or None if nobody is there."""
        people = [track for track in tracks if not track.is_picture]
        if not people:
            return None
        most = max(_urgency(track) for track in people)
        equals = [track for track in people if _urgency(track) == most]
        nearest = max(equals, key=lambda track: track.box.area)
        chosen = next((track for track in equals if track.id == self._track_id), nearest)
        if nearest.box.area > NEARER * chosen.box.area:
            chosen = nearest
        self._track_id = chosen.id
        return chosen


def _urgency(track: Track) -> int:
    if track.verdict is Verdict.UNKNOWN and track.age_s < SETTLING_S:
        return -1
    return _URGENCY[track.verdict]
