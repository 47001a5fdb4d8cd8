"""What falx is not, said once on every page, report and answer, and what it owes."""

NOTICE = "Decision support for research, not a medical device."

CREDIT = (
    "Contains weights learned from Brain-Tumor-Progression: K. M. Schmainda and M. A. Prah (2018), "
    "The Cancer Imaging Archive, https://doi.org/10.7937/K9/TCIA.2018.15quzvnb, under CC BY 3.0 "
    "(https://creativecommons.org/licenses/by/3.0/); the images were resampled and used to train."
)
"""What the license of data that the detector that ships has learned from asks to be passed on."""
