"""How sure an answer is: calibrated probabilities and prediction sets."""
