# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The settings of how a network runs, for the node, the command line and RTAB-Map."""

from __future__ import annotations

from dataclasses import dataclass

from superpoint_ros.common.settings_table import setting, SettingsGroup

PRECISIONS = ('auto', 'float32', 'bfloat16', 'float16', 'int8')
ENGINES = ('auto', 'torch', 'openvino', 'onnxruntime')


@dataclass(frozen=True)
class ExecutionSettings(SettingsGroup):
    """
    Weight file of a network, and how it runs.

    `engines.engine.create_engine` checks whether the values fit together and the machine.
    """

    weights: str = setting(
        '',
        'Path of the weight file, or the name of one of the package, such as superpoint_nano; '
        'empty: superpoint_compact.',
        constraint='a .safetensors file of this package, or a .pth file of SuperPoint',
    )
    device: str = setting(
        'auto',
        'Device that runs the network; auto takes CUDA if it is available, else the CPU.',
        constraint='auto, cpu, cuda or cuda:N',
        live=False,
    )
    precision: str = setting(
        'auto',
        'Number type of the network. auto takes float16 on CUDA. On a CPU it takes int8 in '
        'OpenVINO if the processor has VNNI and the weight file has activation ranges, else '
        'bfloat16 if the processor supports it, else float32. float16 needs CUDA, int8 needs '
        'OpenVINO.',
        choices=PRECISIONS,
        live=False,
    )
    engine: str = setting(
        'auto',
        'Library that runs the network. On a CPU, auto takes OpenVINO if it is installed, else '
        'PyTorch.',
        choices=ENGINES,
        live=False,
    )
    providers: str = setting(
        '',
        'Execution providers of the engine onnxruntime, in order of preference, separated by '
        'commas. Empty: CPUExecutionProvider.',
        constraint='names of onnxruntime.get_available_providers()',
        live=False,
    )
    threads: int = setting(
        0,
        'Number of CPU threads for the network and the detection. 0: one per core.',
        range=(0, 256),
        live=False,
    )
