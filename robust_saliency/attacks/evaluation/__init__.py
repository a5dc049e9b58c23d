"""How robust a network is on a data set: attacks run over many images, and verdicts on each.

evaluate_attacks   every attack and the worst case over all of them, with warnings
autoattack         the standard ensembles, one attack after the other on what is left
ensemble           runs attacks in turn, in batches, on all devices; resumes where it was cut off
verification       whether an image is adversarial: inside the ball, and misclassified
pitfalls, probing  what a careful evaluator warns of, and the further attacks that tell
counting           forward and backward passes
batch_files, identity  what is kept of a run, and whether it is of the same attack and network
"""
