# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Export weights, or the whole detector as a graph, for other programs and languages.

  superpoint export --out superpoint.pth    the weights, where superpoint_v1.pth is loaded
  superpoint export --out superpoint.onnx   the detector for ONNX Runtime, TensorRT, OpenVINO ...
  superpoint export --out superpoint.pt     the detector as TorchScript, for torch::jit::load

A graph takes images (B, 1, H, W) of any size from 16x16 and the threshold, (1,). It returns the K
keypoints with the highest scores (B, K, 2), scores (B, K), descriptors (B, K, D) and valid
(B, K), false for unused rows. K is --max-keypoints; it and the other settings are fixed in the
file. The file is run on the photographs of the package and compared with the Detector.

Exit status: 0 done; 1 the file was written but its results differ; 2 wrong input.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from superpoint_ros.cli.options import (
    add_detector_options,
    keep_inputs,
    make_detector,
    output_file,
)

if TYPE_CHECKING:
    import numpy as np

    from superpoint_ros.detector import Detector
    from superpoint_ros.export.graph import DetectorGraph


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        '--out',
        required=True,
        type=output_file,
        metavar='FILE',
        help='.pth, .onnx or .pt, see above',
    )
    parser.add_argument(
        '--image',
        choices=('uint8', 'float32'),
        default='uint8',
        help='type of the images of a graph: 0 to 255, or 0 to 1 (default: %(default)s)',
    )
    parser.add_argument(
        '--rounds',
        type=int,
        default=12,
        metavar='N',
        help='rounds of non-maximum suppression in a graph (default: %(default)s); photographs '
        'need four at the default settings',
    )
    add_detector_options(parser, {'min_contrast': 0}, names=('weights',))
    parser.add_argument(
        '--device', default='cpu', help='device of TorchScript, cpu or cuda (default: cpu)'
    )


def run(args: argparse.Namespace) -> int:
    """Write the file, compare it with the detector, and return the exit status."""
    from superpoint_ros.engines.engine import find_device
    from superpoint_ros.export.exporters import SUFFIXES, write_onnx, write_pth, write_torchscript
    from superpoint_ros.export.graph import DetectorGraph
    from superpoint_ros.model.weights import load_weights

    kind = args.out.suffix
    if kind not in SUFFIXES:
        raise ValueError(f'--out must end in {", ".join(SUFFIXES)}; got {args.out.name}')
    find_device(args.device)  # an error comes before the work
    detector = make_detector(args, device='cpu', engine='torch', precision='float32')  # reference
    keep_inputs([detector.weights], [args.out])
    model, metadata = load_weights(detector.weights)
    if kind == '.pth':
        write_pth(args.out, model)
        print(f'{args.out}: {_who_loads(model)}')
        return 0
    graph = DetectorGraph(model, detector.settings, args.rounds)
    if kind == '.onnx':
        write_onnx(args.out, graph, metadata, args.image)
    else:
        write_torchscript(args.out, graph, metadata, args.image, args.device)
    return _report(args, graph, detector)


def _who_loads(model) -> str:
    """Return which programs load the weights."""
    from dataclasses import replace

    from superpoint_ros.model.config import PAPER

    if replace(model.config, fine_channels=0) == PAPER:  # as `write_pth` decides
        fine = ', without the fine part of the descriptors' if model.config.fine_channels else ''
        return f'loads where superpoint_v1.pth does{fine}'
    return (
        'has the names of superpoint_v1.pth but other widths: programs that read the widths from '
        'the file can load it; programs with fixed widths need the paper configuration'
    )


def _report(args: argparse.Namespace, graph: DetectorGraph, detector: Detector) -> int:
    """Compare the file with the detector, print the agreement and return the exit status."""
    from superpoint_ros.data.sequences.image_files import read_image
    from superpoint_ros.export.check import compare, open_onnx, open_torchscript
    from superpoint_ros.resources import demo_photographs

    path = args.out
    if path.suffix == '.onnx':
        try:
            exported = open_onnx(path)
        except ModuleNotFoundError:
            print(f'{path}: written; not compared, as onnxruntime is not installed')
            return 0
    else:
        exported = open_torchscript(path, args.image == 'float32', args.device)
    photographs = [read_image(image) for image in demo_photographs()]
    agreement = compare(exported, detector, photographs)
    print(
        f'{path}: {agreement.shared} of {agreement.keypoints} keypoints in {agreement.images} '
        f"photographs equal the Detector's; scores differ by at most {agreement.score:.1e}, "
        f'descriptors by {agreement.descriptor:.1e}'
    )
    if agreement.holds:
        return 0
    print(f'superpoint: {_explain_difference(graph, photographs)}', file=sys.stderr)
    return 1


def _explain_difference(graph: DetectorGraph, photographs: list[np.ndarray]) -> str:
    """Return why keypoints in gray photographs may differ from the detector's."""
    import torch

    graph, threshold = graph.cpu(), torch.tensor([graph.settings.threshold])
    with torch.inference_mode():
        for photograph in photographs:
            steps, _ = graph.steps(torch.from_numpy(photograph)[None, None], threshold)
            if steps.undecided.any():
                return f'--rounds {graph.rounds} is too small: suppression is not finished'
    return (
        'this is more than rounding, unless the weights are hardly trained: with scores that are '
        'nearly equal, rounding decides which ones are the best'
    )
