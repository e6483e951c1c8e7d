"""Sound in and out: files, devices, resampling, mel spectrograms."""
