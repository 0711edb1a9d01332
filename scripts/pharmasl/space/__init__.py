"""Where voxels lie."""
