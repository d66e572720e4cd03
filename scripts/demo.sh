#!/usr/bin/env bash
# Runs the camera player and the detector node as two processes with real topics between them,
# measures, and leaves a picture. Needs no ROS: the first start sets up .venv.
#
#   bash scripts/demo.sh [PATH] [--seconds N] ...
#
# PATH is an image, a folder of images, a video, a bag or a camera (/dev/video0); by default a
# virtual camera moves over photographs that come with the package. With --odometry a camera flies
# through a simulated room, and tracker and visual odometry estimate its trajectory. --help lists
# all options after the first start.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
case " $* " in
    *' -h '* | *' --help '*)
        # Help does not install anything.
        if [ ! -x "$here/.venv/bin/superpoint" ]; then
            sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
            exit
        fi
        ;;
esac
bash "$here/scripts/setup.sh" demo
# Not `python -m`: next to this repository, that takes its folder for the package of its name.
exec "$here/.venv/bin/superpoint" demo --output "$here/runs/demo" "$@"
