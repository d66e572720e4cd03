# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

r"""
Render a flight through a textured 3-D scene as a sequence with exact poses and depth.

  superpoint make-sequence house.glb --out flights/house --frames 400
  superpoint make-sequence --street buildings/ --motion drive --rate 10 --baseline 0.54 --out DIR

SCENE is a binary glTF file (.glb) in metres, z up; the objects of --street, one in each file, are
composed into a street. The camera keeps away from all surfaces. Images have motion blur, noise, a
changing exposure, and lamps or a sun that move. Pictures decorate plain surfaces.

DIR has the layout of EuRoC (ASL): mav0/cam0, mav0/cam1, state_groundtruth_estimate0, and depth of
cam0 in millimetres in mav0/depth0. 'superpoint evaluate odometry --data DIR' measures on it.
Rendering can be stopped at any time; the same command continues. Frames that another version of
the renderer made are rendered again.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TYPE_CHECKING

from superpoint_ros.cli.options import add_out, keep_inputs
from superpoint_ros.cli.scene_options import add_scene_options, interrupted
from superpoint_ros.cli.settings_options import add_options, read_options
from superpoint_ros.common.wording import counted
from superpoint_ros.data.scenes.flight_settings import FlightSettings

if TYPE_CHECKING:
    from superpoint_ros.data.scenes.flights import Flight
    from superpoint_ros.data.sequences.euroc_writer import EurocWriter

_SHOWN = 12
"""Frames in the picture that is written."""

_TRUTH_PER_FRAME = 10
"""Poses of the ground truth for each frame; EuRoC has 200 Hz for images at 20 Hz."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('scene', nargs='?', type=Path, metavar='SCENE', help='a .glb file')
    add_out(parser, 'folder of the sequence')
    parser.add_argument(
        '--pictures',
        type=Path,
        metavar='PHOTOS',
        help='folder of images for plain surfaces (default: those of the package)',
    )
    add_scene_options(parser)
    add_options(parser, FlightSettings)


def run(args: argparse.Namespace) -> int:
    """Render the frames that are missing; 1 if pictures were left out."""
    import json
    import sys

    import cv2

    from superpoint_ros.common.file_writing import write_atomically
    from superpoint_ros.data.scenes.flights import Flight
    from superpoint_ros.data.scenes.sources import list_glb, read_pictures, read_sources
    from superpoint_ros.data.sequences.euroc import DESCRIPTION
    from superpoint_ros.data.sequences.euroc_writer import EurocWriter, START
    from superpoint_ros.geometry.camera_model import CameraModel
    from superpoint_ros.resources import demo_photographs

    keep_inputs([args.pictures] if args.pictures else [], [args.out])
    settings = read_options(args, FlightSettings)
    if bool(args.scene) == bool(args.street):
        raise ValueError('give one scene, SCENE or --street')
    interiors, objects = list_glb([args.scene] if args.scene else []), list_glb(args.street)
    if len(interiors) > 1:
        raise ValueError(f'{args.scene} has {len(interiors)} scenes: give one of them')
    folder = args.pictures or demo_photographs()[0].parent
    made_by = _made_by(args, settings, interiors or objects, folder)
    _check_folder(args.out, made_by)
    scene = read_sources(interiors, objects, args.unit, args.up)[0]
    pictures, bad = read_pictures(folder)
    cv2.setNumThreads(1)
    flight = Flight(scene, pictures, settings)
    lens = settings.camera
    camera = CameraModel('plumb_bob', lens.matrix, [], (lens.width, lens.height))
    writer = EurocWriter(args.out, camera, settings.rate, settings.baseline, settings.depth)
    stamps = [START + round(flight.time_of(each) * 1e9) for each in range(settings.frames)]
    # Again, since another process may have begun while the scene was read.
    is_outdated = _check_folder(args.out, made_by)
    if is_outdated:
        print(
            f'superpoint: {args.out} has frames of another version of the renderer: '
            'they are rendered again',
            file=sys.stderr,
        )
        writer.remove(stamps)
    # After the removal, so that an interrupted one is repeated.
    write_atomically(args.out / DESCRIPTION, json.dumps(made_by, indent=1).encode())
    _render(flight, writer, stamps)
    _finish(flight, writer, stamps)
    _draw(writer, stamps, args.out / 'frames.jpg')
    print(f'{counted(len(stamps), "frame")}: see {args.out}')
    return 1 if bad else 0


def _made_by(
    args: argparse.Namespace, settings: FlightSettings, files: list[Path], pictures: Path
) -> dict[str, Any]:
    """Return what decides how the frames of a sequence look."""
    from dataclasses import asdict

    from superpoint_ros.data.scenes.flights import RENDERER_VERSION
    from superpoint_ros.data.scenes.sources import fingerprint
    from superpoint_ros.data.sequences.image_files import list_images

    scenes = {
        '--street' if args.street else 'SCENE': fingerprint(files),
        '--pictures': fingerprint(list_images(pictures)),
        '--unit': str(args.unit),
        '--up': args.up,
    }
    return {'renderer': RENDERER_VERSION, 'settings': asdict(settings), 'scenes': scenes}


def _check_folder(folder: Path, made_by: dict[str, Any]) -> bool:
    """
    Return whether another version of the renderer made the sequence in the folder.

    Raises ValueError if other settings or scenes made it, or another program.
    """
    import json

    from superpoint_ros.data.scenes.pair_cache import check_made_by
    from superpoint_ros.data.sequences.euroc import DESCRIPTION

    described = folder / DESCRIPTION
    if not described.exists():
        if (folder / 'mav0').exists():
            raise ValueError(
                f'{folder} has a sequence that superpoint make-sequence did not make; '
                'name another folder'
            )
        return False
    check_made_by(described, made_by)
    recorded = json.loads(described.read_text(encoding='utf-8'))
    return recorded.get('renderer') != made_by['renderer']


def _render(flight: Flight, writer: EurocWriter, stamps: list[int]) -> None:
    """Render the frames that are missing; `stamps` are those of all frames in nanoseconds."""
    from tqdm import tqdm

    wanted = [number for number, stamp in enumerate(stamps) if not writer.has(stamp)]
    done = len(stamps) - len(wanted)
    try:
        for number in tqdm(wanted, total=len(stamps), initial=done, unit='frame'):
            rendered = flight.frame(number)
            images = {'cam0': rendered.image}
            if rendered.second is not None:
                images['cam1'] = rendered.second
            writer.write(stamps[number], images, rendered.depth)
            done += 1
    except OSError as error:
        raise interrupted(error, counted(done, 'frame'), writer.root) from error


def _finish(flight: Flight, writer: EurocWriter, stamps: list[int]) -> None:
    """Write tables and calibrations; the ground truth has each stamp of an image."""
    import numpy as np

    from superpoint_ros.data.sequences.euroc_writer import START

    first = stamps[0]
    numbers = np.arange(_TRUTH_PER_FRAME * (len(stamps) - 1) + 1) / _TRUTH_PER_FRAME
    # At whole numbers these are the stamps of the images.
    truth = np.rint(np.interp(numbers, np.arange(len(stamps)), np.array(stamps) - first))

    def states() -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        for stamp in (first + int(each) for each in truth):
            seconds = (stamp - START) * 1e-9
            yield stamp, flight.trajectory.pose(seconds), flight.trajectory.velocity(seconds)

    writer.finish(stamps, states())


def _draw(writer: EurocWriter, stamps: list[int], path: Path) -> None:
    """Write a picture of some frames, spread over all."""
    from superpoint_ros.data.sequences.image_files import evenly_spaced, read_image
    from superpoint_ros.visualization import contact_sheet, write_picture

    shown = evenly_spaced(stamps, _SHOWN)
    images = [read_image(writer.path('cam0', stamp), color=True) for stamp in shown]
    captions = [f'{(stamp - stamps[0]) * 1e-9:.2f} s' for stamp in shown]
    write_picture(path, contact_sheet(images, 4, captions))
