"""Arithmetic without opinions: intervals, ROC curves, ranks, digits. numpy and scipy only."""
