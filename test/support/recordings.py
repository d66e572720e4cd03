# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Small recordings in the layouts of public benchmarks."""

from __future__ import annotations

import cv2
import numpy as np

CALIBRATION = """
image_width: 32
image_height: 24
distortion_model: plumb_bob
camera_matrix: {rows: 3, cols: 3, data: [20, 0, 15.5, 0, 21, 11.5, 0, 0, 1]}
distortion_coefficients: {rows: 1, cols: 5, data: [0.1, 0.2, 0, 0, 0.3]}
"""
QUARTER = np.sqrt(0.5)
TUM_POSES = f"""# timestamp tx ty tz qx qy qz qw
100.00 1 2 3 0 0 0 1
100.10 2 2 3 0 0 {QUARTER} {QUARTER}
100.20 3 2 3 0 0 -{QUARTER} -{QUARTER}
101.00 9 9 9 0 0 0 1
"""
EUROC_SENSOR = """%YAML:1.0
sensor_type: camera
T_BS:
  cols: 4
  rows: 4
  data: [0, -1, 0, 0.5, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
rate_hz: 20
resolution: [32, 24]
camera_model: pinhole
intrinsics: [20.5, 21.5, 15, 11]  # fu, fv, cu, cv
distortion_model: radial-tangential
distortion_coefficients: [-0.28, 0.07, 0.0002, 1.7e-05]
"""
EUROC_START = 1403636579763555584


def write_image(path, value):
    """Write a gray image of 32x24 pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((24, 32), value, np.uint8))


def write_tum(folder, stamps, listed=True):
    """Write images at stamps, given as text, listed in rgb.txt or not, and TUM_POSES."""
    for index, stamp in enumerate(stamps):
        write_image(folder / 'rgb' / f'{stamp}.png', 10 * index)
    if listed:
        lines = [f'{stamp} rgb/{stamp}.png' for stamp in stamps]
        (folder / 'rgb.txt').write_text('# color images\n' + '\n'.join(lines))
    (folder / 'groundtruth.txt').write_text(TUM_POSES)
    return folder


def write_depth(path, values):
    """Write a depth image of 32x24 pixels, 16 bits; `values` is one number or (24, 32)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.broadcast_to(np.uint16(values), (24, 32)))


def write_kitti(root, cameras=(0,)):
    """
    Write three images of each camera, times, calibration and poses; return the sequence.

    Camera 1 stands 0.5 m to the right of camera 0, camera 2 stands 0.06 m to the left.
    """
    folder = root / 'sequences' / '07'
    for camera in cameras:
        for index in range(3):
            write_image(
                folder / f'image_{camera}' / f'{index:06d}.png', 100 * (camera > 0) + index
            )
    (folder / 'times.txt').write_text('0.0\n1.0e-01\n2.0e-01\n')
    # 700 px times the position of the first camera in the other one.
    shifts = {'P0': 0, 'P1': -350, 'P2': 42}
    lines = [f'{name}: 700 0 15 {x} 0 700 11 0 0 0 1 0' for name, x in shifts.items()]
    (folder / 'calib.txt').write_text('\n'.join(lines))
    # In the last image, x of the camera is -z of the world.
    poses = ['1 0 0 0 0 1 0 0 0 0 1 0', '1 0 0 1 0 1 0 0 0 0 1 2', '0 0 1 2 0 1 0 0 -1 0 0 4']
    (root / 'poses').mkdir()
    (root / 'poses' / '07.txt').write_text('\n'.join(poses))
    return folder


def write_euroc(root, name='state_groundtruth_estimate0'):
    """
    Write two cameras with three images, and poses of the body 10 ms before and after each.

    The second camera is 0.1 m further along x of the body, which is -y of the cameras.
    """
    stamps = [EUROC_START + 50_000_000 * index for index in range(3)]
    for camera in (0, 1):
        folder = root / 'mav0' / f'cam{camera}'
        for index, stamp in enumerate(stamps):
            write_image(folder / 'data' / f'{stamp}.png', 100 * camera + index)
        lines = [f'{stamp},{stamp}.png' for stamp in stamps]
        (folder / 'data.csv').write_text('#timestamp [ns],filename\r\n' + '\r\n'.join(lines))
        sensor = EUROC_SENSOR.replace('0, 0.5, 1', f'0, {0.5 + 0.1 * camera:g}, 1')
        (folder / 'sensor.yaml').write_text(sensor)
    # The body moves by 0.02 m in 20 ms and stands rotated by 180 degrees about z (w = 0).
    poses = [
        f'{stamp + offset},{(stamp + offset - EUROC_START) / 1e9:.9f},2,3,0,0,0,1,0.1,0.2'
        for stamp in stamps
        for offset in (-10_000_000, 10_000_000)
    ]
    (root / 'mav0' / name).mkdir()
    (root / 'mav0' / name / 'data.csv').write_text('#timestamp, p_RS_R_x [m]\n' + '\n'.join(poses))
    return root
