"""One network a file: tensors in, tensors out; no files, devices or prints."""
