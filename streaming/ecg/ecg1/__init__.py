"""The waveform codec `ecg1`: lossless, each payload by itself; docs/compression.md describes every bit.

`model` knows what the samples around say of a sample, `codes` the prefix codes of what they do not say,
`encode` and `decode` the bits.
"""
