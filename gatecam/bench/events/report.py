"""Add up the scores of clips: rates with intervals, latencies, and plain values for JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median

import numpy as np

from gatecam.bench.events.score import NOBODY, ClipScore, Episode, Mark
from gatecam.training.scores.rates import Interval, interval, resampled


@dataclass(frozen=True, slots=True)
class Rate:
    """Holds a count, of how many, its share and the 95 % interval of a bootstrap over clips."""

    count: int
    of: int
    share: float | None
    interval: Interval | None

    def __str__(self) -> str:
        if self.share is None:
            return "–"
        around = f" [{self.interval[0]:.3f}, {self.interval[1]:.3f}]" if self.interval else ""
        return f"{self.count} of {self.of}: {self.share:.3f}{around}"


@dataclass(frozen=True, slots=True)
class Latency:
    """Holds how long events took, in seconds, from when they were due."""

    events: int
    median_s: float | None
    worst_s: float | None

    def __str__(self) -> str:
        if self.median_s is None:
            return "–"
        return f"median {self.median_s:.2f} s, worst {self.worst_s:.2f} s, of {self.events}"


@dataclass(frozen=True, slots=True)
class Summary:
    """Holds the figures of some clips. Rates of what went wrong are per person, without pictures."""

    clips: int
    people: int
    alerts_right: Rate  # of the required ones
    alerts_missing: Rate  # of the required ones
    alerts_late: Rate  # of the required ones
    alerts_wrong: Rate
    alerts_repeated: Rate
    thanks_right: Rate  # of the required ones
    thanks_wrong: Rate
    thanks_repeated: Rate
    counted_twice: Rate
    not_counted: Rate
    told_to_nobody: int  # part of the wrong alerts and thank-yous
    posters_told: Rate  # of the pictures
    arrival: Latency  # alerts to people who came
    change: Latency  # alerts after a mask came off or slipped
    put_on: Latency  # thank-yous after a mask was put on or right

    def as_json(self) -> dict[str, object]:
        """Return plain values, named like the fields."""
        return asdict(self)

    def rows(self) -> list[tuple[str, str]]:
        """Return the name and the text of each figure."""
        return [
            ("clips, people", f"{self.clips}, {self.people}"),
            ("alerts right", str(self.alerts_right)),
            ("alerts missing", str(self.alerts_missing)),
            ("alerts late", str(self.alerts_late)),
            ("alerts wrong, per person", str(self.alerts_wrong)),
            ("alerts repeated, per person", str(self.alerts_repeated)),
            ("thank-yous right", str(self.thanks_right)),
            ("thank-yous wrong, per person", str(self.thanks_wrong)),
            ("thank-yous repeated, per person", str(self.thanks_repeated)),
            ("counted twice, per person", str(self.counted_twice)),
            ("not counted, per person", str(self.not_counted)),
            ("told to nobody", str(self.told_to_nobody)),
            ("posters told", str(self.posters_told)),
            ("alert after coming", str(self.arrival)),
            ("alert after a change", str(self.change)),
            ("thank-you after a change", str(self.put_on)),
        ]


def summarize(clips: Sequence[ClipScore]) -> Summary:
    """Add up the scores of clips."""

    def rate(count: Callable[[ClipScore], int], of: Callable[[ClipScore], int]) -> Rate:
        return _rate([count(clip) for clip in clips], [of(clip) for clip in clips])

    def marked(mark: Mark, is_alert: bool) -> Rate:
        return rate(lambda clip: _marks(clip, mark, is_alert), _people)

    def due(is_alert: bool, chosen: Callable[[Episode], bool]) -> Rate:
        return rate(
            lambda clip: sum(chosen(one) for one in _required(clip, is_alert)),
            lambda clip: len(_required(clip, is_alert)),
        )

    alerts, thanks = ([one for clip in clips for one in _required(clip, kind)] for kind in (True, False))
    return Summary(
        clips=len(clips),
        people=sum(map(_people, clips)),
        alerts_right=due(True, lambda one: bool(one.told)),
        alerts_missing=due(True, lambda one: one.is_missing),
        alerts_late=due(True, lambda one: one.is_late),
        alerts_wrong=marked(Mark.WRONG, True),
        alerts_repeated=marked(Mark.REPEATED, True),
        thanks_right=due(False, lambda one: bool(one.told)),
        thanks_wrong=marked(Mark.WRONG, False),
        thanks_repeated=marked(Mark.REPEATED, False),
        counted_twice=rate(lambda clip: len(clip.counted_twice), _people),
        not_counted=rate(lambda clip: len(clip.not_counted), _people),
        told_to_nobody=sum(one.person == NOBODY for clip in clips for one in clip.judged),
        posters_told=rate(
            lambda clip: len({one.person for one in clip.judged if one.mark is Mark.POSTER}),
            lambda clip: len(clip.people) - _people(clip),
        ),
        arrival=_latency([one for one in alerts if not one.is_change]),
        change=_latency([one for one in alerts if one.is_change]),
        put_on=_latency([one for one in thanks if one.is_change]),
    )


def _people(clip: ClipScore) -> int:
    return sum(not person.is_picture for person in clip.people)


def _required(clip: ClipScore, is_alert: bool) -> list[Episode]:
    return [one for one in clip.episodes if one.is_required and one.kind.is_alert is is_alert]


def _marks(clip: ClipScore, mark: Mark, is_alert: bool) -> int:
    return sum(one.mark is mark and one.event.kind.is_alert is is_alert for one in clip.judged)


def _rate(counts: Sequence[int], ofs: Sequence[int]) -> Rate:
    """Return the rate of counts by clip. Whole clips are drawn for its interval."""
    count, of = sum(counts), sum(ofs)
    if of == 0:
        return Rate(count, of, None, None)
    sums = resampled(np.array([counts, ofs], np.float64).T)
    drawn = sums[sums[:, 1] > 0]
    return Rate(count, of, round(count / of, 4), interval(drawn[:, 0] / drawn[:, 1]))


def _latency(episodes: Sequence[Episode]) -> Latency:
    taken = [one.latency_s for one in episodes if one.latency_s is not None]
    if not taken:
        return Latency(0, None, None)
    return Latency(len(taken), round(median(taken), 3), round(max(taken), 3))
