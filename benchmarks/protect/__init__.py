"""What `leaq protect` is worth: leak against accuracy of every quantizer with and without it, on twelve tasks."""
