"""Arithmetic without opinions: intervals, ROC curves, moments, digits. numpy and scipy only."""
