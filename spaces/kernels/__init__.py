"""Pure tensor mathematics behind the techniques: functions, tested with oracles."""
