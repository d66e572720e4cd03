"""All that speaks ROS 2: the nodes, their messages and their parameters."""
