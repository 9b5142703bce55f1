"""How far can each number be trusted? Level A against exact truth, Level B against attacks on trained networks."""
