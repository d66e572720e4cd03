#!/usr/bin/env bash
# Runs all checks and tests, then the demo; fails if any of them fails. The first run sets up .venv.
# With --kilted, it runs nothing but the tests of the nodes (all but those of bags and the soak) on
# ROS 2 Kilted, in .venv_kilted.
#
#   bash scripts/test.sh [--kilted] [PYTEST ARGUMENT...]
set -uo pipefail

case ${1:-} in
    -h | --help)
        sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
        exit
        ;;
esac

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
unset PYTHONDONTWRITEBYTECODE  # each process would compile the tests for itself
failed=()

check() {
    local name=$1
    shift
    printf '\n== %s\n' "$name"
    "$@" || failed+=("$name")
}

# pytest's own limits end no test that hangs outside Python. All limits are several times what a
# stage takes on an idle machine of two cores.
run_limited() {
    timeout --foreground --kill-after=30 "$@"
}

# Each of at most four processes takes a half of the tests in their order, then a half of what
# another one has left, so that the tests of a file mostly share a process and its fixtures.
run_pytest() {
    run_limited 45m "$bin/python" -m pytest --numprocesses "$(nproc)" --maxprocesses 4 \
        --dist worksteal --timeout=300 --durations=5 "$@"
}

if [ "${1:-}" = --kilted ]; then
    shift
    bash scripts/setup.sh test kilted || exit 1
    bin=.venv_kilted/bin
    # Bags do not depend on the distribution, and the soak takes minutes.
    [ $# -gt 0 ] || set -- test/ros test/odometry/nodes \
        --ignore test/ros/bags --ignore test/ros/test_soak.py
    check 'tests of the nodes on ROS 2 Kilted' run_pytest "$@"
else
    bash scripts/setup.sh test || exit 1
    bin=.venv/bin
    check 'lint' $bin/ruff check .
    check 'format' $bin/ruff format --check .
    check 'imports' $bin/lint-imports
    check 'tests' run_pytest "$@"
    demo_pictures=$(mktemp -d)
    trap 'rm -rf "$demo_pictures"' EXIT
    check 'demo' run_limited 10m bash scripts/demo.sh --seconds 3 --output "$demo_pictures"
fi

printf '\n'
if [ ${#failed[@]} -gt 0 ]; then
    printf 'FAILED: %s\n' "${failed[@]}"
    exit 1
fi
printf 'All checks and tests passed.\n'
