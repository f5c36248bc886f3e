#!/usr/bin/env bash
# The runs behind docs/riddle.md: docs/riddle.sh UTKFACE_FOLDER START_WEIGHTS OUT_FOLDER (half an hour and more on two cores)
set -euo pipefail
utkface=$1 start=$2 out=$3
mkdir -p "$out"

# A door's ages: of the people of 60 and over only each third, 8 % of all, as in the contest.
mkdir -p "$out/door"
ln -sfn "$(realpath "$utkface/images")" "$out/door/images"
awk -F, 'NR == 1 || $2 < 60 || ++n % 3 == 1' "$utkface/people.csv" > "$out/door/people.csv"

# People to learn from, and people whom nobody meets before the end; seven pictures each.
gatecam data split "$out/door" --out "$out/people.csv" --validation 0 --test 0.5
gatecam data synthesize "$out/door" --split "$out/people.csv" --part train --people 900 --out "$out/known"
gatecam data synthesize "$out/door" --split "$out/people.csv" --part test --people 600 --out "$out/new"
gatecam data split "$out/known" --out "$out/by-image.csv" --by image --validation 0.2 --test 0
gatecam data split "$out/known" --out "$out/by-person.csv" --by person --validation 0.2 --test 0

learn_and_score() { # NAME SPLIT OPTIONS...
  local name=$1 split=$2
  shift 2
  gatecam train --data "$out/known" --split "$out/$split.csv" --cache "$out/cache" --run-dir "$out/run-$name" \
    --out "$out/$name.safetensors" --init "$start" --backbone mobilefacenet --heads joint18 \
    --size 64 --margin 0.3 --no-draw --sampler plain --samples 2500 \
    --smoothing 0 --ema 0.98 --augment flip,jitter,colour --freeze-stem --epochs 10 --learning-rate 1.2e-3 "$@"
  gatecam evaluate --data "$out/known" --split "$out/$split.csv" --part validation --weights "$out/$name.safetensors" \
    --no-drawn --cache "$out/cache" --json "$out/$name-validation.json"
  gatecam evaluate --data "$out/new" --part all --weights "$out/$name.safetensors" \
    --no-drawn --cache "$out/cache" --json "$out/$name-new.json"
}

learn_and_score by-image by-image
learn_and_score by-person by-person
learn_and_score class-weights by-person --class-weights
learn_and_score weighted by-person --sampler weighted
learn_and_score focal by-person --loss focal
