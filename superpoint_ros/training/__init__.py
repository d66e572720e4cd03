# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Make weights: data sets, losses, recipes, the training loop.

- Recipes: `training_recipes`, `adaptation_recipe`, `recipe_files`.
- Pseudo labels: `pseudo_labels`, `homographic_adaptation`, `adaptation_candidates`, `label_files`.
- Data: `data_loading`, `shape_dataset`, `pair_dataset`, `rendered_dataset`, `photographs`,
  `image_lists`.
- Targets and losses: `targets`, `losses`, `distillation`.
- Runs: `trainer`, `lightning_modules`, `validation`, `checkpoints`.
- Start from other weights: `initialization`, `channel_selection`.
"""
