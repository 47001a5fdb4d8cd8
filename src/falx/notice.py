"""What falx is not, said once on every page, report and answer."""

NOTICE = "Decision support for research, not a medical device."
