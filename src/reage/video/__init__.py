"""Video: reads and writes it, follows the people in it, and ages them without flicker; needs the extra `video`."""
