# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
What all folders may use: settings, compiled loops, images, files, and users' terminals.

- Settings: `settings_table` declares a setting once, with type, default, range, unit and help.
- Speed: `compiled` compiles loops and stores the machine code.
- Images: `contrast` stretches dark and hazy ones.
- Files: `file_reading` reads folders, texts and arrays, `file_writing` writes completely or not at
  all.
- Terminals: `interruptions` treats Ctrl-C, `standard_streams` closed streams, `wording` has the
  words of messages.
"""
