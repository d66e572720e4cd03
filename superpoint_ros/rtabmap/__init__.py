"""What RTAB-Map loads of this package."""
