"""What a call costs and what a rule allows: values in, values out; no clock, disk or network."""
