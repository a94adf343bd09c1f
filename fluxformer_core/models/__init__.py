"""What is computed: models that turn a clip's tensors into logits and an embedding. No files, clocks or labels."""
