"""Whether a training fits: activations measured without a GPU, all else by the rules of DeepSpeed's ZeRO."""
