"""Name the outputs of the classifier's heads and number the 18 classes."""

from __future__ import annotations

MASK_LABELS = ("correct", "incorrect", "none")
GENDER_LABELS = ("male", "female")
AGE_LABELS = ("<30", "30-59", ">=60")
HEADS = {"mask": len(MASK_LABELS), "gender": len(GENDER_LABELS), "age": len(AGE_LABELS)}  # outputs of each
CLASS_COUNT = len(MASK_LABELS) * len(GENDER_LABELS) * len(AGE_LABELS)


def class_id(mask: int, gender: int, age: int) -> int:
    """Return the class of three label indices, `6 * mask + 3 * gender + age`, 0 to 17.

    >>> class_id(0, 0, 0), class_id(2, 1, 2)
    (0, 17)
    """
    return 6 * mask + 3 * gender + age


def class_parts(class_index: int) -> tuple[int, int, int]:
    """Return the `(mask, gender, age)` indices of a class.

    >>> class_parts(17)
    (2, 1, 2)
    """
    if not 0 <= class_index < CLASS_COUNT:
        raise ValueError(f"class_index: expected 0 to {CLASS_COUNT - 1}, got {class_index}")
    return class_index // 6, class_index % 6 // 3, class_index % 3


def age_band(age_years: float) -> int:
    """Return the index in `AGE_LABELS` of an age in years.

    >>> [age_band(a) for a in (29, 30, 59, 60)]
    [0, 1, 1, 2]
    """
    return int(age_years >= 30) + int(age_years >= 60)
