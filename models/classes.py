"""What the network tells of a window."""

RHYTHMS = ("af", "flutter", "sinus", "other", "noise")  # one of them in each second
FINDINGS = ("pac", "pvc", "lbbb", "rbbb", "av_block_1", "brady", "tachy", "paced")  # any of them
OUTPUTS = (*RHYTHMS, *FINDINGS)
AF, FLUTTER, SINUS, OTHER, NOISE = range(len(RHYTHMS))
