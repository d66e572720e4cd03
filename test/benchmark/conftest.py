# Copyright 2026 The superpoint_ros developers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""A small network and its weight file, on one thread."""

from __future__ import annotations

import cv2
import pytest
import torch

from superpoint_ros.benchmark.contenders import Network
from superpoint_ros.network import SuperPoint, SuperPointConfig
from superpoint_ros.weights import save_weights, WeightsMetadata


@pytest.fixture(autouse=True)
def threads_are_as_before():
    before = torch.get_num_threads(), cv2.getNumThreads()
    yield
    torch.set_num_threads(before[0])
    cv2.setNumThreads(before[1])


@pytest.fixture(scope='session')
def tiny(tmp_path_factory):
    """Return a small network with the weights of a file."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = SuperPoint(SuperPointConfig((4, 4, 8, 8), 8, 16))
        for name, parameter in model.named_parameters():
            if name.endswith('weight'):
                torch.nn.init.kaiming_normal_(parameter)
    path = tmp_path_factory.mktemp('weights') / 'tiny.safetensors'
    save_weights(path, model, WeightsMetadata(recipe='random'))
    return Network('tiny', str(path))
