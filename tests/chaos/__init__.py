"""No alarm is lost, and none is shown twice, whatever part is killed meanwhile: `python -m tests.chaos`."""
