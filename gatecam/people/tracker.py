"""Join the faces of one camera into tracks and decide the verdict of each track.

`FaceTracker.update` takes the faces of one frame and the frame's time:
  1. It predicts every track's box at that time, with a velocity that fades.
  2. It pairs faces and tracks, best pair first, by overlap and by distance in face sides. Where that leaves a
     choice, it compares the colors of clothes and hair. If the faces after a jump look unlike the track's
     person, another person has come, and the track ends.
  3. It starts a track for each other face, unless the face mostly lies in the face of another track.
  4. It confirms a track and gives it an id once it has enough faces, so one false box is never counted.
  5. It lets a track without a face coast, and ends it after `lost_s`.
Each track has a `VerdictFilter`, which smooths the mask probabilities of its faces into a verdict. A face is
classified about five times a second while its verdict is certain, and fifteen times otherwise.
All times are those of the frames. So results do not depend on the frame rate, and a replay is reproducible.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from gatecam.geometry import iou, overlap, pair_faces, shift
from gatecam.labels import MASK_LABELS
from gatecam.people.looks import SAME_PLACE_IOU, STRANGE, MeanLooks, unlikeness
from gatecam.settings.schema import TrackerConfig
from gatecam.types import Box, Detection, Expected, Face, Floats, Prediction, Track, Verdict

DUPLICATE_SHARE = 0.5  # two boxes are on one face if they share more than this part of the smaller one

# Motion.
VELOCITY_S = 0.3  # time constant of the velocity estimate, averages out jitter of 10 % of a face
FADE_S = 0.5  # time constant with which a coasting track slows down

# Looks.
UNLIKE_COST = 1.0  # added to the cost of an unlike pair, about that of a whole face side of distance
GAP_S = 0.1  # a track without a face for this long takes no unlike face: another person has come
# A face has jumped if it is more than `JUMP_SHARE` of a side from where it was expected, or if its side has
# changed by more than the ratio `JUMP_RATIO`. Then it may be another person's.
JUMP_SHARE, JUMP_RATIO = 0.35, 1.3
STRANGER_S = 1.0  # after a jump or gap, looks are compared for this long
STRANGER_FACES = 3  # consecutive unlike faces that end a track
FRIEND_FACES = 3  # after this many consecutive alike faces, looks are no longer compared

# Life of a track.
TRUSTED_WEIGHT = 0.8  # with this mean weight of the scores, `min_hits` faces confirm a track
# An unconfirmed track ends after this time and this many frames without a face, so that it survives one miss
# even at 5 frames/s.
TENTATIVE_LOST_S, TENTATIVE_MISSES = 0.15, 2
STALL_S = 2.0  # all tracks end if two frames are further apart than this and `lost_s`

# Verdict.
MIN_FACES = 3  # consecutive faces that must agree before a verdict is given or replaced
BAR_SLACK = 0.1  # hysteresis: a candidate or verdict stays until this far below `confidence`
ALERT_SHARE = 2 / 3  # of `change_s`: a change to an alert is reported sooner than one to thanks
# An unsure change takes this many times `change_s` in two cases: after `none`, because hands and phones
# resemble masks, and for a first `incorrect`, because a correct mask seen from the side looks like it.
UNSURE_TIMES = 2.0
# Faces that are not `correct`, but may be either alert: `none` is reported after `change_s`, and `incorrect`
# after `UNSURE_TIMES`, if it has this share of the two alerts' probabilities. The classifier wavers on 17
# faces of held-out photographs (ilc, medical), of which 14 are bare.
WORN_WRONG_SHARE = 0.6
FRESH_WEIGHT = 0.5  # agreeing faces replace the average if they weigh this share of the faces before
DOUBT = 2.0  # a verdict becomes `unknown` when faces contradict it for this many times `change_s`
SURE_S = 0.2  # a face with a certain verdict is classified once in this time: six frames at 30 frames/s
APART = 0.618  # golden ratio: shifts each person's turn by this part of `SURE_S`, so that turns spread evenly
# Other faces are classified once in this time, which is every second frame at 30 frames/s. The frames between
# are nearly the same.
UNSURE_S = 0.045
GOOD_FACE_PX = 80.0  # face side above which more pixels add nothing
LOW_SCORE = 0.7  # O-Net's usual threshold. Hands and clothes that look like faces score little above it.
MIN_WEIGHT = 0.1  # for the worst size, score or pose

_VERDICTS = tuple(Verdict(label) for label in MASK_LABELS)
_ALERTS = (Verdict.NONE, Verdict.INCORRECT)


def score_weight(score: float) -> float:
    """Weight a detector's score: 0.1 up to about O-Net's threshold of 0.7, then rising to 1."""
    return max(MIN_WEIGHT, (score - LOW_SCORE) / (1 - LOW_SCORE))


def frontal_weight(detection: Detection) -> float:
    """Weight a face's pose: 1 if the nose is midway between the eyes, 0.1 in profile, 1 without landmarks."""
    if detection.landmarks is None:
        return 1.0
    left, right, nose = detection.landmarks[:3].astype(float)
    eyes = right - left
    reach = float(eyes @ eyes) / 2
    if reach <= 0:
        return MIN_WEIGHT
    turn = abs(float((nose - (left + right) / 2) @ eyes)) / reach
    return max(MIN_WEIGHT, 1.0 - turn)


def face_quality(detection: Detection) -> float:
    """Return the product of the weights of a face's size, score and pose, above 0 and up to 1."""
    size = min(1.0, max(MIN_WEIGHT, _side(detection.box) / GOOD_FACE_PX))
    return size * score_weight(detection.score) * frontal_weight(detection)


class _Run:
    """Sums the probabilities of a track's latest faces, which have something in common."""

    def __init__(self, since_s: float) -> None:
        self.since_s = since_s  # time of the first of these faces
        self.faces = 0
        self.weight = 0.0
        self.sums: NDArray[np.float64] = np.zeros(len(_VERDICTS))

    def add(self, mask: Floats, weight: float) -> None:
        """Add the probabilities of one more face."""
        self.sums += weight * mask
        self.weight += weight
        self.faces += 1


def _likelier_alert(run: _Run) -> Verdict:
    none, incorrect = (float(run.sums[_VERDICTS.index(verdict)]) for verdict in _ALERTS)
    return Verdict.INCORRECT if incorrect >= WORN_WRONG_SHARE * (none + incorrect) else Verdict.NONE


class VerdictFilter:
    """Decides the verdict of one track from smoothed probabilities, with a threshold and hysteresis.

    Probabilities are averaged with the weights of `face_quality`, which fade to 1/e in `smooth_s`. The most
    likely state is the candidate if it reaches `confidence`, otherwise the candidate is `unknown`. If the
    last faces agree on another state, the average starts again with them, so that a mask that comes off does
    not wait until the faces before have faded.

    A candidate must hold for some time before it becomes the verdict: `settle_s` for a first alert and for
    the return of the last verdict, two thirds of `change_s` for another alert, and `change_s` for `correct`.
    An alert is urgent but thanks are not, and a hand over the mouth is soon gone. If the average is less sure
    than halfway between `confidence` and 1, a change after `none` needs twice `change_s`. So does a first
    `incorrect`, because a correct mask that is seen from the side resembles one that is worn wrong. A verdict
    that faces contradict for twice `change_s` becomes `unknown`. If the last verdict besides `unknown` was no
    alert, and `correct` has become improbable, the verdict becomes `none` after `change_s`, or `incorrect`
    after twice `change_s` if `incorrect` is clearly likelier.
    """

    def __init__(self, config: TrackerConfig) -> None:
        self._config = config
        self.verdict = Verdict.UNKNOWN
        self._settled = Verdict.UNKNOWN  # the last verdict other than `unknown`
        self._sums: NDArray[np.float64] = np.zeros(len(_VERDICTS))
        self._weight = 0.0
        self._time_s = 0.0
        self._candidate = Verdict.UNKNOWN
        self._candidate_s = 0.0  # since when the candidate holds
        self._candidate_faces = 0
        self._doubt_s: float | None = None  # since when the faces contradict the verdict
        self._amiss: _Run | None = None  # the faces since `correct` became improbable
        self._faces = 0.0  # number of faces in the average, faded as their weights are
        self._latest = Verdict.UNKNOWN  # the most likely state of the last face alone
        self._run = _Run(0.0)  # the last faces in which the same state is the most likely one

    def apply(self, config: TrackerConfig) -> None:
        """Apply new settings without losing the past faces."""
        self._config = config

    @property
    def is_sure(self) -> bool:
        """Return whether the recent faces, and the last one alone, agree with a given verdict."""
        return self.verdict is not Verdict.UNKNOWN and self._candidate is self._latest is self.verdict

    @property
    def probability(self) -> float:
        """Return the smoothed probability of the verdict, or 0 while it is `unknown`."""
        if self.verdict is Verdict.UNKNOWN:
            return 0.0
        return self._mean(self.verdict)

    def add(self, face: Face, time_s: float) -> None:
        """Update the verdict with the face of a frame."""
        weight = face_quality(face.detection)
        kept = math.exp((self._time_s - time_s) / self._config.smooth_s) if self._weight else 0.0
        self._sums = self._sums * kept + weight * face.prediction.mask
        self._weight = self._weight * kept + weight
        self._faces = self._faces * kept + 1
        self._time_s = time_s
        latest = _VERDICTS[int(face.prediction.mask.argmax())]
        if latest is not self._latest:
            self._latest, self._run = latest, _Run(time_s)
        self._run.add(face.prediction.mask, weight)
        self._restart()
        self._note_candidate(time_s)
        self._note_amiss(face.prediction.mask, weight, time_s)
        self._decide(time_s)

    def _mean(self, verdict: Verdict) -> float:
        return float(self._sums[_VERDICTS.index(verdict)] / self._weight)

    def _restart(self) -> None:
        """Start the average again with the last faces if they agree on another state than it does."""
        run = self._run
        if self._latest is self._candidate or run.faces < MIN_FACES:
            return
        sure = run.sums[_VERDICTS.index(self._latest)] >= self._config.confidence * run.weight
        if sure and run.weight / run.faces >= FRESH_WEIGHT * self._weight / self._faces:
            self._sums, self._weight, self._faces = run.sums.copy(), run.weight, float(run.faces)
            self._candidate, self._candidate_s = self._latest, run.since_s
            self._candidate_faces = run.faces - 1  # without the last one, which is still to be noted

    def _note_candidate(self, time_s: float) -> None:
        means = self._sums / self._weight
        best = int(means.argmax())
        slack = BAR_SLACK if _VERDICTS[best] in (self._candidate, self.verdict) else 0.0
        sure = means[best] >= self._config.confidence - slack
        candidate = _VERDICTS[best] if sure else Verdict.UNKNOWN
        if candidate is not self._candidate or not self._candidate_faces:
            self._candidate, self._candidate_s, self._candidate_faces = candidate, time_s, 0
        self._candidate_faces += 1
        if candidate is self.verdict:
            self._doubt_s = None
        elif self._doubt_s is None:
            self._doubt_s = time_s

    def _note_amiss(self, mask: Floats, weight: float, time_s: float) -> None:
        if self._mean(Verdict.CORRECT) > 1 - self._sure:
            self._amiss = None
            return
        if self._amiss is None:
            self._amiss = _Run(time_s)
        self._amiss.add(mask, weight)

    def _decide(self, time_s: float) -> None:
        if self._settled not in _ALERTS and self._amiss is not None:
            alert = _likelier_alert(self._amiss)
            times = 1.0 if alert is Verdict.NONE else UNSURE_TIMES
            if time_s - self._amiss.since_s >= times * self._config.change_s:
                self.verdict = self._settled = alert
        if self._candidate is self.verdict or self._doubt_s is None:
            return
        if self._candidate is not Verdict.UNKNOWN and self._has_held(time_s):
            self.verdict = self._settled = self._candidate
            self._doubt_s = None
        elif time_s - self._doubt_s > DOUBT * self._config.change_s:
            self.verdict = Verdict.UNKNOWN

    @property
    def _sure(self) -> float:
        """Return the probability above which a state is sure: halfway between `confidence` and 1."""
        return (1 + self._config.confidence) / 2

    def _has_held(self, time_s: float) -> bool:
        is_sure = self._mean(self._candidate) >= self._sure
        is_first = self._settled is Verdict.UNKNOWN
        is_amiss = is_first and self._candidate is Verdict.INCORRECT
        is_bare = is_first and self._candidate is Verdict.NONE
        hold_s = self._config.change_s
        if self._candidate is self._settled or is_bare or (is_amiss and is_sure):
            hold_s = self._config.settle_s
        elif (is_amiss or self._settled is Verdict.NONE) and not is_sure:
            hold_s *= UNSURE_TIMES
        elif self._candidate is not Verdict.CORRECT:
            hold_s *= ALERT_SHARE
        return (
            time_s - self._candidate_s >= hold_s
            and self._latest is self._candidate
            and self._candidate_faces >= MIN_FACES
            and self._mean(self._candidate) >= self._config.confidence
        )


class FaceTracker:
    """Tracks the faces of one camera, as the module's docstring describes. It implements `ports.Tracker`."""

    def __init__(self, config: TrackerConfig) -> None:
        self._config = config
        self._tracks: list[_TrackState] = []
        self._last_id = 0
        self._time_s = -math.inf

    def update(self, faces: Sequence[Face], time_s: float) -> list[Track]:
        """Add the faces of a frame and return the confirmed tracks, sorted by id.

        Ids count up from 1, or from the number after the one given to `count_from`.

        A track without a face in this frame coasts: its `faces` are empty, its box is predicted and
        `missing_s` is above 0.

        Raises:
            ValueError: `time_s` goes back or is not a number.
        """
        self._advance(time_s)
        self._pair(faces, time_s)
        self._drop_duplicates()
        self._end_lost(time_s)
        self._confirm()
        confirmed = sorted((one for one in self._tracks if one.id), key=lambda track: track.id)
        return [track.snapshot(time_s) for track in confirmed]

    def count_from(self, number: int) -> None:
        """Give the next track an id above `number`, unless ids are higher already."""
        self._last_id = max(self._last_id, number)

    def apply(self, config: TrackerConfig) -> None:
        """Apply new settings without losing a track."""
        self._config = config
        for track in self._tracks:
            track.apply(config)

    def expected(self, time_s: float) -> list[Expected]:
        """Predict where each track's face is at a time. Unconfirmed and coasting tracks are included."""
        return [track.expected(time_s) for track in self._tracks]

    def note_pictures(self, pictures: Collection[int]) -> None:
        """Note the ids of the tracks that follow pictures. Their faces are paired only close to their place.

        A track that is no longer among them ends, and a new one begins at its face.
        """
        for index, track in enumerate(self._tracks):
            is_picture = track.id in pictures
            if track.is_picture and not is_picture and track.face is not None:
                self._tracks[index] = _TrackState(track.face, self._time_s, self._config)
            else:
                track.is_picture = is_picture

    def _advance(self, time_s: float) -> None:
        if not time_s >= self._time_s:  # also true of NaN
            raise ValueError(f"time_s: expected at least {self._time_s}, the last frame's, got {time_s}")
        if time_s - self._time_s > max(self._config.lost_s, STALL_S):
            self._tracks.clear()
        self._time_s = time_s

    def _pair(self, faces: Sequence[Face], time_s: float) -> None:
        """Give each track its face and start tracks for the other faces."""

        def penalty(track: int, face: int) -> float:
            return self._tracks[track].penalty(faces[face], time_s)

        pairs = pair_faces(self.expected(time_s), [face.detection.box for face in faces], penalty)
        for index, track in enumerate(self._tracks):
            track.face = None
            if index in pairs:
                track.add(faces[pairs[index]], time_s)
                if track.is_replaced:
                    self._tracks[index] = _TrackState(faces[pairs[index]], time_s, self._config)
            else:
                track.misses += 1
        taken = set(pairs.values())
        new = (face for index, face in enumerate(faces) if index not in taken)
        self._tracks += [_TrackState(face, time_s, self._config) for face in new]

    def _drop_duplicates(self) -> None:
        """End each unconfirmed track whose face mostly overlaps the face of a track with more evidence."""
        kept: list[_TrackState] = []
        seen: list[Box] = []
        for track in sorted(self._tracks, key=lambda track: -track.evidence):
            if track.face is not None and not track.id and _is_duplicate(track.box, seen):
                continue
            kept.append(track)
            if track.face is not None:
                seen.append(track.box)
        self._tracks = kept

    def _end_lost(self, time_s: float) -> None:
        self._tracks = [one for one in self._tracks if not one.is_lost(time_s, self._config.lost_s)]

    def _confirm(self) -> None:
        """Give an id to each track that has enough faces now."""
        for track in self._tracks:
            if not track.id and track.has_enough(self._config.min_hits):
                self._last_id += 1
                track.id = self._last_id
                taken = {other.turn for other in self._tracks}
                track.turn = next(turn for turn in itertools.count(1) if turn not in taken)


class _TrackState:
    """Holds the state of one track.

    `id` and `turn` are 0 until the track is confirmed. `turn` is the smallest number from 1 on that no other
    confirmed track had then. Unlike the id, it does not depend on how many people came before. `face` is the
    face in this frame, or None.
    """

    def __init__(self, face: Face, time_s: float, config: TrackerConfig) -> None:
        self.id = 0
        self.turn = 0
        self.is_picture = False
        self.face: Face | None = face
        self.box = face.detection.box  # of the last face
        self.seen_s = time_s
        self.misses = 0  # frames since the last face
        self.evidence = score_weight(face.detection.score)
        self._first_s = time_s
        self._hits = 1
        self._velocity = (0.0, 0.0)  # px/s
        self._judged = face
        self._judged_s = time_s
        self._verdict = VerdictFilter(config)
        self._verdict.add(face, time_s)
        self._looks = MeanLooks()
        self._looks.add(face.looks, time_s)
        self._jump_s = -math.inf  # when a face last came after a gap, or away from where it was expected
        self._strangers = 0  # consecutive unlike faces since then
        self._friends = 0  # consecutive alike faces since then

    def apply(self, config: TrackerConfig) -> None:
        """Apply new settings to the verdict."""
        self._verdict.apply(config)

    def predict(self, time_s: float) -> Box:
        """Predict the box at a time, from the last face and a velocity that fades."""
        travel_s = FADE_S * (1 - math.exp((self.seen_s - time_s) / FADE_S))
        return shift(self.box, self._velocity[0] * travel_s, self._velocity[1] * travel_s)

    def expected(self, time_s: float) -> Expected:
        """Return where the face should be at a time, and what is known of it."""
        missing_s = time_s - self.seen_s
        return Expected(
            self.predict(time_s), self.face is not None, self.known(time_s), missing_s, self.is_picture
        )

    def add(self, face: Face, time_s: float) -> None:
        """Update the track with the face of this frame."""
        self._compare_looks(face, time_s)
        self._learn_velocity(face.detection.box, time_s)
        self.face, self.box, self.seen_s, self.misses = face, face.detection.box, time_s, 0
        self._hits += 1
        self.evidence += score_weight(face.detection.score)
        if face.judged:
            self._judged, self._judged_s = face, time_s
            self._verdict.add(face, time_s)

    @property
    def is_replaced(self) -> bool:
        """Return whether the latest faces look unlike those before, so they belong to another person."""
        return self._strangers >= STRANGER_FACES

    def penalty(self, face: Face, time_s: float) -> float:
        """Return what is added to the cost of pairing this track with a face, because they look unlike."""
        unlike = self._unlikeness(face)
        if unlike is None or unlike <= STRANGE:
            return 0.0
        return math.inf if time_s - self.seen_s >= GAP_S else UNLIKE_COST

    def _unlikeness(self, face: Face) -> float | None:
        box = face.detection.box
        return unlikeness(self._looks.looks, face.looks, iou(self.box, box) >= SAME_PLACE_IOU)

    def _compare_looks(self, face: Face, time_s: float) -> None:
        """Count the faces that look unlike the track after a jump. Learn the looks of all others."""
        if self.misses or self._has_jumped(face.detection.box, time_s):
            self._jump_s, self._friends = time_s, 0
        if face.looks is None:
            return
        if self._is_doubted(time_s) and (self._unlikeness(face) or 0.0) > STRANGE:
            self._strangers += 1
            self._friends = 0
        else:
            self._strangers = 0
            self._friends += 1
            self._looks.add(face.looks, time_s)

    def _has_jumped(self, box: Box, time_s: float) -> bool:
        (x, y), (predicted_x, predicted_y) = box.center, self.predict(time_s).center
        side, before = _side(box), _side(self.box)
        moved = math.hypot(x - predicted_x, y - predicted_y) > JUMP_SHARE * min(side, before)
        return moved or max(side, before) > JUMP_RATIO * min(side, before)

    def _is_doubted(self, time_s: float) -> bool:
        return time_s - self._jump_s <= STRANGER_S and self._friends < FRIEND_FACES

    def known(self, time_s: float) -> Prediction | None:
        """Return the last prediction, or None if the face must be classified again."""
        if self._verdict.is_sure and not self._strangers and self._judged_s >= self._jump_s:
            is_due = self._turn(time_s) != self._turn(self._judged_s)
        else:
            is_due = time_s - self._judged_s >= UNSURE_S
        return None if is_due or self.face is None else self._judged.prediction

    def _turn(self, time_s: float) -> int:
        """Return the number of the current interval of `SURE_S`.

        The intervals of different people are shifted, so that people who came together are not all classified
        in the same frame.
        """
        return math.floor((time_s - self._first_s) / SURE_S - self.turn * APART)

    def _learn_velocity(self, box: Box, time_s: float) -> None:
        elapsed_s = time_s - self.seen_s
        if elapsed_s <= 0:  # two frames with one time stamp
            return
        gain = (1 - math.exp(-elapsed_s / VELOCITY_S)) / elapsed_s
        (x, y), (predicted_x, predicted_y) = box.center, self.predict(time_s).center
        vx, vy = self._velocity
        self._velocity = (vx + gain * (x - predicted_x), vy + gain * (y - predicted_y))

    def has_enough(self, min_hits: int) -> bool:
        """Check whether there are enough faces to confirm the track. Low scores need more of them."""
        return self._hits >= min_hits and self.evidence >= TRUSTED_WEIGHT * min_hits

    def is_lost(self, time_s: float, lost_s: float) -> bool:
        """Check whether the track has been without a face for too long."""
        missing_s = time_s - self.seen_s
        if self.id:
            return self.misses > 0 and missing_s > lost_s
        return self.misses >= TENTATIVE_MISSES and missing_s > TENTATIVE_LOST_S

    def snapshot(self, time_s: float) -> Track:
        """Return the public state of the track at a time."""
        return Track(
            id=self.id,
            box=self.box if self.face else self.predict(time_s),
            hits=self._hits,
            age_s=time_s - self._first_s,
            verdict=self._verdict.verdict,
            faces=(self.face,) if self.face else (),
            probability=self._verdict.probability,
            missing_s=0.0 if self.face else time_s - self.seen_s,
            looks=self._looks.looks,
        )


def _side(box: Box) -> float:
    return math.sqrt(box.area)


def _is_duplicate(box: Box, others: Sequence[Box]) -> bool:
    """Check whether a box shares more than `DUPLICATE_SHARE` of the smaller box with any of the others."""
    return any(overlap(box, other) > DUPLICATE_SHARE * min(box.area, other.area) for other in others)
