"""Score the classifier and the detector."""
