#!/usr/bin/env bash
# Makes a virtual environment with everything that the demo (or, with the argument 'test', the
# checks and tests) needs. If that was done before, it returns at once. The ROS distribution is
# jazzy (default; the environment is .venv) or kilted (.venv_kilted, with the packages that the
# tests of the nodes need).
#
#   bash scripts/setup.sh [demo|test] [jazzy|kilted]
#
# Environment variables:
#   PYTHON      the Python to use (default: the first of python3, python3.12, 3.11, 3.10 that fits)
#   TORCH_SPEC  the PyTorch to install, as pip understands it (default: torch==2.13.0, and where
#               there is none for this Python, torch>=2.1)
#   PIP_...     as pip understands them: PIP_EXTRA_INDEX_URL, PIP_FIND_LINKS, ...
set -euo pipefail

case ${1:-} in
    -h | --help)
        sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
        exit
        ;;
esac

cd "$(dirname "${BASH_SOURCE[0]}")/.."
purpose=${1:-demo}
distribution=${2:-jazzy}

fail() {
    printf 'setup: %s\n' "$@" >&2
    exit 1
}

say() {
    printf 'setup: %s\n' "$*" >&2
}

case $purpose.$distribution in
    demo.jazzy) extras=ros ;;
    demo.kilted) extras=ros-kilted ;;
    test.jazzy) extras=ros,openvino,train,export,evaluate,scenes,benchmark,colmap,rerun,test,dev ;;
    test.kilted) extras=ros-kilted,bags,test ;;
    *.jazzy | *.kilted) fail "no such purpose: $purpose (demo or test)" ;;
    *) fail "no such distribution: $distribution (jazzy or kilted)" ;;
esac
case $distribution in
    jazzy) environment=.venv ;;
    *) environment=.venv_$distribution ;;
esac

# Python 3.10 to 3.12: those for which the wheels of ROS 2 are known to work.
fits() {
    "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        fits "$PYTHON" || fail "PYTHON=$PYTHON is not a Python of version 3.10, 3.11 or 3.12"
        echo "$PYTHON"
        return
    fi
    local candidate without_venv=
    for candidate in python3 python3.12 python3.11 python3.10; do
        if fits "$candidate"; then
            if "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
                echo "$candidate"
                return
            fi
            without_venv=${without_venv:-$candidate}
        fi
    done
    if [ -n "$without_venv" ]; then
        local version
        version=$("$without_venv" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        fail "$without_venv cannot make virtual environments: its venv module is missing." \
            "On Debian and Ubuntu: sudo apt install python$version-venv"
    fi
    fail 'found no Python of version 3.10, 3.11 or 3.12.' \
        'On Debian 12, Ubuntu 22.04 and 24.04: sudo apt install python3 python3-venv' \
        'Or name one that is not in the PATH: PYTHON=/path/to/python3.12 bash scripts/...'
}

# ROS 2's wheels and the demo's measurements exist for this kind of machine alone.
[ "$(uname -s) $(uname -m)" = 'Linux x86_64' ] ||
    fail "ROS 2 comes from PyPI for Linux on x86-64 only, this is $(uname -s) on $(uname -m)." \
        'Where ROS 2 is installed, build with colcon instead: see README.md.'

# What is installed depends on these: another content, another stamp.
stamp=$environment/.set_up_for_$purpose
wanted=$(cat scripts/setup.sh setup.py setup.cfg pyproject.toml | sha256sum)
wanted="${wanted%% *} ${TORCH_SPEC:-} $PWD"
is_done() {
    [ -f "$1" ] && [ "$(cat "$1")" = "$wanted" ]
}
# An environment that the tests can use serves the demo as well.
if is_done "$stamp" || is_done "$environment/.set_up_for_test"; then
    exit 0
fi

if ! $environment/bin/python -c '' 2>/dev/null; then
    python=$(find_python)
    say "making $environment with $("$python" --version)"
    "$python" -m venv --clear $environment
elif ! fits $environment/bin/python; then
    fail "$environment holds $($environment/bin/python --version)," \
        'but 3.10, 3.11 or 3.12 is needed: move it away'
fi
pip() {
    $environment/bin/python -m pip install --quiet --disable-pip-version-check --no-compile "$@"
}

say "installing PyTorch, ROS 2 ${distribution^} and the package: minutes, the first time"
# Each step says what it is about: pip is quiet, and torch is large.
torch=${TORCH_SPEC:-torch==2.13.0}
say "1 of 2: $torch"
if ! pip "$torch"; then
    [ -z "${TORCH_SPEC:-}" ] || fail "pip cannot install TORCH_SPEC=$TORCH_SPEC"
    say "2.13.0 does not exist for this Python: installing another version"
    pip 'torch>=2.1'
fi
say "2 of 2: superpoint_ros[$extras]"
pip --editable ".[$extras]"
say "compiling for the first start of the nodes"
# pip would use one core, and leaves out the package, which it does not copy. Some packages contain
# examples in other versions of Python.
$environment/bin/python -m compileall -qq -j 0 $environment/lib superpoint_ros || true
$environment/bin/superpoint compile >&2 ||
    say 'the code could not be saved: the first start of each node compiles'

printf '%s\n' "$wanted" >"$stamp"
say "done: $environment"
