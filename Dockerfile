# ROS 2 with this package, built as README.md describes. CPU and CUDA:
#
#   docker build -t superpoint_ros .
#   docker run --rm -it --net host --gpus all superpoint_ros \
#       ros2 launch superpoint_ros detector.launch.py image:=/camera/image_raw
#
# PyTorch's default build contains CUDA (several gigabytes). For the CPU build, add
# --build-arg TORCH_SPEC=torch==2.13.0+cpu --build-arg PIP_EXTRA_INDEX_URL=... with the address that
# PyTorch's "Get Started" page gives for "CPU".
ARG ROS_DISTRO=jazzy
FROM ros:${ROS_DISTRO}

SHELL ["/bin/bash", "-c"]
WORKDIR /ros2_ws
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3-venv python3-colcon-common-extensions \
    && rm -rf /var/lib/apt/lists/*

COPY . src/superpoint_ros
RUN apt-get update \
    && rosdep update --rosdistro "$ROS_DISTRO" \
    && rosdep install -y --from-paths src --ignore-src --skip-keys 'python3-torch python3-numba' \
    && rm -rf /var/lib/apt/lists/*

ARG TORCH_SPEC=torch
ARG PIP_EXTRA_INDEX_URL=
RUN python3 -m venv --system-site-packages .venv \
    && touch .venv/COLCON_IGNORE \
    && .venv/bin/pip install --no-cache-dir "$TORCH_SPEC" safetensors 'numba>=0.59' openvino \
        'setuptools<80' \
    && source "/opt/ros/$ROS_DISTRO/setup.bash" \
    && colcon build --packages-select superpoint_ros

# Compile for this processor now: otherwise, each container compiles for up to a minute at its start.
RUN source install/setup.bash \
    && ros2 run superpoint_ros superpoint compile

# With the network of the host, Fast DDS also offers its shared memory to nodes of the host, which
# cannot open it: topics are listed, but no message arrives.
ENV FASTDDS_BUILTIN_TRANSPORTS=UDPv4

ENTRYPOINT ["/bin/bash", "-c", "source /ros2_ws/install/setup.bash && exec \"$@\"", "--"]
CMD ["ros2", "launch", "superpoint_ros", "demo.launch.py"]
