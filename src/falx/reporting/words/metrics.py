"""What each metric is, in a few words for tables."""

from __future__ import annotations

GLOSSES = {
    "accuracy": "fraction of slices classified correctly",
    "balanced_accuracy": "mean of the recall of each class",
    "sensitivity": "true positive rate: fraction of positive slices classified as positive",
    "specificity": "true negative rate: fraction of negative slices classified as negative",
    "precision": "positive predictive value: fraction of positive predictions that are correct",
    "f1": "harmonic mean of precision and sensitivity",
    "roc_auc": "area under the ROC curve; 0.5 is chance",
    "average_precision": "area under the precision-recall curve",
    "log_loss": "cross-entropy; lower is better",
    "brier": "mean squared error of the probability; lower is better",
    "calibration_error": "expected calibration error; lower is better",
    "mcc": "from −1 to 1; 0 is chance",
}
