"""The network and its decoding in the formats of other programs and languages."""
