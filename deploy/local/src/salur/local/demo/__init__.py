"""The main job from a list to proven payments, stage by stage; shared by demo, bench, crash and end-to-end tests."""
