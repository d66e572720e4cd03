# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Rendered 3-D scenes: pairs of views with exact depth, pose, correspondences and visibility.

- From files to scenes: `sources`, `glb_meshes`, `gltf_files`, `meshes`.
- Their variation: `variations`, `decoration`, `streets`.
- Rendering: `ray_casting`, `texture_lookup`, `changing_light`.
- Pairs of views: `pairs`, `cameras`, `correspondences`, `pair_cache`, `pair_pictures`.
- Flights: `flights`, `flight_settings`, `path_planning`.
"""
