"""The command line: one thin module per command, see `superpoint_ros.commands.main`."""
