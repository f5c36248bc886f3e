"""Write the page that sums up an archive, in Korean and English."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path

from gatecam.archive.query import ask
from gatecam.pictures.html import Page, write_languages
from gatecam.pictures.page_words import page_words
from gatecam.store.day_page import NAMES, add_chart, hours_chart, summary
from gatecam.store.events import QUARTER_MS, Arrivals
from gatecam.store.statistics import by_hour, share_correct, total

# Sums of people by camera and quarter-hour. Without a known start, all people of a recording are in one sum.
_ARRIVALS = f"""
    SELECT camera, epoch_ms({{at}}) // {QUARTER_MS} AS quarter, {{sums}} FROM events WHERE {{which}}
    GROUP BY ALL ORDER BY ALL
"""
_CAME = _ARRIVALS.format(
    at="told_at",
    sums="count(*) FILTER (WHERE verdict = 'correct'), count(*) FILTER (WHERE verdict = 'incorrect'), "
    "count(*) FILTER (WHERE verdict = 'none')",
    which="first",
)
_PUT_ON = _ARRIVALS.format(at="came_at", sums="count(*)", which="came_s IS NOT NULL")
_FILES = """
    SELECT count(*) FILTER (WHERE state != 'failed'), count(*), coalesce(sum(seconds), 0) / 3600,
        count(*) FILTER (WHERE state != 'failed' AND started_at IS NULL) FROM files
"""
_AMISS = "SELECT recording, reason FROM files WHERE reason IS NOT NULL ORDER BY recording"


@dataclass(frozen=True, slots=True)
class _Sums:
    """Holds the people of each camera by quarter-hour, and those whose time is not known."""

    timed: dict[str, list[Arrivals]]
    untimed: dict[str, Arrivals]

    def of(self, camera: str) -> Arrivals:
        """Return the sums of a camera."""
        untimed = self.untimed.get(camera)
        return total([*self.timed.get(camera, ()), *([] if untimed is None else [untimed])])

    @property
    def cameras(self) -> list[str]:
        """Return the names of the cameras where people came."""
        return sorted({*self.timed, *self.untimed})


def write_summary(folder: Path, zone: tzinfo | None = None) -> str:
    """Write `summary.html` over the tables in a folder, and return its first sentence.

    Hours are those of the clock in `zone`, by default of this machine's.

    Raises:
        OutputError: there is no archive in the folder, or the page cannot be written.
    """
    sums, pages = _sums(folder), {}
    everybody = total([sums.of(camera) for camera in sums.cameras])
    files, amiss = ask(folder, _FILES).rows[0], ask(folder, _AMISS).rows
    for language, name in NAMES.items():
        words = page_words(language)
        page = Page(words["archive.title"])
        done, of, hours, untimed = files
        page.text(words["archive.files"].format(done=done, files=of, hours=f"{hours:.1f}"))
        page.text(summary(everybody, words))
        _add_hours(page, sums, zone, untimed, words)
        _add_cameras(page, sums, words)
        if amiss:
            page.heading(words["archive.amiss"])
            page.table((words["archive.recording"], words["report.why"]), amiss, is_prose=True)
        pages[language] = name, page
    write_languages(folder / "summary.html", "gatecam archive", pages)
    return summary(everybody, page_words("en"))


def _sums(folder: Path) -> _Sums:
    put_on = {(camera, quarter): people for camera, quarter, people in ask(folder, _PUT_ON).rows}
    sums = _Sums({}, {})
    for camera, quarter, correct, incorrect, none in ask(folder, _CAME).rows:
        later = min(put_on.get((camera, quarter), 0), incorrect + none)
        one = Arrivals(QUARTER_MS * (quarter or 0), correct, incorrect, none, later)
        if quarter is None:
            sums.untimed[camera] = one
        else:
            sums.timed.setdefault(camera, []).append(one)
    return sums


def _add_hours(page: Page, sums: _Sums, zone: tzinfo | None, untimed: int, words: Mapping[str, str]) -> None:
    quarters = [one for found in sums.timed.values() for one in found]
    if quarters:
        add_chart(page, words["report.hours"], hours_chart(by_hour(quarters, zone), words))
    if untimed:
        page.text(words["archive.untimed"].format(count=untimed))


def _add_cameras(page: Page, sums: _Sums, words: Mapping[str, str]) -> None:
    rows: list[tuple[object, ...]] = []
    for camera in sums.cameras:
        one = sums.of(camera)
        if (share := share_correct(one)) is not None:
            rows.append(
                (
                    camera,
                    one.people,
                    one.correct,
                    one.incorrect,
                    one.none,
                    f"{100 * share:.0f}\N{NO-BREAK SPACE}%",
                    one.put_on,
                )
            )
    if rows:
        keys = ("report.camera", "report.people", "report.right", "report.wrong", "report.none")
        page.heading(words["archive.cameras"])
        page.table([words[key] for key in (*keys, "report.share", "report.put_on")], rows)
