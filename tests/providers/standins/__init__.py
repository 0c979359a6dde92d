"""Local servers that behave as the providers do, and refuse what they would refuse. See `base`."""
