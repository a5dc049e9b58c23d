"""A paper's own training in minutes of an accelerator that is lent: `make gpu-package`, `gpu-ross`.

orders         what each paper runs there, and in which order
package        fills .gpu/ with what a bare machine lacks
run            runs a paper's phases there
measure        what a paper's steps cost there, and how long its training would take
phase_config   the config of a phase: a part of the experiment's own
outbox         what comes back: few files of limited size
"""
