"""Looks up whether what is installed has known holes: `make audit`.

pip-audit asks the package index for each package. Where the index cannot be reached or tells nothing of
holes, the audit is skipped, and says why.
"""

from __future__ import annotations

import json
import subprocess
import sys

LIMIT_S = 60
ANSWER_LIMIT_S = 5
COMMAND = (
    "pip_audit",
    "--format=json",
    "--progress-spinner=off",
    f"--timeout={ANSWER_LIMIT_S}",
    "--skip-editable",
)


def main() -> int:
    """Print what was found, and return 1 if an installed package has a known hole, else 0."""
    try:
        ended = subprocess.run(
            [sys.executable, "-m", *COMMAND], capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        print(f"Audit skipped: the package index did not answer within {LIMIT_S} s.")
        return 0
    code, text = verdict(ended.stdout, ended.stderr)
    print(text)
    return code


def verdict(out: str, errors: str) -> tuple[int, str]:
    """Return the exit code and the words for what pip-audit wrote as JSON and to standard error."""
    try:
        packages = [one for one in json.loads(out)["dependencies"] if "skip_reason" not in one]
    except ValueError:
        reason = (errors.strip().splitlines() or ["pip-audit said nothing"])[-1]
        return 0, f"Audit skipped: {reason}"
    if not packages:
        return 0, "Audit skipped: the package index tells nothing of known holes."
    holes = [
        f"{one['name']} {one['version']}: {hole['id']}, fixed in {', '.join(hole['fix_versions']) or '-'}"
        for one in packages
        for hole in one["vulns"]
    ]
    if holes:
        return 1, "\n".join(
            [*holes, "Raise the floors in pyproject.toml to the versions that fix these holes."]
        )
    return 0, f"No known holes in {len(packages)} packages."


if __name__ == "__main__":
    sys.exit(main())
