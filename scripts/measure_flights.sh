#!/usr/bin/env bash
# Renders a flight through each scene of a folder and measures visual odometry on all of them, with
# one camera and with stereo: the tables of docs/odometry_accuracy.md.
#
#   bash scripts/measure_flights.sh SCENES OUT [OPTIONS]
#
# SCENES has GLB files of rooms in interiors/ and of single buildings in street/. OPTIONS go to
# `superpoint evaluate odometry`, such as --weights A.safetensors B.safetensors. The environment
# variables FRAMES (160, at 20 Hz; the street has 3/4 of them, at 10 Hz), WIDTH (320), HEIGHT (240)
# and PYTHON (that of .venv) can be set. Frames that this version of the renderer has made are not
# rendered again.
set -euo pipefail

case ${1:-} in
    -h | --help)
        sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
        exit
        ;;
esac

if [ $# -lt 2 ] || [ ! -d "$1" ]; then
    echo 'usage: measure_flights.sh SCENES OUT [OPTIONS]; SCENES has interiors/ and street/' >&2
    exit 2
fi
scenes=$(realpath "$1")
out=$(realpath -m "$2")
shift 2
cd "$(dirname "${BASH_SOURCE[0]}")/.."
superpoint=("${PYTHON:-.venv/bin/python}" -m superpoint_ros.cli.main)
frames=${FRAMES:-160}
render=("${superpoint[@]}" make-sequence --width "${WIDTH:-320}" --height "${HEIGHT:-240}")

found=
for scene in "$scenes"/interiors/*.glb; do
    [ -e "$scene" ] || continue
    found=yes
    name=$(basename "$scene" .glb)
    "${render[@]}" "$scene" --frames "$frames" --seed 3 --out "$out/flights/$name"
done
if [ -d "$scenes/street" ]; then
    found=yes
    "${render[@]}" --street "$scenes/street" --motion drive --rate 10 --baseline 0.54 \
        --frames $((frames * 3 / 4)) --seed 1 --out "$out/flights/street"
fi
if [ -z "$found" ]; then
    echo "measure_flights: $scenes has neither interiors/*.glb nor street/" >&2
    exit 2
fi
status=0
for scale in none stereo; do
    "${superpoint[@]}" evaluate odometry --data "$out/flights" --scale $scale \
        --out "$out/report_$scale" "$@" || status=$?
done
exit $status
