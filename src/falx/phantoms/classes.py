"""What a phantom can show: kinds of tumor, of lesions that are none, and planes."""

KINDS = ("glioma", "meningioma", "pituitary", "metastasis", "low_grade", "residual")
"""Kinds of tumor; "residual" is tumor at the wall of a resection cavity."""

MIMICS = ("infarct", "cyst", "hemorrhage", "gliosis", "cavity", "edema")
"""Kinds of lesion that are not tumors; slices of both classes have them."""

PLANE_NAMES = ("high", "middle", "low", "base", "neck", "coronal", "sagittal")
"""Axial slices above the ventricles, through their bodies, through the basal ganglia, through the
skull base, and below the brain; coronal and sagittal slices."""
