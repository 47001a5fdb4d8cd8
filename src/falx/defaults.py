"""What falx does where nothing else is asked for; light, so that the command line can show it."""

RECIPE = "lite"
WEIGHTS = "imagenet"
SPLIT = "70/15/15"
DEMO_SLICES = 1200
PRETRAINING_SLICES = 64_000
PRETRAINING_SIZE = 160
PRETRAINING_BATCH = 32
PRETRAINING_SMALL_SHARE = 0.6
PRETRAINING_RATE = 1e-3
BANK_GB = 8.0
MAP_SLICES = 30
FOLDS = 5
REPEATS = 1
MOST_SEED = 2**31 - 1
