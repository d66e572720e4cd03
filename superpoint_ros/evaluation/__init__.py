"""Measurements of detectors and descriptors on data whose truth is known, beside other methods."""
