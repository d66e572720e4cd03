#!/usr/bin/env bash
# Tests and measures everything that needs CUDA, within 20 minutes and without a network connection,
# and writes a report into one folder. On a machine without CUDA, or with --dry-run, all steps run
# on the CPU with small sizes: that checks the script, and its numbers mean nothing.
#
#   bash scripts/gpu_check.sh [--dry-run] [FOLDER]
#
# FOLDER is runs/gpu_check by default. The environment variable PYTHON names the Python to use, by
# default that of .venv, which `bash scripts/setup.sh test` makes (with a network connection).
set -uo pipefail

case ${1:-} in
    -h | --help)
        sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
        exit
        ;;
esac

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
python=${PYTHON:-.venv/bin/python}
device=cuda
if [ "${1:-}" = --dry-run ]; then
    device=cpu
    shift
fi
case ${1:-} in
    -*)
        echo "gpu_check: unknown option $1; only --dry-run is one" >&2
        exit 2
        ;;
esac
out=${1:-runs/gpu_check}
if ! "$python" -c 'import torch, superpoint_ros'; then
    echo "gpu_check: $python lacks torch or superpoint_ros: run 'bash scripts/setup.sh test'" >&2
    exit 2
fi
if [ $device = cuda ] && ! "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'
then
    echo 'gpu_check: there is no CUDA device, so this is a dry run on the CPU' >&2
    device=cpu
fi
mkdir -p "$out"
report=$out/report.md
failed=()

if [ $device = cuda ]; then
    tests=(test/engines test/export/test_tensorrt.py)
    select='cuda or tensorrt'
    weights=(models/superpoint.safetensors models/superpoint_compact.safetensors)
    cases=(--device cuda --weights "${weights[@]}")
    batches=(1 4 16 32)
    recipe=(--recipe gpu --rendered 0)
    lengths=(30 150)
    accelerator=gpu
else
    tests=(test/engines/test_cuda_graph.py test/export/test_tensorrt.py)
    select='on_cuda or tensorrt'
    cases=(--weights models/superpoint_compact.safetensors --sizes 160x120 --rounds 3 --no-memory)
    cases+=(--engines torch --precisions float32)
    batches=(1 2)
    recipe=(--recipe gpu --rendered 0 --network compact --batch 2 --width 160 --height 120)
    recipe+=(--workers 0 --precision 32-true)
    lengths=(2 4)
    accelerator=cpu
fi

# Run a command with a limit in seconds; its output goes to NAME.log, its result to the report.
step() {
    local name=$1 limit=$2 began=$SECONDS result=passed
    shift 2
    printf '== %s\n' "$name"
    timeout --kill-after=10 "$limit" "$@" > "$out/$name.log" 2>&1 || result="FAILED ($?)"
    [ "$result" = passed ] || failed+=("$name")
    printf '%s after %d s\n' "$result" $((SECONDS - began))
    printf '## %s: %s after %d s\n\n```\n' "$name" "$result" $((SECONDS - began)) >> "$report"
    # Of a progress bar, the last state.
    sed 's/.*\r//' "$out/$name.log" | tail -n 60 >> "$report"
    printf '```\n\n' >> "$report"
}

describe() {
    "$python" -c 'import platform, torch
print("Python", platform.python_version())
print("PyTorch", torch.__version__, "CUDA", torch.version.cuda)'
    git log -1 --format='commit %h of %cs' 2> /dev/null
    if [ $device = cuda ]; then
        nvidia-smi
    else
        echo 'dry run on the CPU: the numbers mean nothing'
    fi
}

# Frames per second of 640x480 through the whole Detector, for batches of several sizes.
measure_batches() {
    "$python" - "$device" "${batches[@]}" <<'PYTHON'
import sys
import time

from superpoint_ros import Detector
from superpoint_ros.benchmark.candidates import frames_of, read_photographs

device, *batches = sys.argv[1:]
size = (640, 480) if device == 'cuda' else (160, 120)
rounds, warm_up = (50, 5) if device == 'cuda' else (2, 1)
frames = [frame[..., 1].copy() for frame in frames_of(read_photographs(), size)]
detector = Detector.from_weights(device=device, max_keypoints=1000)
engine = detector.engine
print(f'{detector.weights.stem}, {engine.name} {engine.precision} on {detector.device}, {size}')
for count in map(int, batches):
    batch = [frames[index % len(frames)] for index in range(count)]
    times = []
    for turn in range(-warm_up, rounds):
        start = time.perf_counter()
        detector(batch)  # returns NumPy arrays: all work on the device is done
        if turn >= 0:
            times.append(time.perf_counter() - start)
    median = sorted(times)[len(times) // 2]
    print(f'batch {count}: {1e3 * median:.2f} ms, {count / median:.0f} frames per second')
PYTHON
}

# Steps per second from the difference of a long and a short training, without start and end.
measure_training() {
    local began steps short='' images seconds runs
    images=$("$python" -c 'from superpoint_ros.resources import demo_photographs
print(demo_photographs()[0].parent)') || return
    runs=$(mktemp -d) || return
    trap 'rm -rf "$runs"' EXIT  # also after the time limit
    for steps in "${lengths[@]}"; do
        began=$(date +%s.%N)
        "$python" -m superpoint_ros.cli.main train superpoint "${recipe[@]}" --images "$images" \
            --max_steps "$steps" --accelerator $accelerator --out "$runs/$steps" || return
        seconds=$("$python" -c "print($(date +%s.%N) - $began)")
        if [ -z "$short" ]; then
            short=$seconds
        else
            "$python" -c "rate = ($steps - ${lengths[0]}) / ($seconds - $short)
print(f'{rate:.2f} training steps per second')"
        fi
    done
}

export -f describe measure_batches measure_training
export python device accelerator
run() {
    # Arrays cannot be exported to the shell that `timeout` starts.
    local name=$1 limit=$2
    step "$name" "$limit" bash -c "set -o pipefail
$(declare -p batches lengths recipe); $3"
}

printf '# GPU check, %s\n\n' "$(date -u +%Y-%m-%d)" > "$report"
superpoint=("$python" -m superpoint_ros.cli.main)
run machine 60 describe
step tests 480 "$python" -m pytest -q -rs --timeout=300 "${tests[@]}" -k "$select"
step frames 240 "${superpoint[@]}" benchmark --frames "${cases[@]}" --out "$out/frames"
step node 120 "${superpoint[@]}" benchmark --node "${cases[@]}" --out "$out/node"
run batches 120 measure_batches
run training 180 measure_training

printf '\nReport: %s\n' "$report"
if [ ${#failed[@]} -gt 0 ]; then
    printf 'FAILED: %s\n' "${failed[@]}"
    exit 1
fi
