"""What is measured of a window before the network sees it."""
