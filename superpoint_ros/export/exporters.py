# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Writers of files for other programs: the weights, or the whole detector as a graph.

- `.pth`: a state dictionary with the names of `superpoint_v1.pth`;
- `.onnx`: the graph for ONNX Runtime, TensorRT, OpenVINO and others;
- `.pt`: the graph as TorchScript, for `torch::jit::load` in C++.

Files are written atomically.
"""

from __future__ import annotations

from dataclasses import replace
import io
import logging
from pathlib import Path
import warnings

import torch

from superpoint_ros.common.file_writing import write_atomically
from superpoint_ros.common.settings_table import table_of
from superpoint_ros.detection.pipeline import PaddedFeatures
from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.export.graph import DetectorGraph, IMAGE_TYPES, UNSUPPORTED
from superpoint_ros.model.config import PAPER
from superpoint_ros.model.superpoint import fold_batch_norm, SuperPoint
from superpoint_ros.model.weights import WeightsMetadata

SUFFIXES = ('.pth', '.onnx', '.pt')

INPUTS = ('image', 'threshold')
OUTPUTS = PaddedFeatures._fields
SETTINGS = tuple(name for name in table_of(DetectionSettings) if name not in UNSUPPORTED)

_EXAMPLE = (2, 1, 120, 160)
"""Shape of the images for tracing; the graph must not depend on its numbers."""


def write_pth(path: Path, model: SuperPoint) -> None:
    """
    Write the weights with batch norm folded, under the names of `superpoint_v1.pth`.

    The fine descriptors of a network with the paper's widths are left out: such networks are
    trained to be used without them, too. Raises ValueError for networks with batch norm after
    ReLU, which cannot be folded, and for those with other layers than the paper's.
    """
    if model.config.normalization != 'none':
        model = fold_batch_norm(model)
    config = model.config
    if replace(config, fine_channels=0) == PAPER:
        config = PAPER
    if config.layers.keys() != PAPER.layers.keys() or config.downsampling != PAPER.downsampling:
        raise ValueError(
            'a .pth file does not record the layers of its network, and programs expect '
            f'{PAPER.form} and no fine descriptors; this network has {config.form}: export it to '
            '.onnx or .pt, or export models/superpoint.safetensors'
        )
    state = {
        name: value.detach().cpu().clone()
        for name, value in model.state_dict().items()
        if name.partition('.')[0] in config.layers
    }
    content = io.BytesIO()
    torch.save(state, content)
    write_atomically(path, content.getvalue())


def write_onnx(
    path: Path, graph: DetectorGraph, metadata: WeightsMetadata, image_type: str = 'uint8'
) -> None:
    """
    Write the graph as ONNX with variable batch size, height and width.

    The metadata of the model contain the settings, including the intended threshold.
    """
    import onnx
    import onnxscript  # noqa: F401 (the exporter needs it, and its error does not name it)

    # It warns about operations of other packages, which are not needed.
    logging.getLogger('torch.onnx').setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter('ignore')
        program = torch.onnx.export(
            graph,
            _example(image_type, 'cpu'),
            dynamo=True,
            verbose=False,
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            dynamic_shapes={'image': {0: 'batch', 2: 'height', 3: 'width'}, 'threshold': None},
        )
    model = program.model_proto
    for name, value in _description(graph, metadata, image_type).items():
        model.metadata_props.add(key=name, value=str(value))
    onnx.checker.check_model(model)
    write_atomically(path, model.SerializeToString())


def write_torchscript(
    path: Path,
    graph: DetectorGraph,
    metadata: WeightsMetadata,
    image_type: str = 'uint8',
    device: str = 'cpu',
) -> None:
    """
    Write the graph as TorchScript, which runs on the type of device that it was traced on.

    Its extra file `description.txt` contains the settings.
    """
    with warnings.catch_warnings(), torch.no_grad():
        # It warns about checks of shapes, and that newer functions exist.
        warnings.simplefilter('ignore')
        traced = torch.jit.trace(graph.to(device), _example(image_type, device), check_trace=False)
        lines = [
            f'{key}: {text}' for key, text in _description(graph, metadata, image_type).items()
        ]
        content = io.BytesIO()
        torch.jit.save(traced, content, _extra_files={'description.txt': '\n'.join(lines)})
    write_atomically(path, content.getvalue())


def _example(image_type: str, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return inputs for tracing; raise ValueError for an unknown type of images."""
    if image_type not in IMAGE_TYPES:
        raise ValueError(
            f'the type of images must be {" or ".join(IMAGE_TYPES)}, got {image_type!r}'
        )
    image = torch.zeros(_EXAMPLE, dtype=IMAGE_TYPES[image_type], device=device)
    return image, torch.tensor([0.001], device=device)


def _description(graph: DetectorGraph, metadata: WeightsMetadata, image_type: str) -> dict:
    """Return the description of inputs, outputs and settings of the graph, by name."""
    return {
        'image': f'{image_type} (batch, 1, height, width), '
        + ('0 to 255' if image_type == 'uint8' else '0 to 1'),
        'coordinates': 'x, y in pixels, the centre of the top-left pixel is 0, 0',
        **{name: getattr(graph.settings, name) for name in SETTINGS},
        'rounds': graph.rounds,
        **vars(metadata),
    }
