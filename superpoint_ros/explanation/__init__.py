"""What the network's output is, and how it is decided whether a pixel is a keypoint."""
