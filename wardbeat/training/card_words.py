"""What the model card says in words. None of it was measured here: no figure of the network may hide in it."""

NOT_FOR = (
    "Not a medical device: it was never tried on patients in care, and nobody has cleared it. It supports people who "
    "watch; it does not replace them, another monitor, or a 12-lead ECG read by a physician.",
    "Not a diagnosis. No treatment, such as anticoagulation or cardioversion, may rest on it.",
    "Not for life-threatening rhythms: ventricular tachycardia, fibrillation, asystole and extreme rates are not what "
    "the network was asked for. Rules on beats alarm on some of them, apart from it.",
    "Not for ischaemia, infarction, QT, electrolytes, chamber size, or whether a pacemaker works.",
    "Not for children or newborns, heart transplants, mechanical support or signals from within the heart: none of "
    "them was measured on its own.",
    "Not for comparing people, wards or sexes: the data does not tell who they are well enough to say that it errs "
    "alike on all.",
)
LIMITS = (
    "A probability is right for data mixed like that of its calibration. Where AF is rarer than there, as on most "
    "wards, it is too high.",
    "A prediction set keeps its promise on average over patients like those of its calibration, for each rhythm on its "
    "own. It promises nothing about one given patient, nor about a kind of patient or device that was not there.",
    "“other” is every rhythm that is neither AF, flutter, sinus nor noise, and is not told further.",
    "Training used a part of each database, chosen by what could be had openly. Results on the whole databases, as "
    "published elsewhere, are not comparable line by line.",
    "Labels are those of the databases, whose mistakes were learnt and counted along.",
)
CHOSEN = (
    "**No network learnt from the unmarked databases that it judges, but people chose while looking at them**, so the "
    "figures are optimistic for a new hospital: the constants of the alarms on AFPDB p and CPSC 2021, tried on NSRDB, "
    "AFDB, AFPDB n and MIT-BIH ([decision](../docs/decisions/0007-af-episodes.md)); how much the teacher weighs and "
    "how features are encoded on PTB-XL, CinC 2017, AFPDB p, CPSC 2021, MIT-BIH and AFDB "
    "([decision](../docs/decisions/0006-network.md)); how far calibration may move the network on the databases that "
    "calibrate it, one after another ([decision](../docs/decisions/0005-a-patient-counts-once.md)); the correlation of "
    "RR steps as a feature on NSRDB and AFDB ([features](../docs/rr-features.md)); the mix of synthetic patients on "
    "MIT-BIH and PTB-XL, tremor as noise because of MIT-BIH 101, a lead's scale on CinC 2017, and how long training "
    "is, its dropout and how often features and leads are dropped on PTB-XL, CPSC 2021, CinC 2017, AFPDB p and AFDB "
    "([network](../docs/network.md)); the features of conduction on PTB-XL and CPSC 2018 "
    "([features](../docs/atrial-features.md))."
)
ERRORS = (
    "Errors of onset and offset are of the changes that were told, so many of all; only in the delays does a missed "
    "episode count, as endless."
)
COST = (
    "At most 10 ms of one core a bed-second, for everything, is an aim, too. It is a timing of one machine, so it "
    "stands with others in [measurements](../docs/measurements.md)."
)
FLUTTER_IS_RARE = (
    "Flutter raises an alarm of its own, of low priority. Few patients here have it: these figures say whether it "
    "works at all, hardly how well. Its rows under “What else it tells” are there however few patients they are of."
)
