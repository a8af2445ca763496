"""ADE20K, as the SceneParsing challenge has it: scenes with a mask of 150 classes each."""
