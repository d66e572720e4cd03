"""Following features through a sequence of images, and the camera's motion from them."""
