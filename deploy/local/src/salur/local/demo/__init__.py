"""The main job from a list to a proven payment, and the promises it is checked against."""
