"""Pure signal work on ECG samples: numpy in, values out, no clock."""
